// One disk of a chunk server: its files and records, whether it can still be trusted with new shards, and how much room
// it has.
//
// A disk takes itself out, for good until the process starts again: when something that was to be durable may not be
// (FAILING), when it fails reads again and again (FAILING), when it does not answer (FAILING), or when its file system has
// become read-only. Its shards are then moved elsewhere by the metadata; it serves them as long as it can. A full disk
// takes no shards until there is room again, and has so many of its own moved that there soon is. Whatever is found is an
// alarm for the operator, and no reason to delete anything.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk/chunk_server.h"
#include "core/chunk/disk_watch.h"
#include "core/chunk/shard_key.h"
#include "core/chunk/shard_table.h"
#include "core/env/sync.h"
#include "core/wire/chunk.pb.h"
#include "core/wire/common.pb.h"

namespace dogfs {

// A sync of the directory that several callers wait for.
struct DirectorySync {
  std::optional<Status> result;
};

// Reads of so many shards that fail within the time, and a disk that is not the last takes itself out. A shard counts
// once: a sector that cannot be read is the shard's damage, however often it is tried.
inline constexpr size_t kMaxReadErrors = 16;
inline constexpr Duration kReadErrorsWithin = std::chrono::minutes(10);

// What a shard is written for.
enum class WritePurpose { kClient, kRepair };

class ShardDisk {
 public:
  using State = wire::DiskInfo::State;

  // `on_bad` is called when this disk is found to be bad by a write, or not to answer, once.
  ShardDisk(Env& env, ChunkDisk ports, size_t number, std::function<void(const Error&)> on_bad);

  size_t number() const { return number_; }
  // Never empty.
  const std::string& name() const { return ports_.name; }
  // Empty: not known.
  const std::string& id() const { return id_; }
  void set_id(std::string id) { id_ = std::move(id); }
  ShardStore& files() { return watch_.files(); }
  KvStore& records() { return watch_.records(); }

  // Bad: something that was to be durable may not be. What is on the disk is still served, each byte checked by its
  // reader; nothing new is put there.
  bool bad() const { return state_ != wire::DiskInfo::WORKING; }
  void mark_bad(const Error& error);
  // To be called again and again: gives up a disk that hangs (disk_watch.h), and marks it bad.
  void check_that_it_answers();
  // Whether it has been given up: nothing of what is on it can be read any more.
  bool given_up() const { return watch_.given_up(); }
  // Whether it has not answered for a while: whoever need not wait for it, does not.
  bool is_late() const { return watch_.is_late(); }
  // For an operation that failed: marks the disk bad unless the disk is merely full or the bytes are wrong.
  void note_failure(const Error& error);
  // For a read of `key` that failed. True while there were too many of late.
  bool count_read_failure(const ShardKey& key, const Error& error);
  // As mark_bad, for what does not speak against what is durable: nobody need end for it.
  void take_out(State state, std::string alarm);
  // Whether something of what it has is to be moved elsewhere, and whether this shard is.
  bool gives_away_any() const { return is_failing() || gives_up_to_.has_value(); }
  bool gives_away(const ShardKey& key) const { return is_failing() || (gives_up_to_ && key <= *gives_up_to_); }
  // A full disk gives away its first shards, as `table` has them, until it has twice the room. To be called when the disk
  // was asked for its room.
  void choose_what_to_give_away(const ShardTable& table);
  // Why it could not be opened, if so.
  const std::optional<Error>& unreadable() const { return ports_.unreadable; }
  bool is_full() const;
  // What the operator should know, until the process starts again. The first thing stays.
  void raise_alarm(std::string alarm);
  // All but the number of shards.
  wire::DiskInfo describe() const;

  // Asks the disk for its room. Between two calls free_bytes() falls by what is reserved and what was written, so that
  // many shards that are opened at once, or one after the other, don't all count on the same room.
  Task<void> refresh_space();
  uint64_t total_bytes() const { return space_.total_bytes; }
  uint64_t free_bytes() const { return space_.free_bytes - std::min(space_.free_bytes, reserved_ + written_); }
  void reserve(uint64_t bytes, WritePurpose purpose);
  void release(uint64_t bytes, WritePurpose purpose);
  void note_written(uint64_t bytes) { written_ += bytes; }
  // Shards that are being rebuilt here, of those that room is reserved for.
  uint32_t rebuilding() const { return rebuilding_; }

  // Starts to make durable all creations and removals that completed before this call. Calls that come while one sync
  // is under way share the next.
  std::shared_ptr<DirectorySync> start_directory_sync();
  Task<Status> wait_for(std::shared_ptr<DirectorySync> sync);

  // Writes to the records, synced. A failure marks the disk bad.
  Task<Status> write_records(WriteBatch batch);
  // Puts down that the shard is here, and whether it was found damaged; as write_records.
  Task<Status> record(ShardKey key, uint64_t length, uint32_t crc, bool damaged);

  // Ends when nothing is under way.
  Task<void> join() { return tasks_.join(); }

 private:
  void fail(const Error& error);
  void enter(State state, std::string alarm);
  bool is_failing() const { return state_ == wire::DiskInfo::FAILING || state_ == wire::DiskInfo::READ_ONLY; }
  Task<void> run_directory_syncs();

  Env& env_;
  ChunkDisk ports_;
  DiskWatch watch_;
  size_t number_;
  std::function<void(const Error&)> on_bad_;
  std::string id_;
  State state_ = wire::DiskInfo::WORKING;
  std::string alarm_;
  uint64_t errors_ = 0;
  std::map<ShardKey, MonoTime> read_errors_;  // the last of each
  DiskSpace space_;
  uint64_t reserved_ = 0;
  uint32_t rebuilding_ = 0;
  uint64_t written_ = 0;  // since the disk was asked for its room
  // The last of the shards that a full disk gives away.
  std::optional<ShardKey> gives_up_to_;
  std::shared_ptr<DirectorySync> next_sync_;
  bool syncing_ = false;
  Notifier synced_;
  TaskGroup tasks_;
};

// Takes out a disk whose reads fail. The last disk that takes shards stays, with the alarm: it is better than none.
void distrust(const std::vector<std::unique_ptr<ShardDisk>>& disks, ShardDisk& disk, std::string alarm);

// For a read of `key` on `disk` that failed: distrusts the disk if reads of too many shards do.
void note_read_failure(const std::vector<std::unique_ptr<ShardDisk>>& disks, ShardDisk& disk, const ShardKey& key,
                       const Error& error);

// Adds to `batch` the record of a shard.
void put_shard_record(WriteBatch& batch, const ShardKey& key, const wire::ShardRecord& record);

}  // namespace dogfs
