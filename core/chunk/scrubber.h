// Looks for damage before anybody needs the shard: reads every sealed shard of every disk, over and over, at a set rate,
// and at once those that a reader has found damaged.
//
// Each disk has a pass of its own in the order of the keys. Where it is, and when the last one ended, is kept in the
// disk's records, so that a restart goes on where it was. A shard that is damaged or gone is marked so: it is not served
// any more, and is reported until the metadata has it deleted.
//
// A read error is not damage yet. A shard that gives one is looked at again after a while, and where every look ends so,
// although the disk reads something else, its sectors are lost: it is reported like any damage and rebuilt. Where the
// disk reads nothing at all, that is the disk's affair (core/chunk/shard_disk.h): it is taken out, and what it has is moved.
// The last one stays, and what it does not read counts as lost. A shard that is lost in such a way is read for whoever
// asks all the same, since it may be the one that saves its block. It is looked at again now and then, and is whole again
// if it can be read after all.
//
// Damage is recorded, so that a restart does not make a shard whole: the server would vouch for it, and the metadata might
// have a better one deleted. After the start what is on record as damaged is looked at before anything else, in case that
// only the way to the disk was bad. Belongs to the node's executor.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/chunk/background_pace.h"
#include "core/chunk/key_turns.h"
#include "core/chunk/shard_reader.h"
#include "core/chunk/shard_table.h"

namespace dogfs {

class Scrubber {
 public:
  // What is passed must outlive this object.
  Scrubber(Env& env, const ChunkOptions& options, std::vector<std::unique_ptr<ShardDisk>>& disks, ShardTable& table,
           KeyTurns& turns, ShardReader& reader, StopSignal& stop);

  // Starts the work, until the stop signal, in `tasks`.
  void start(TaskGroup& tasks);
  // These are said to be damaged, or gave an I/O error.
  void verify_soon(const std::vector<ShardKey>& keys);
  // How long ago the oldest of the disks' last full passes ended; -1 if one never did.
  int64_t last_pass_ms() const;
  // Says of that disk when its last full pass ended and began; -1 of one that had none.
  void describe(size_t disk, wire::DiskInfo& info) const;

 private:
  // What gave I/O errors, and is to be looked at again.
  struct Doubt {
    int looks = 0;         // at which the disk read something else
    int silent_looks = 0;  // at which it read nothing
    MonoTime next;
  };
  struct Pass {
    ShardDisk* disk = nullptr;
    wire::ScrubProgress progress;
    TokenBucket bucket;
  };

  Task<void> run_passes(Pass* pass);
  Task<bool> run_pass(Pass* pass);
  Task<void> run_suspects();
  Task<void> load(Pass* pass);
  Task<void> save(Pass* pass);
  // Looks at a shard, `attempts` times at most.
  Task<void> verify(ShardKey key, int attempts);
  Task<void> judge(ShardKey key, Status found, bool disk_reads);
  Task<void> mark(ShardKey key, ShardState state, Error found);
  Task<void> set_state(ShardKey key, ShardState state);
  void suspect(const ShardKey& key);
  Task<bool> disk_reads_anything(ShardKey failing);
  static Task<bool> can_read(ShardDisk* disk, ShardKey key, uint64_t offset);
  std::vector<ShardKey> neighbours(const ShardKey& key) const;
  std::optional<ShardKey> next_suspect();
  std::optional<ShardKey> next_unreadable();
  const ShardKey* next_key(const Pass& pass) const;
  int64_t wall_ms() const;

  Env& env_;
  const ChunkOptions& options_;
  std::vector<std::unique_ptr<ShardDisk>>& disks_;
  ShardTable& table_;
  KeyTurns& turns_;
  ShardReader& reader_;
  StopSignal& stop_;
  std::vector<std::unique_ptr<Pass>> passes_;
  std::deque<ShardKey> suspects_;
  std::set<ShardKey> waiting_;  // those of suspects_
  std::map<ShardKey, Doubt> doubts_;
  MonoTime next_hope_;  // when one that counts as unreadable is looked at again
  ShardKey last_hope_;
  Notifier suspected_;
};

}  // namespace dogfs
