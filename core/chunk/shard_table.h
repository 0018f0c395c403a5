// Every sealed shard that a chunk server has, in memory. The records on the disks are the truth; this is made from them
// at the start and changed after them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "core/base/result.h"
#include "core/base/time.h"
#include "core/chunk/shard_key.h"

namespace dogfs {

enum class ShardState : uint8_t {
  kSealed,
  kUnverified,  // a file with a footer, perhaps, but without a record: not looked at yet since the start
  kDamaged,     // there is a file or a record, but they do not stand up: kept, reported, and not served
  // Reported as damaged, and yet read for whoever asks: reads of its file fail again and again, or it was damaged before
  // the start and nobody has looked at it since.
  kUnreadable,
  kDeleting,
};

struct ShardEntry {
  ShardState state = ShardState::kSealed;
  size_t disk = 0;
  uint64_t length = 0;
  uint32_t crc = 0;
  std::optional<MonoTime> read_through = {};  // when all of it was read, and was whole, if the last look could
};

// Whether the metadata is to have it rebuilt.
constexpr bool is_damaged(ShardState state) {
  return state == ShardState::kDamaged || state == ShardState::kUnreadable;
}

class ShardTable {
 public:
  // nullptr if there is none.
  const ShardEntry* find(const ShardKey& key) const;
  void put(const ShardKey& key, const ShardEntry& entry);
  // Precondition: it is there.
  void set_state(const ShardKey& key, ShardState state);
  // Precondition: it is there. None: since then it could not be read.
  void set_read_through(const ShardKey& key, std::optional<MonoTime> when);
  void erase(const ShardKey& key);

  // Why `key` is not there: kWrongGeneration if there is another attempt at this index of the block, else kNotFound.
  Error missing(const ShardKey& key) const;

  uint64_t sealed() const { return sealed_; }
  uint64_t sealed_on(size_t disk) const;
  const std::set<ShardKey>& damaged() const { return damaged_; }
  const std::map<ShardKey, ShardEntry>& entries() const { return entries_; }

 private:
  std::map<ShardKey, ShardEntry> entries_;
  std::set<ShardKey> damaged_;
  uint64_t sealed_ = 0;
  std::map<size_t, uint64_t> sealed_by_disk_;
};

}  // namespace dogfs
