// Reads of rows as a program does them: some fail while the disk has that trouble (sim/disk_trouble.h).
//
// A scan that fails has visited some rows before, as one does whose next block cannot be read. Who looks at a disk from
// outside, as the oracles do, reads the KvDisk itself, and is never struck.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/env/kv_store.h"
#include "sim/random.h"

namespace dogfs::sim {

class KvDisk;

// Which reads fail, of one store and all its snapshots.
class RowReadFailures {
 public:
  RowReadFailures(std::shared_ptr<KvDisk> disk, StreamKey key) : disk_(std::move(disk)), draws_(key) {}

  // Of the next read: behind how many rows it fails, if it does.
  std::optional<uint64_t> draw();
  // One has failed.
  Error count();

 private:
  std::shared_ptr<KvDisk> disk_;
  RandomStream draws_;
};

class RowReads final : public KvReader {
 public:
  RowReads(std::shared_ptr<const KvReader> rows, std::shared_ptr<RowReadFailures> failures)
      : rows_(std::move(rows)), failures_(std::move(failures)) {}

  Result<std::optional<std::string>> get(std::string_view key) const override;
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override;

 private:
  using Scan = Status (KvReader::*)(std::string_view, std::string_view, const Visitor&) const;
  Status scan_some(Scan scan, std::string_view begin, std::string_view end, const Visitor& visit) const;

  std::shared_ptr<const KvReader> rows_;
  std::shared_ptr<RowReadFailures> failures_;
};

}  // namespace dogfs::sim
