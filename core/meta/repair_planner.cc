#include "core/meta/repair_planner.h"

#include <algorithm>
#include <tuple>

#include "core/base/hash.h"
#include "core/meta/placement.h"
#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

const RepairServer* find_server(const std::map<ServerId, RepairServer>& servers, uint64_t id) {
  const auto found = servers.find(ServerId(id));
  return found == servers.end() ? nullptr : &found->second;
}

bool is_reserved(const wire::BlockRow& block, uint32_t index) {
  return std::ranges::find(block.reservations(), index, &wire::RepairReservation::index) != block.reservations().end();
}

class Planner {
 public:
  Planner(RepairSituation situation, const RepairLimits& limits)
      : situation_(std::move(situation)),
        limits_(limits),
        cautious_(many_vanished(situation_.servers, situation_.now_ms, limits)),
        targets_(std::ranges::count_if(situation_.servers, [this](const auto& entry) { return takes(entry.second); })) {
  }

  std::vector<PlannedRepair> plan() {
    for (wire::BlockRow& block : situation_.blocks) {
      const Risk risk = risk_of(block);
      if (risk == Risk::kLost || risk == Risk::kWhole) continue;
      for (const wire::Shard& shard : block.shards()) {
        if (situation_.under_way >= limits_.cluster || targets_ == 0) return std::move(planned_);
        if (is_due(block, shard, risk)) plan_shard(block, shard);
      }
    }
    return std::move(planned_);
  }

 private:
  bool takes(const RepairServer& server) const {
    return server.state == wire::LIVE && server.reachable && server.rebuilding < limits_.per_target;
  }

  // And not its server.
  bool leaves_its_disk(const wire::Shard& shard) const {
    const RepairServer* holder = find_server(situation_.servers, shard.server());
    return shard.condition() == wire::Shard::LEAVING && holder != nullptr && holder->state == wire::LIVE;
  }

  bool is_due(const wire::BlockRow& block, const wire::Shard& shard, Risk risk) const {
    if (is_reserved(block, shard.index())) return false;
    const bool leaving = shard.condition() == wire::Shard::LEAVING;
    if (is_intact(shard) && !leaving) return false;
    if (shard.condition() != wire::Shard::UNREACHABLE) return !leaving || !cautious_;
    if (risk == Risk::kNoSpare) return true;
    if (cautious_) return false;
    if (risk == risk_of_spares(1)) return true;
    const RepairServer* server = find_server(situation_.servers, shard.server());
    return server == nullptr || situation_.now_ms - server->state_since_ms >= limits_.grace.count();
  }

  void plan_shard(wire::BlockRow& block, const wire::Shard& shard) {
    const std::vector<wire::Shard> sources = repair_sources(block, ShardIndex(shard.index()), situation_.servers);
    const uint32_t needed = needed_shards(block);
    if (sources.size() < needed) return;
    const bool busy = std::any_of(sources.begin(), sources.begin() + needed, [&](const wire::Shard& source) {
      return find_server(situation_.servers, source.server())->reading >= limits_.per_source;
    });
    if (busy) return;
    const ServerId target = choose_target(block, shard);
    if (target.is_none()) return;
    planned_.push_back({.block = BlockId(block.block()),
                        .index = ShardIndex(shard.index()),
                        .target = target,
                        .replaced_server = ServerId(shard.server()),
                        .replaced_generation = ShardGeneration(shard.server() == 0 ? 0 : shard.generation())});
    note_load(block, shard.index(), target, {sources.begin(), sources.begin() + needed});
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

  ServerId choose_target(const wire::BlockRow& block, const wire::Shard& shard) const {
    std::vector<ServerId> used;
    for (const wire::Shard& other : block.shards()) {
      if (other.server() != 0 && other.index() != shard.index()) used.emplace_back(other.server());
    }
    for (const wire::RepairReservation& other : block.reservations()) used.emplace_back(other.target());
    std::vector<PlacementCandidate> candidates;
    std::vector<ServerId> excluded;
    const auto failed = situation_.failed_targets.find(BlockId(block.block()));
    if (failed != situation_.failed_targets.end()) excluded = failed->second;
    const bool move = leaves_its_disk(shard);
    for (const auto& [id, server] : situation_.servers) {
      const bool roomy = server.roomy || !move;
      if (!takes(server) || !roomy || !may_host(block, shard.index(), id.value(), move)) excluded.push_back(id);
      candidates.push_back(
          {.server = id, .rack = server.rack, .free_bytes = server.free_bytes, .load = server.rebuilding});
    }
    const uint64_t seed = combine64(combine64(situation_.seed, block.block()), shard.index());
    const std::vector<ServerId> chosen = place_shards(
        candidates, {.wanted = 1, .shard_bytes = shard.length(), .used = used, .excluded = excluded, .seed = seed});
    return chosen.empty() ? ServerId() : chosen.front();
  }

  RepairSituation situation_;
  const RepairLimits& limits_;
  bool cautious_;
  ptrdiff_t targets_;  // servers that take another repair: without one there is no use in looking further
  std::vector<PlannedRepair> planned_;
};

}  // namespace

std::vector<PlannedRepair> plan_repairs(RepairSituation situation, const RepairLimits& limits) {
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
