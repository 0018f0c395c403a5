// Looks for damage before anybody needs the shard: reads every sealed shard of every disk, over and over, at a set rate,
// and at once those that a reader has found damaged.
//
// Each disk has a pass of its own in the order of the keys. Where it is, and when the last one ended, is kept in the
// disk's records, so that a restart goes on where it was. A shard that is damaged or gone is marked so: it is not served
// any more, and is reported until the metadata has it deleted. A read error is not damage: it is tried a few times, and
// then by the next pass. The shard is still served meanwhile: it may be the one that saves its block. Belongs to the
// node's executor.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "core/chunk/background_pace.h"
#include "core/chunk/shard_reader.h"
#include "core/chunk/shard_table.h"

namespace dogfs {

class Scrubber {
 public:
  // What is passed must outlive this object.
  Scrubber(Env& env, const ChunkOptions& options, std::vector<std::unique_ptr<ShardDisk>>& disks, ShardTable& table,
           ShardReader& reader, StopSignal& stop);

  // Starts the work, until the stop signal, in `tasks`.
  void start(TaskGroup& tasks);
  // These are said to be damaged.
  void verify_soon(const std::vector<ShardKey>& keys);
  // How long ago the oldest of the disks' last full passes ended; -1 if one never did.
  int64_t last_pass_ms() const;
  // Says of that disk when its last full pass ended and began; -1 of one that had none.
  void describe(size_t disk, wire::DiskInfo& info) const;

 private:
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
  Task<void> verify(ShardKey key);
  const ShardKey* next_key(const Pass& pass) const;
  int64_t wall_ms() const;

  Env& env_;
  const ChunkOptions& options_;
  std::vector<std::unique_ptr<ShardDisk>>& disks_;
  ShardTable& table_;
  ShardReader& reader_;
  StopSignal& stop_;
  std::vector<std::unique_ptr<Pass>> passes_;
  std::deque<ShardKey> suspects_;
  Notifier suspected_;
};

}  // namespace dogfs
