// Ranged reads of sealed shards.
//
// The server does not sum what it reads: the reply carries the checksums that were made by the client that wrote, and
// the client that reads holds the bytes against them, so that no fault on the way between the two stays unseen. What
// the server does check is that the file's footer is whole and names this very shard.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "core/chunk/byte_budget.h"
#include "core/chunk/shard_disk.h"
#include "core/chunk/shard_format.h"
#include "core/chunk/shard_table.h"
#include "core/ec/geometry.h"

namespace dogfs {

struct ShardRead {
  uint64_t offset = 0;  // of the payload: the whole pieces that the range touches
  BytesChain payload;
  std::vector<uint32_t> piece_crcs;
  // Of the whole shard.
  std::shared_ptr<const ShardFooter> footer;
};

class ShardReader {
 public:
  // What is passed must outlive this object.
  ShardReader(std::vector<std::unique_ptr<ShardDisk>>& disks, const ShardTable& table, uint64_t max_bytes)
      : disks_(disks), table_(table), budgets_(max_bytes, disks.size()) {}

  // kNotFound, kWrongGeneration; kInvalidArgument for a range that is empty, reaches beyond the shard, or whose pieces
  // are more than kMaxTransferBytes; kCorrupt when the file is damaged, or what is asked for has
  // long been unreadable; kIoError; kBusy; kUnavailable while it is not
  // known whether the shard is whole, or here at all. `from_disk`: not from a cache (core/env/shard_store.h).
  Task<Result<ShardRead>> read(ShardKey key, ShardRange range, bool from_disk = false);
  // Whether read() would begin.
  Status check(const ShardKey& key, ShardRange range) const;

  // Calls `suspect` with each shard whose file gives an I/O error, or is found damaged.
  void on_suspect(std::function<void(const ShardKey&)> suspect) { suspect_ = std::move(suspect); }

  // A disk could not be read at the start: what is in no record may be there.
  void set_incomplete() { incomplete_ = true; }

  // Closes the file of a shard that goes.
  void forget(const ShardKey& key);

  uint32_t active() const { return active_; }

 private:
  struct OpenFile {
    std::shared_ptr<ShardFile> file;
    ShardFooter footer;
  };
  using OpenFiles = std::list<std::shared_ptr<const OpenFile>>;

  Error unread(const ShardKey& key, const Error& error) const;
  // What a mutant reads instead of `key`.
  ShardKey oldest_attempt(ShardKey key) const;
  Task<Result<ShardRead>> read_pieces(ShardKey key, ShardRange pieces, bool from_disk);
  Task<Result<std::shared_ptr<const OpenFile>>> opened(ShardKey key, ShardEntry entry);
  Task<Result<std::shared_ptr<const OpenFile>>> open(ShardKey key, ShardEntry entry);
  void keep(std::shared_ptr<const OpenFile> file);

  std::vector<std::unique_ptr<ShardDisk>>& disks_;
  const ShardTable& table_;
  std::function<void(const ShardKey&)> suspect_;
  DiskBudgets budgets_;
  uint32_t active_ = 0;
  bool incomplete_ = false;
  OpenFiles open_files_;  // most recently used first
  std::map<ShardKey, OpenFiles::iterator> open_by_key_;
};

}  // namespace dogfs
