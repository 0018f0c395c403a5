// Whole shards on disks that fail, or have become read-only: their servers name them again and again, and the leader has
// them moved elsewhere, as a balancing would (copied where that goes, else rebuilt), after all blocks that lack any.
//
// Soft state: the map's rows say nothing of disks, and a new leader hears of them soon enough. Belongs to the node's
// executor.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "core/base/result.h"
#include "core/base/time.h"
#include "core/meta/placed_shard.h"
#include "core/meta/tables.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

// Beyond these nothing is remembered: it is named again.
inline constexpr size_t kMaxLeavingShards = 20'000;
// A server that names a shard no longer has changed its mind: its disk works again.
inline constexpr Duration kLeavingMemory = std::chrono::minutes(3);

class LeavingShards {
 public:
  void hear(const wire::HeartbeatRequest& heartbeat, MonoTime now);
  void clear();

  // The next few in turn, at most `limit`, of those that were named lately.
  std::vector<PlacedShard> next(size_t limit, MonoTime now);

  // What the map has of them: the blocks in which they are listed and whole, each once; the others are settled.
  struct Found {
    std::vector<wire::BlockRow> blocks;
    std::vector<PlacedShard> settled;
  };
  static Result<Found> find(const MetaTables& tables, const std::vector<PlacedShard>& shards);
  void forget(const std::vector<PlacedShard>& shards);

  // Has the planner take those of the block that are INTACT for LEAVING, and adds them to `moves`.
  void mark(wire::BlockRow& block, std::set<PlacedShard>& moves) const;

 private:
  std::map<PlacedShard, MonoTime> named_;  // when last
  PlacedShard cursor_;
};

}  // namespace dogfs
