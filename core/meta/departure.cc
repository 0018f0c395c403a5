#include "core/meta/departure.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"

namespace dogfs {

Departure::Departure(ServerId leaving, wire::ServerState wanted, std::map<ServerId, DepartureServer> servers)
    : leaving_(leaving), wanted_(wanted), servers_(std::move(servers)) {
  DOGFS_CHECK(wanted == wire::DRAINING || wanted == wire::MAINTENANCE);
  for (const auto& [id, server] : servers_) {
    const bool is_emptied = server.state == wire::DRAINING || server.state == wire::DEAD;
    if (is_emptied && id != leaving_) leaving_before_.push_back(id);
  }
}

void Departure::add_before(ServerId server, const wire::BlockRow& block) {
  if (has_shard_on(block, leaving_)) return;
  for (const ServerId other : leaving_before_) {
    if (other == server) break;
    if (has_shard_on(block, other)) return;  // and was added with that
  }
  if (place(block) == Lack::kLeaving) needed_.add(block);
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
  switch (place(block)) {
    case Lack::kServer:
      return homeless_.add(block);
    case Lack::kRoom:
      return roomless_.add(block);
    case Lack::kRack:
      return crowded_.add(block);
    case Lack::kLeaving:
    case Lack::kNothing:
      return;
  }
}

void Departure::add_to_maintain(const wire::BlockRow& block) {
  const auto readable = std::ranges::count_if(block.shards(), [this](const wire::Shard& shard) {
    const auto found = servers_.find(ServerId(shard.server()));
    if (!is_intact(shard) || found == servers_.end() || found->first == leaving_) return false;
    const DepartureServer& server = found->second;
    return server.is_there && (server.state == wire::LIVE || server.state == wire::DRAINING);
  });
  if (readable < needed_shards(block)) unreadable_.add(block);
}

// Whether what it has may stay there.
bool Departure::keeps(ServerId server) const {
  const auto found = servers_.find(server);
  if (found == servers_.end() || server == leaving_) return false;
  return found->second.state == wire::LIVE || found->second.state == wire::MAINTENANCE;
}

bool Departure::has_shard_on(const wire::BlockRow& block, ServerId server) const {
  return std::ranges::find(block.shards(), server.value(), &wire::Shard::server) != block.shards().end();
}

Departure::Spread Departure::spread_of(const wire::BlockRow& block) const {
  Spread spread;
  std::map<std::string, uint32_t> now;
  const auto count = [&](uint64_t id, std::map<std::string, uint32_t>& racks) {
    const auto server = servers_.find(ServerId(id));
    if (server != servers_.end()) ++racks[server->second.rack];
  };
  for (const wire::Shard& shard : block.shards()) {
    spread.used.emplace_back(shard.server());
    count(shard.server(), now);
    if (keeps(ServerId(shard.server())) && !is_reserved(block, shard.index())) count(shard.server(), spread.in_racks);
  }
  for (const wire::RepairReservation& repair : block.reservations()) {
    spread.used.emplace_back(repair.target());
    count(repair.target(), spread.in_racks);
  }
  spread.most_in_rack = block.policy().parity_shards();
  const bool is_crowded = std::ranges::any_of(now, [&](const auto& rack) { return rack.second > spread.most_in_rack; });
  if (is_crowded) spread.most_in_rack = std::numeric_limits<uint32_t>::max();
  return spread;
}

Departure::Lack Departure::place(const wire::BlockRow& block) {
  Spread spread = spread_of(block);
  Lack lack = Lack::kNothing;
  for (const wire::Shard& shard : block.shards()) {
    const ServerId server(shard.server());
    if (server == leaving_ || keeps(server) || is_reserved(block, shard.index())) continue;
    // What has no place anyhow does not speak against this.
    if (place_shard(shard, spread) == Lack::kLeaving) lack = Lack::kLeaving;
  }
  for (const wire::Shard& shard : block.shards()) {
    if (ServerId(shard.server()) == leaving_ && !is_reserved(block, shard.index())) lack = place_shard(shard, spread);
  }
  return lack;
}

Departure::Lack Departure::place_shard(const wire::Shard& shard, Spread& spread) {
  const uint64_t bytes = shard_file_bound(shard.length());
  Lack lack = Lack::kServer;
  std::pair<const ServerId, DepartureServer>* best = nullptr;
  bool leaving_would_do = false;
  for (auto& entry : servers_) {
    const auto& [id, server] = entry;
    const bool takes = server.state == wire::LIVE && server.is_there;
    if (!takes || std::ranges::find(spread.used, id) != spread.used.end()) continue;
    const bool has_room = std::min(server.room, server.free_bytes) >= bytes;
    const bool crowds = spread.in_racks[server.rack] >= spread.most_in_rack;
    if (id == leaving_) {
      leaving_would_do = has_room && !crowds;
    } else if (!has_room) {
      if (lack == Lack::kServer) lack = Lack::kRoom;
    } else if (crowds) {
      lack = Lack::kRack;
    } else if (best == nullptr || server.free_bytes > best->second.free_bytes) {
      best = &entry;
    }
  }
  if (best == nullptr) return leaving_would_do ? Lack::kLeaving : lack;
  best->second.free_bytes -= bytes;
  spread.used.push_back(best->first);
  ++spread.in_racks[best->second.rack];
  return Lack::kNothing;
}

Status Departure::refuse(ErrorCode code, const Hindered& hindered, const char* why) const {
  return Error(code, fmt::format("of {} blocks on chunk server {}, {} {} (the first is block {})", blocks_, leaving_,
                                 hindered.blocks, why, hindered.first));
}

Status Departure::verdict() const {
  if (homeless_.blocks > 0) {
    return refuse(ErrorCode::kConflict, homeless_, "have no other server to go to: add servers first");
  }
  if (crowded_.blocks > 0) {
    return refuse(ErrorCode::kConflict, crowded_,
                  "would not survive the loss of a rack any more: add servers in other racks first");
  }
  if (needed_.blocks > 0) {
    return Error(ErrorCode::kConflict,
                 fmt::format("{} blocks that others lose have nowhere to go without chunk server {}: add servers first "
                             "(the first is block {})",
                             needed_.blocks, leaving_, needed_.first));
  }
  if (unreadable_.blocks > 0) return refuse(ErrorCode::kConflict, unreadable_, "could not be read without it now");
  if (roomless_.blocks > 0) {
    return refuse(ErrorCode::kNoSpace, roomless_, "find no room on the servers that have none of their shards");
  }
  return ok();
}

}  // namespace dogfs
