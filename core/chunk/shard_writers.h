// The shards that are being received: opened, appended to, and then sealed or given up.
//
// A shard is sealed, which is to say acknowledged, only when all of this has happened, in this order: its bytes are on
// the disk and synced, header and footer with them; the directory that names its file is synced; and its record is in
// the disk's KvStore, synced. Anything that fails on the way is final for this attempt at the shard: a sync is never
// tried again.
//
// A writer that nobody uses is given up after a time, and so is a file without a footer that an earlier run left
// behind: its client may still be there and begin anew. These are the only files that a server removes of its own
// accord, beside what a second of its disks has of a shard of which it has read all on the first (disk_recovery.h).
#pragma once

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "core/chunk/byte_budget.h"
#include "core/chunk/deleted_shards.h"
#include "core/chunk/key_turns.h"
#include "core/chunk/shard_disk.h"
#include "core/chunk/shard_table.h"
#include "core/chunk/shard_writer.h"
#include "core/chunk/stop_signal.h"

namespace dogfs {

class ShardWriters {
 public:
  using Disks = std::vector<std::unique_ptr<ShardDisk>>;

  // What is passed must outlive this object.
  ShardWriters(Env& env, const ChunkOptions& options, Disks& disks, ShardTable& table, KeyTurns& turns,
               StopSignal& stop);

  // Starts a shard, where there is room for `length` bytes of it (at most those of a full block's). If it is open
  // already: anew, unless it has another geometry (kConflict). kAlreadyExists when it is sealed, kGone when it was
  // deleted, kNoSpace, kBusy with too many open (of those for repair, on each disk), kIoError when no disk takes shards.
  Task<Status> open(ShardHeader header, uint64_t length, WritePurpose purpose, MonoTime deadline);
  // See ShardWriter::append. kNotFound or kWrongGeneration if it is not open, kBusy when too many bytes are under way.
  Task<Result<uint64_t>> append(ShardKey key, ShardAppend append, MonoTime deadline);
  // Success: durable. Again with the same length and CRC: success; with others kConflict or kChecksumMismatch.
  Task<Status> seal(ShardKey key, uint64_t length, uint32_t crc, MonoTime deadline);
  // Gives the shard up. Success if there is none; kConflict if it is sealed.
  Task<Status> abort(ShardKey key, MonoTime deadline);

  // Precondition for these: the caller has the turn at `key`.
  // Removes what there is of an unsealed shard, and what lies beside a sealed one on other disks. False if a file could
  // not be removed.
  Task<bool> discard(ShardKey key, Error why);
  // The shard was deleted for ever: whoever opens it from now on is refused with kGone.
  void refuse(const ShardKey& key) { deleted_.add(key, env_.clock.now()); }
  // Notes what was on a disk at the start and is of no use: a file without a footer, or one beside a sealed shard; and its
  // record, if it has one. Or (`until_deleted`) what may be of some use, and goes with the shard.
  struct Found {
    size_t disk = 0;
    bool recorded = false;
    bool until_deleted = false;
  };
  void adopt_leftover(const ShardKey& key, Found found);

  // Whether the shard is here and not sealed. A sealed one may have a leftover beside it, on another disk.
  bool has(const ShardKey& key) const {
    return (writers_.contains(key) || !leftovers_of(key).empty()) && table_.find(key) == nullptr;
  }
  size_t open_count() const { return writers_.size() + opening_; }

  // Gives up idle writers until the stop signal.
  Task<void> run_idle_sweep();
  // Ends when no write is under way.
  Task<void> join() { return tasks_.join(); }

 private:
  struct OpenShard {
    std::shared_ptr<ShardWriter> writer;
    ShardDisk* disk = nullptr;
    uint64_t reserved_bytes = 0;
    WritePurpose purpose{};
  };
  struct Leftover {
    MonoTime since;
    bool recorded = false;
    bool until_deleted = false;
  };

  Task<Status> open_in_turn(ShardHeader header, uint64_t length, WritePurpose purpose);
  Task<Status> create(ShardHeader header, uint64_t length, WritePurpose purpose);
  Status check_openable(const ShardHeader& header) const;
  Result<ShardDisk*> choose_disk(uint64_t bytes, WritePurpose purpose) const;
  Task<Status> seal_in_turn(ShardKey key, uint64_t length, uint32_t crc);
  Task<Status> make_durable(OpenShard shard);
  Status check_sealed(const ShardKey& key, const ShardEntry& entry, uint64_t length, uint32_t crc) const;
  // What an open writer has written is a leftover from now on.
  Task<void> close(ShardKey key, Error why);
  bool would_wait(const ShardKey& key) const;
  Task<bool> remove_leftover(ShardDisk* disk, ShardKey key);
  std::vector<size_t> leftovers_of(const ShardKey& key) const;
  std::set<ShardKey> idle_keys() const;
  bool is_idle(const ShardKey& key) const;

  Env& env_;
  const ChunkOptions& options_;
  Disks& disks_;
  ShardTable& table_;
  KeyTurns& turns_;
  StopSignal& stop_;
  DiskBudgets budgets_;
  TaskGroup tasks_;
  std::map<ShardKey, OpenShard> writers_;
  std::map<std::pair<ShardKey, size_t>, Leftover> leftovers_;  // by shard and disk
  DeletedShards deleted_;
  uint32_t opening_ = 0;
};

}  // namespace dogfs
