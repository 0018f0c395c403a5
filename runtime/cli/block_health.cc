#include "runtime/cli/block_health.h"

#include <fmt/format.h>

#include <algorithm>

namespace dogfs::cli {
namespace {

// Of which nothing is known but that their servers do not answer.
uint32_t unreachable_shards(const wire::BlockLocation& block) {
  return static_cast<uint32_t>(std::ranges::count_if(block.shards(), [](const wire::Shard& shard) {
    return shard.server() != 0 && shard.condition() == wire::Shard::UNREACHABLE;
  }));
}

}  // namespace

bool is_intact(const wire::Shard& shard) {
  return shard.server() != 0 && (shard.condition() == wire::Shard::INTACT || shard.condition() == wire::Shard::LEAVING);
}

uint32_t intact_shards(const wire::BlockLocation& block) {
  return static_cast<uint32_t>(std::ranges::count_if(block.shards(), is_intact));
}

uint32_t needed_shards(const wire::BlockLocation& block) {
  return static_cast<uint32_t>(block.shards_size()) - block.policy().parity_shards();
}

BlockHealth health_of(const wire::BlockLocation& block) {
  const uint32_t intact = intact_shards(block);
  const uint32_t needed = needed_shards(block);
  const bool may_return = intact + unreachable_shards(block) >= needed;
  if (intact < needed) return may_return ? wire::FsckBlock::UNREACHABLE : wire::FsckBlock::LOST;
  if (intact == static_cast<uint32_t>(block.shards_size())) return wire::FsckBlock::HEALTHY;
  return intact == needed ? wire::FsckBlock::AT_RISK : wire::FsckBlock::DEGRADED;
}

std::string_view health_name(BlockHealth health) {
  switch (health) {
    case wire::FsckBlock::HEALTHY:
      return "healthy";
    case wire::FsckBlock::DEGRADED:
      return "degraded";
    case wire::FsckBlock::AT_RISK:
      return "at risk";
    case wire::FsckBlock::LOST:
      return "LOST";
    case wire::FsckBlock::UNREACHABLE:
      return "UNREACHABLE";
    default:
      return "unknown";
  }
}

std::string describe_place(const wire::Shard& shard) {
  if (shard.server() == 0) return "missing";
  std::string place = fmt::format("server {} {}", shard.server(), shard.server_address());
  switch (shard.condition()) {
    case wire::Shard::UNREACHABLE:
      return "unreachable on " + place;
    case wire::Shard::DAMAGED:
      return "damaged on " + place;
    case wire::Shard::LEAVING:
      return "to leave " + place;
    default:
      return place;
  }
}

}  // namespace dogfs::cli
