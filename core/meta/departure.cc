#include "core/meta/departure.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/meta/risk.h"

namespace dogfs {

Departure::Departure(ServerId leaving, wire::ServerState wanted, std::map<ServerId, DepartureServer> servers)
    : leaving_(leaving), wanted_(wanted), servers_(std::move(servers)) {
  DOGFS_CHECK(wanted == wire::DRAINING || wanted == wire::MAINTENANCE);
}

void Departure::add(const wire::BlockRow& block) {
  ++blocks_;
  if (wanted_ == wire::DRAINING) {
    add_to_drain(block);
  } else {
    add_to_maintain(block);
  }
}

void Departure::add_to_drain(const wire::BlockRow& block) {
  const auto leaving = std::ranges::find(block.shards(), leaving_.value(), &wire::Shard::server);
  DOGFS_CHECK(leaving != block.shards().end());
  bytes_ += leaving->length();
  const uint32_t parity = block.policy().parity_shards();
  std::map<std::string, uint32_t> in_racks = shards_by_rack(block);
  bool has_home = false;
  bool has_good_home = std::ranges::any_of(in_racks, [parity](const auto& rack) { return rack.second > parity; });
  const auto left = servers_.find(leaving_);
  if (left != servers_.end()) --in_racks[left->second.rack];
  for (const auto& [id, server] : servers_) {
    const bool has_shard = std::ranges::find(block.shards(), id.value(), &wire::Shard::server) != block.shards().end();
    if (!server.takes_shards || has_shard) continue;
    has_home = true;
    if (in_racks[server.rack] < parity) has_good_home = true;
  }
  if (!has_home) return homeless_.add(block);
  if (!has_good_home) crowded_.add(block);
}

void Departure::add_to_maintain(const wire::BlockRow& block) {
  const auto readable = std::ranges::count_if(block.shards(), [this](const wire::Shard& shard) {
    const auto server = servers_.find(ServerId(shard.server()));
    return is_intact(shard) && server != servers_.end() && server->first != leaving_ && server->second.can_be_read;
  });
  if (readable < needed_shards(block)) unreadable_.add(block);
}

std::map<std::string, uint32_t> Departure::shards_by_rack(const wire::BlockRow& block) const {
  std::map<std::string, uint32_t> shards;
  for (const wire::Shard& shard : block.shards()) {
    const auto server = servers_.find(ServerId(shard.server()));
    if (server != servers_.end()) ++shards[server->second.rack];
  }
  return shards;
}

Status Departure::refuse(const Hindered& hindered, const char* why) const {
  return Error(ErrorCode::kConflict, fmt::format("of {} blocks on chunk server {}, {} {} (the first is block {})",
                                                 blocks_, leaving_, hindered.blocks, why, hindered.first));
}

Status Departure::verdict() const {
  if (homeless_.blocks > 0) return refuse(homeless_, "have no other server to go to: add servers first");
  if (crowded_.blocks > 0) {
    return refuse(crowded_, "would not survive the loss of a rack any more: add servers in other racks first");
  }
  if (unreadable_.blocks > 0) return refuse(unreadable_, "could not be read without it now");
  if (wanted_ != wire::DRAINING) return ok();
  uint64_t free_bytes = 0;
  for (const auto& [id, server] : servers_) {
    if (server.takes_shards && id != leaving_) free_bytes += server.free_bytes;
  }
  if (bytes_ <= free_bytes) return ok();
  return Error(ErrorCode::kNoSpace, fmt::format("chunk server {} has {} bytes, and the others have room for {}",
                                                leaving_, bytes_, free_bytes));
}

}  // namespace dogfs
