// One disk of a chunk server, as a flat directory of append-only files.
//
// What a shard file contains (header, data, footer) is decided in core/chunk; this port only moves bytes, so that the
// simulator can tear, lose and rot them under the code that must cope.
// Simulated twin: sim/shard_store.h. Real twin: runtime/shard_store.h (files, O_DIRECT, a thread pool a disk).
// Belongs to the node's executor; the work itself never runs on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/env/disk_space.h"
#include "core/env/task.h"

namespace dogfs {

inline constexpr size_t kMaxShardNameBytes = 200;

// A handle to one file. The file is closed when the handle goes; operations that are under way keep it open.
class ShardFile {
 public:
  virtual ~ShardFile() = default;

  // Writes `data` at `offset`. Writes may complete in any order. Buffers stay referenced until the write has ended.
  // kNoSpace when the disk is full, kIoError on any other failure, such as that the disk has become read-only.
  virtual Task<Status> write(uint64_t offset, BytesChain data) = 0;

  // Makes durable all writes that completed before this call, and the file's size. A failed sync must not be tried
  // again: what was written may be gone. The file's name becomes durable by ShardStore::sync_directory.
  virtual Task<Status> sync() = 0;

  // Reads exactly `length` bytes from `offset`. kCorrupt if the file ends before, kIoError on any other failure.
  virtual Task<Result<Bytes>> read(uint64_t offset, size_t length) = 0;

  // Whatever the operating system keeps of the file in memory is not to be taken for what is on the disk: reads that begin
  // after this see that. What is not synced may stay as it is. kIoError.
  virtual Task<Status> drop_cache() = 0;

  virtual Task<Result<uint64_t>> size() = 0;
};

class ShardStore {
 public:
  virtual ~ShardStore() = default;

  // Creates a new empty file for reading and writing. kAlreadyExists if the name is taken. Names are plain file names
  // ([A-Za-z0-9._-], at most kMaxShardNameBytes).
  virtual Task<Result<std::shared_ptr<ShardFile>>> create(std::string name) = 0;
  // Opens an existing file for reading and, as far as the disk takes writes, for writing: one that has become read-only
  // is served from (core/chunk/shard_disk.h). kNotFound if there is none.
  virtual Task<Result<std::shared_ptr<ShardFile>>> open(std::string name) = 0;
  // Removes a file; durable after the next sync_directory. kNotFound if there is none. Open handles stay readable.
  virtual Task<Status> remove(std::string name) = 0;
  // The names of all files, sorted.
  virtual Task<Result<std::vector<std::string>>> list() = 0;
  // Makes creations and removals that completed before this call durable.
  virtual Task<Status> sync_directory() = 0;
  virtual Task<Result<DiskSpace>> space() = 0;

  // The disk does not answer: what is under way here, and on files of this store, is answered with kIoError. It may happen
  // all the same. Nothing is asked of the store afterwards.
  virtual void give_up() = 0;
};

}  // namespace dogfs
