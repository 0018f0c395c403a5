// The ShardStore port: one directory of one disk, with a pool of threads that does the blocking work.
//
// Writes go around the page cache (O_DIRECT) where offset, length and memory are aligned, which is the bulk of a shard,
// because payloads are received into aligned buffers; the ends that are not aligned, and everything on a file system
// that refuses O_DIRECT, are written through the page cache. The two never touch the same page at once, except where
// the caller rewrites a page: the kernel keeps them coherent then. Measured on one virtual disk, a shard that is
// written once and synced goes four times as fast this way; allocating the file ahead (fallocate) gained nothing. Reads
// go through the page cache, which serves the shards that are read often.
#pragma once

#include <memory>
#include <string>

#include "core/env/shard_store.h"

namespace dogfs {

struct FileShardOptions {
  size_t threads = 4;
  bool direct_io = true;
};

class FileShardStore final : public ShardStore {
 public:
  // Opens the directory, which is made if it is missing (its parent exists). kIoError.
  static Result<std::unique_ptr<FileShardStore>> open(const std::string& directory, FileShardOptions options);
  // Waits for the operations under way. The event loops of all callers must still exist; files that are still open may
  // be closed afterwards, but no longer used.
  ~FileShardStore() override;

  Task<Result<std::shared_ptr<ShardFile>>> create(std::string name) override;
  Task<Result<std::shared_ptr<ShardFile>>> open(std::string name) override;
  Task<Status> remove(std::string name) override;
  Task<Result<std::vector<std::string>>> list() override;
  Task<Status> sync_directory() override;
  Task<Result<DiskSpace>> space() override;
  void give_up() override;

 private:
  struct Disk;
  explicit FileShardStore(std::unique_ptr<Disk> disk);

  std::unique_ptr<Disk> disk_;
};

}  // namespace dogfs
