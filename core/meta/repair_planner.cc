#include "core/meta/repair_planner.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "core/base/hash.h"
#include "core/base/limits.h"
#include "core/meta/placement.h"
#include "core/meta/rack_spread.h"
#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

using Hindrance = wire::RepairHindrance::Reason;

const RepairServer* find_server(const std::map<ServerId, RepairServer>& servers, uint64_t id) {
  const auto found = servers.find(ServerId(id));
  return found == servers.end() ? nullptr : &found->second;
}

class Planner {
 public:
  Planner(RepairSituation situation, const RepairLimits& limits)
      : situation_(std::move(situation)),
        limits_(limits),
        cautious_(many_vanished(situation_.servers, situation_.now_ms, limits)),
        any_up_(std::ranges::any_of(situation_.servers, [](const auto& entry) { return is_up(entry.second); })),
        targets_(std::ranges::count_if(situation_.servers, [this](const auto& entry) { return takes(entry.second); })) {
  }

  RepairPlan plan() {
    for (size_t position = 0; position < situation_.blocks.size(); ++position) {
      const wire::BlockRow& block = situation_.blocks[position];
      const Risk risk = risk_of(block);
      if (risk == Risk::kWhole) continue;
      // What is lost before what only moves: there may not be a server for both.
      for (const wire::Shard& shard : block.shards()) {
        if (!is_intact(shard)) look_at(position, shard, risk);
      }
      for (const wire::Shard& shard : block.shards()) {
        if (is_intact(shard) && shard.condition() == wire::Shard::LEAVING) look_at(position, shard, risk);
      }
    }
    return std::move(plan_);
  }

 private:
  void look_at(size_t position, const wire::Shard& shard, Risk risk) {
    wire::BlockRow& block = situation_.blocks[position];
    plan_.outlook.push_back({.position = position,
                             .block = BlockId(block.block()),
                             .server = ServerId(shard.server()),
                             .hindrance = plan_shard(block, shard, risk)});
  }

  static bool is_up(const RepairServer& server) { return server.state == wire::LIVE && server.reachable; }
  bool takes(const RepairServer& server) const { return is_up(server) && server.rebuilding < limits_.per_target; }

  // And not its server.
  bool leaves_its_disk(const wire::Shard& shard) const {
    const RepairServer* holder = find_server(situation_.servers, shard.server());
    return shard.condition() == wire::Shard::LEAVING && holder != nullptr && holder->state == wire::LIVE;
  }

  // What time may change.
  Hindrance wait_of(const wire::Shard& shard, Risk risk) const {
    if (shard.condition() == wire::Shard::LEAVING) {
      return cautious_ ? wire::RepairHindrance::MANY_VANISHED : wire::RepairHindrance::NONE;
    }
    if (shard.condition() != wire::Shard::UNREACHABLE || risk == Risk::kNoSpare) return wire::RepairHindrance::NONE;
    if (cautious_) return wire::RepairHindrance::MANY_VANISHED;
    if (risk == risk_of_spares(1)) return wire::RepairHindrance::NONE;
    const RepairServer* server = find_server(situation_.servers, shard.server());
    const bool over = server == nullptr || situation_.now_ms - server->state_since_ms >= limits_.grace.count();
    return over ? wire::RepairHindrance::NONE : wire::RepairHindrance::GRACE;
  }

  // Plans the repair, or says what hinders it.
  Hindrance plan_shard(wire::BlockRow& block, const wire::Shard& shard, Risk risk) {
    if (risk == Risk::kLost) return wire::RepairHindrance::UNDECODABLE;
    if (is_reserved(block, shard.index())) return wire::RepairHindrance::NONE;
    const Hindrance wait = wait_of(shard, risk);
    if (wait != wire::RepairHindrance::NONE) return wait;
    if (situation_.under_way >= limits_.cluster) return wire::RepairHindrance::BUSY;
    if (targets_ == 0) return any_up_ ? wire::RepairHindrance::BUSY : wire::RepairHindrance::TOO_FEW_SERVERS;
    const std::vector<wire::Shard> sources = repair_sources(block, ShardIndex(shard.index()), situation_.servers);
    const uint32_t needed = needed_shards(block);
    if (sources.size() < needed) return wire::RepairHindrance::SOURCES_UNREACHABLE;
    const bool busy = std::any_of(sources.begin(), sources.begin() + needed, [&](const wire::Shard& source) {
      return find_server(situation_.servers, source.server())->reading >= limits_.per_source;
    });
    if (busy) return wire::RepairHindrance::BUSY;
    const ServerId target = choose_target(block, shard);
    if (target.is_none()) return why_no_target(block, shard);
    plan_.repairs.push_back({.block = BlockId(block.block()),
                             .index = ShardIndex(shard.index()),
                             .target = target,
                             .replaced_server = ServerId(shard.server()),
                             .replaced_generation = ShardGeneration(shard.server() == 0 ? 0 : shard.generation())});
    note_load(block, shard.index(), target, {sources.begin(), sources.begin() + needed});
    return wire::RepairHindrance::NONE;
  }

  // What was planned counts for what is planned next.
  void note_load(wire::BlockRow& block, uint32_t index, ServerId target, const std::vector<wire::Shard>& read) {
    ++situation_.under_way;
    RepairServer& server = situation_.servers.at(target);
    ++server.rebuilding;
    if (!takes(server)) --targets_;
    for (const wire::Shard& source : read) ++situation_.servers.at(ServerId(source.server())).reading;
    wire::RepairReservation& reservation = *block.add_reservations();
    reservation.set_index(index);
    reservation.set_target(target.value());
  }

  bool failed_lately(const wire::BlockRow& block, ServerId target) const {
    const auto failed = situation_.failed_targets.find(BlockId(block.block()));
    return failed != situation_.failed_targets.end() &&
           std::ranges::find(failed->second, target) != failed->second.end();
  }

  ServerId choose_target(const wire::BlockRow& block, const wire::Shard& shard) const {
    std::vector<ServerId> used;
    for (const wire::Shard& other : block.shards()) {
      if (other.server() != 0 && other.index() != shard.index()) used.emplace_back(other.server());
    }
    for (const wire::RepairReservation& other : block.reservations()) used.emplace_back(other.target());
    std::vector<PlacementCandidate> candidates;
    std::vector<ServerId> excluded;
    const bool move = leaves_its_disk(shard);
    const std::optional<RackSpread> racks = spread_of_crowded(block);
    for (const auto& [id, server] : situation_.servers) {
      const bool roomy = server.roomy || !move;
      const bool fits = fits_on(block, shard, racks, id) && !failed_lately(block, id);
      if (!takes(server) || !roomy || !fits) excluded.push_back(id);
      candidates.push_back({.server = id,
                            .rack = server.rack,
                            .free_bytes = server.free_bytes,
                            .room = server.room,
                            .load = server.rebuilding});
    }
    const uint64_t seed = combine64(combine64(situation_.seed, block.block()), shard.index());
    const std::vector<ServerId> chosen = place_shards(candidates, {.wanted = 1,
                                                                   .shard_bytes = shard_file_bound(shard.length()),
                                                                   .used = used,
                                                                   .excluded = excluded,
                                                                   .seed = seed});
    return chosen.empty() ? ServerId() : chosen.front();
  }

  // None for a block that does not lie crowded, or is left alone with that.
  std::optional<RackSpread> spread_of_crowded(const wire::BlockRow& block) const {
    if (!situation_.crowded.contains(BlockId(block.block()))) return std::nullopt;
    return RackSpread::of(block, situation_.servers);
  }

  // Whether the server is one for the shard, be it busy, full or out of reach now.
  bool fits_on(const wire::BlockRow& block, const wire::Shard& shard, const std::optional<RackSpread>& racks,
               ServerId target) const {
    const RepairServer* holder = find_server(situation_.servers, shard.server());
    if (racks && holder != nullptr && !racks->spreads(holder->rack, situation_.servers.at(target).rack)) return false;
    return may_host(block, shard.index(), target.value(), leaves_its_disk(shard));
  }

  // What comes nearest to a target: one that only must be waited for, before one that lacks room.
  Hindrance why_no_target(const wire::BlockRow& block, const wire::Shard& shard) const {
    const bool move = leaves_its_disk(shard);
    const std::optional<RackSpread> racks = spread_of_crowded(block);
    const Hindrance none = racks ? wire::RepairHindrance::TOO_FEW_RACKS : wire::RepairHindrance::TOO_FEW_SERVERS;
    Hindrance why = none;
    for (const auto& [id, server] : situation_.servers) {
      if (server.state != wire::LIVE || !fits_on(block, shard, racks, id)) continue;
      if (!server.reachable) {
        if (racks) return wire::RepairHindrance::BUSY;
      } else if (server.room < shard_file_bound(shard.length()) || (move && !server.roomy)) {
        if (why == none) why = wire::RepairHindrance::NO_ROOM;
      } else if (!failed_lately(block, id)) {
        return wire::RepairHindrance::BUSY;
      } else {
        why = wire::RepairHindrance::TARGETS_FAILED;
      }
    }
    return why;
  }

  RepairSituation situation_;
  const RepairLimits& limits_;
  bool cautious_;
  bool any_up_;
  ptrdiff_t targets_;  // servers that take another repair: without one there is no use in looking further
  RepairPlan plan_;
};

}  // namespace

wire::StartRepairs::Repair repair_to_wire(const PlannedRepair& repair, bool move) {
  wire::StartRepairs::Repair message;
  message.set_block(repair.block.value());
  message.set_index(repair.index.value());
  message.set_target(repair.target.value());
  message.set_replaced_server(repair.replaced_server.value());
  message.set_replaced_generation(repair.replaced_generation.value());
  message.set_move(move);
  return message;
}

RepairPlan plan_repairs(RepairSituation situation, const RepairLimits& limits) {
  return Planner(std::move(situation), limits).plan();
}

bool many_vanished(const std::map<ServerId, RepairServer>& servers, int64_t now_ms, const RepairLimits& limits) {
  size_t vanished = 0;
  size_t counted = 0;
  for (const auto& [id, server] : servers) {
    if (server.state == wire::REMOVED) continue;
    const bool long_gone = server.state == wire::DEAD && now_ms - server.state_since_ms >= limits.mass_wait.count();
    if (long_gone) continue;
    ++counted;
    if (server.state == wire::DEAD) ++vanished;
  }
  return vanished >= 2 && vanished * 100 > counted * limits.many_percent;
}

bool is_fruitless(const wire::RepairReservation& reservation, const std::map<ServerId, RepairServer>& servers,
                  int64_t now_ms) {
  const RepairServer* target = find_server(servers, reservation.target());
  return reservation.expires_ms() <= now_ms || target == nullptr || target->state != wire::LIVE;
}

std::vector<wire::Shard> repair_sources(const wire::BlockRow& block, ShardIndex index,
                                        const std::map<ServerId, RepairServer>& servers) {
  std::vector<wire::Shard> sources;
  for (const wire::Shard& shard : block.shards()) {
    const RepairServer* server = find_server(servers, shard.server());
    if (is_intact(shard) && server != nullptr && server->reachable) sources.push_back(shard);
  }
  // The shard itself, where its server is only to be emptied, is a copy instead of a decoding.
  std::ranges::sort(sources, {}, [&](const wire::Shard& shard) {
    return std::tuple(shard.index() != index.value(), find_server(servers, shard.server())->reading, shard.index());
  });
  return sources;
}

}  // namespace dogfs
