// How a simulated disk ails (sim/shard_store.h, sim/kv_store.h).
#pragma once

#include <cstdint>
#include <string>

#include "core/base/time.h"

namespace dogfs::sim {

// Troubles of several faults add up, and each fault takes back its own.
struct DiskTrouble {
  // Of a million reads or writes, so many fail with an I/O error.
  uint32_t read_errors_per_million = 0;
  uint32_t write_errors_per_million = 0;
  // Of a million, so many go to another place of the disk, as if nothing were wrong.
  uint32_t misdirected_reads_per_million = 0;
  uint32_t misdirected_writes_per_million = 0;
  // Of a million reads or writes of rows (sim/kv_store.h), so many fail.
  uint32_t row_read_errors_per_million = 0;
  uint32_t row_write_errors_per_million = 0;
  // More than none: no file can grow.
  uint32_t full = 0;
  // More than none: no rows can be written.
  uint32_t rows_full = 0;
  // More than none: the disk of the rows tells that little of it is left.
  uint32_t rows_nearly_full = 0;
  // More than none: nothing can be written at all.
  uint32_t read_only = 0;
  // Each operation takes so much longer.
  Duration delay_min{};
  Duration delay_max{};

  DiskTrouble& operator+=(const DiskTrouble& more);
  DiskTrouble& operator-=(const DiskTrouble& less);
};

// Keeps the damage to data within bounds.
class DamageGuard {
 public:
  virtual ~DamageGuard() = default;
  // Whether the content of `file` may be damaged.
  virtual bool may_damage(const std::string& file) = 0;
  virtual void damaged(const std::string& file) = 0;
  // A new file of that name begins without damage.
  virtual void created(const std::string& file) = 0;
};

}  // namespace dogfs::sim
