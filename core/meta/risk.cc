#include "core/meta/risk.h"

#include <algorithm>

namespace dogfs {

wire::Shard::Condition condition_of(wire::ServerState state) {
  switch (state) {
    case wire::DEAD:
    case wire::REMOVED:
      return wire::Shard::UNREACHABLE;
    case wire::DRAINING:
      return wire::Shard::LEAVING;
    default:
      return wire::Shard::INTACT;
  }
}

bool is_intact(const wire::Shard& shard) {
  return shard.server() != 0 && (shard.condition() == wire::Shard::INTACT || shard.condition() == wire::Shard::LEAVING);
}

uint32_t needed_shards(const wire::BlockRow& block) {
  return static_cast<uint32_t>(block.shards_size()) - block.policy().parity_shards();
}

uint32_t intact_shards(const wire::BlockRow& block) {
  return static_cast<uint32_t>(std::ranges::count_if(block.shards(), is_intact));
}

Risk risk_of(const wire::BlockRow& block) {
  const uint32_t intact = intact_shards(block);
  const uint32_t needed = needed_shards(block);
  if (intact < needed) return Risk::kLost;
  if (intact < static_cast<uint32_t>(block.shards_size())) return risk_of_spares(intact - needed);
  const bool leaving = std::ranges::any_of(
      block.shards(), [](const wire::Shard& shard) { return shard.condition() == wire::Shard::LEAVING; });
  return leaving ? Risk::kLeaving : Risk::kWhole;
}

}  // namespace dogfs
