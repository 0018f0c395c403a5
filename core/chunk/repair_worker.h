// The target's side of repair: takes orders from the leader, rebuilds shards, and says what came of them.
//
// A rebuilt shard is sealed only if its length and checksum are those of the commit; there is no other way to publish
// one. An order is repeated with every heartbeat until its outcome was heard, so each is done once at a time and found
// done when it comes again. Belongs to the node's executor.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "core/chunk/background_pace.h"
#include "core/chunk/rebuild_order.h"
#include "core/chunk/shard_rebuild.h"
#include "core/chunk/shard_table.h"
#include "core/chunk/shard_writers.h"
#include "core/chunk/stop_signal.h"

namespace dogfs {

class RepairWorker {
 public:
  // At most `concurrency` rebuilds at once, and on each disk as many as ChunkOptions says. What is passed must outlive
  // this object.
  RepairWorker(Env& env, const ShardTable& table, ShardWriters& writers, BackgroundPace& pace, StopSignal& stop,
               uint32_t concurrency);

  // Takes the orders of the leader, less those that are queued, under way or done. `cluster_uuid`: whose shards these
  // are.
  void request(const std::vector<wire::RepairOrder>& orders, const std::string& cluster_uuid);

  // What came of orders and was not reported yet, at most `limit`. They stay until reported() takes them out.
  std::vector<wire::RepairOutcome> outcomes(size_t limit) const;
  void reported(const std::vector<wire::RepairOutcome>& outcomes);

  // When an outcome was last added, and who is told of each. None yet: MonoTime::min().
  MonoTime last_outcome() const { return last_outcome_; }
  void on_outcome(std::function<void()> told) { on_outcome_ = std::move(told); }

  // Ends when no rebuild is under way. Call after the stop signal.
  Task<void> join() { return tasks_.join(); }

 private:
  Task<void> run(RebuildOrder order, std::string cluster_uuid);
  Task<Status> rebuild(RebuildOrder order, std::string cluster_uuid, std::vector<wire::Shard>& suspects);
  Task<Status> open(ShardHeader header, uint64_t length);
  Task<Status> write(ShardRebuild& rebuild, RebuildOrder order);
  Task<Status> append(ShardKey key, uint64_t offset, Bytes bytes, uint32_t& crc);
  void start_next();
  void conclude(const ShardKey& key, const Status& status, wire::RepairOutcome outcome);

  struct Queued {
    RebuildOrder order;
    std::string cluster_uuid;
  };

  Env& env_;
  const ShardTable& table_;
  ShardWriters& writers_;
  BackgroundPace& pace_;
  StopSignal& stop_;
  uint32_t concurrency_;
  TaskGroup tasks_;
  std::deque<Queued> queue_;
  std::set<ShardKey> known_;  // queued or under way
  uint32_t running_ = 0;
  std::map<ShardKey, wire::RepairOutcome> outcomes_;
  MonoTime last_outcome_ = MonoTime::min();
  std::function<void()> on_outcome_ = [] {};
};

}  // namespace dogfs
