// Removes shards that the metadata names for deletion, and tells which are gone.
//
// A shard's record is marked as going first, synced; then its file is removed and the directory synced; then the record
// goes. So at every point of a crash the next start knows what to finish, and neither takes the file for a lost shard
// nor the shard for a found one. What is not here at all is gone already, and is confirmed as well: unless a disk could
// not be read at the start, when not knowing a shard does not mean that there is none.
#pragma once

#include <set>
#include <vector>

#include "core/chunk/key_turns.h"
#include "core/chunk/shard_disk.h"
#include "core/chunk/shard_reader.h"
#include "core/chunk/shard_table.h"
#include "core/chunk/shard_writers.h"
#include "core/chunk/stop_signal.h"

namespace dogfs {

class ShardRemover {
 public:
  // What is passed must outlive this object.
  ShardRemover(Env& env, std::vector<std::unique_ptr<ShardDisk>>& disks, ShardTable& table, KeyTurns& turns,
               ShardWriters& writers, ShardReader& reader, StopSignal& stop);

  // Queues these, less those that are queued or confirmed; drops what is more than the queue holds, since the metadata
  // asks again.
  void request(const std::vector<ShardKey>& keys);
  // Whether it is to be deleted, or is gone and that is not reported yet.
  bool is_requested(const ShardKey& key) const { return queued_.contains(key) || confirmed_.contains(key); }
  // Which are gone and not yet reported, at most `limit`. They stay until reported() takes them out.
  std::vector<ShardKey> confirmed(size_t limit) const;
  void reported(const std::vector<ShardKey>& keys);

  // From now on a shard that is not known is not called gone.
  void set_incomplete() { complete_ = false; }

  // Works until stop() was called.
  Task<void> run();
  void stop() { wake_.notify_all(); }

 private:
  Task<void> remove_batch(std::vector<ShardKey> keys);
  Task<void> remove_sealed(ShardDisk* disk, std::vector<ShardKey> keys);
  void give_up(const std::vector<ShardKey>& keys);
  void confirm(const ShardKey& key);

  Env& env_;
  std::vector<std::unique_ptr<ShardDisk>>& disks_;
  ShardTable& table_;
  KeyTurns& turns_;
  ShardWriters& writers_;
  ShardReader& reader_;
  StopSignal& stop_;
  bool complete_ = true;
  std::set<ShardKey> queued_;
  std::set<ShardKey> confirmed_;
  Notifier wake_;
};

}  // namespace dogfs
