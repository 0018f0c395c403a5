// One disk of a chunk server: its files and records, whether it can still be trusted with new shards, and how much room
// it has.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/chunk/chunk_server.h"
#include "core/chunk/shard_key.h"
#include "core/env/sync.h"
#include "core/wire/chunk.pb.h"

namespace dogfs {

// A sync of the directory that several callers wait for.
struct DirectorySync {
  std::optional<Status> result;
};

class ShardDisk {
 public:
  // `on_bad` is called when this disk is found to be bad, once.
  ShardDisk(Env& env, ChunkDisk ports, size_t number, std::function<void(const Error&)> on_bad);

  size_t number() const { return number_; }
  ShardStore& files() { return ports_.files; }
  KvStore& records() { return ports_.records; }

  // Bad: something that was to be durable may not be. What is on the disk is still served, each byte checked by its
  // reader; nothing new is put there.
  bool bad() const { return bad_; }
  void mark_bad(const Error& error);
  // For an operation that failed: marks the disk bad unless the disk is merely full or the bytes are wrong.
  void note_failure(const Error& error);

  // Asks the disk for its room. Between two calls free_bytes() falls by what is reserved, so that many shards that are
  // opened at once don't all count on the same room.
  Task<void> refresh_space();
  uint64_t total_bytes() const { return space_.total_bytes; }
  uint64_t free_bytes() const { return space_.free_bytes - std::min(space_.free_bytes, reserved_); }
  void reserve(uint64_t bytes) { reserved_ += bytes; }
  void release(uint64_t bytes);

  // Starts to make durable all creations and removals that completed before this call. Calls that come while one sync
  // is under way share the next.
  std::shared_ptr<DirectorySync> start_directory_sync();
  Task<Status> wait_for(std::shared_ptr<DirectorySync> sync);

  // Writes to the records, synced. A failure marks the disk bad.
  Task<Status> write_records(WriteBatch batch);

  // Ends when nothing is under way.
  Task<void> join() { return tasks_.join(); }

 private:
  Task<void> run_directory_syncs();

  Env& env_;
  ChunkDisk ports_;
  size_t number_;
  std::function<void(const Error&)> on_bad_;
  bool bad_ = false;
  DiskSpace space_;
  uint64_t reserved_ = 0;
  std::shared_ptr<DirectorySync> next_sync_;
  bool syncing_ = false;
  Notifier synced_;
  TaskGroup tasks_;
};

// Adds to `batch` the record of a shard.
void put_shard_record(WriteBatch& batch, const ShardKey& key, const wire::ShardRecord& record);

}  // namespace dogfs
