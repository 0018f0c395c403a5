// One shard file on a real disk, as the threads of its disk's pool see it. Every function but read_cached() blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "runtime/file_descriptor.h"

namespace dogfs {

// Safe to use from several threads at once.
class BlockingShardFile {
 public:
  // `direct` may be closed: all is then written through the page cache.
  BlockingShardFile(std::string name, FileDescriptor buffered, FileDescriptor direct)
      : name_(std::move(name)), buffered_(std::move(buffered)), direct_(std::move(direct)) {}

  Status write(uint64_t offset, const BytesChain& data);
  Status sync();
  Result<Bytes> read(uint64_t offset, size_t length) const;
  // The same if the page cache has all of it; otherwise nullopt, and no wait for the disk.
  std::optional<Bytes> read_cached(uint64_t offset, size_t length) const;
  Status drop_cache() const;
  Result<uint64_t> size() const;

 private:
  std::string name_;
  FileDescriptor buffered_;
  FileDescriptor direct_;
  std::atomic<bool> sync_failed_ = false;
};

}  // namespace dogfs
