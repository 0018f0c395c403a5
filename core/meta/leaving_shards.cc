#include "core/meta/leaving_shards.h"

#include <algorithm>
#include <optional>

#include "core/base/coverage_mark.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

bool has_whole(const wire::BlockRow& block, const PlacedShard& place) {
  return std::ranges::any_of(block.shards(), [&](const wire::Shard& shard) {
    return is_intact(shard) && placed_shard(BlockId(block.block()), shard) == place;
  });
}

}  // namespace

void LeavingShards::hear(const wire::HeartbeatRequest& heartbeat, MonoTime now) {
  for (const wire::ShardName& name : heartbeat.leaving()) {
    const PlacedShard place = placed_shard(ServerId(heartbeat.server()), name);
    if (named_.size() < kMaxLeavingShards || named_.contains(place)) named_[place] = now;
  }
}

void LeavingShards::clear() {
  named_.clear();
  cursor_ = {};
}

std::vector<PlacedShard> LeavingShards::next(size_t limit, MonoTime now) {
  std::erase_if(named_, [now](const auto& entry) { return entry.second + kLeavingMemory < now; });
  std::vector<PlacedShard> shards;
  auto at = named_.upper_bound(cursor_);
  while (shards.size() < std::min(limit, named_.size())) {
    if (at == named_.end()) at = named_.begin();
    cursor_ = at->first;
    shards.push_back(cursor_);
    ++at;
  }
  return shards;
}

Result<LeavingShards::Found> LeavingShards::find(const MetaTables& tables, const std::vector<PlacedShard>& shards) {
  Found found;
  std::set<BlockId> taken;
  for (const PlacedShard& place : shards) {
    DOGFS_TRY(std::optional<wire::BlockRow> block, tables.block(place.block));
    const bool committed = block && block->state() == wire::BlockRow::COMMITTED;
    if (!committed || !has_whole(*block, place)) {
      // One that is being written is settled soon, one way or the other, and is named again.
      found.settled.push_back(place);
    } else if (taken.insert(place.block).second) {
      found.blocks.push_back(*std::move(block));
    }
  }
  return found;
}

void LeavingShards::forget(const std::vector<PlacedShard>& shards) {
  for (const PlacedShard& shard : shards) named_.erase(shard);
}

void LeavingShards::mark(wire::BlockRow& block, std::set<PlacedShard>& moves) const {
  if (named_.empty()) return;
  for (wire::Shard& shard : *block.mutable_shards()) {
    const PlacedShard place = placed_shard(BlockId(block.block()), shard);
    if (shard.condition() != wire::Shard::INTACT || !named_.contains(place)) continue;
    DOGFS_COVERAGE_MARK("meta: a shard on a failing disk is to be moved");
    shard.set_condition(wire::Shard::LEAVING);
    moves.insert(place);
  }
}

}  // namespace dogfs
