#include "core/meta/balance_planner.h"

#include <algorithm>
#include <utility>

#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

constexpr uint64_t kWhole = 1'000'000;

uint64_t parts_of(uint64_t used, uint64_t capacity) {
  if (capacity == 0) return kWhole;
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(std::min<Wide>(Wide{used} * kWhole / capacity, kWhole));
}

uint64_t bytes_of(uint64_t parts, uint64_t capacity) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{parts} * capacity / kWhole);
}

}  // namespace

BalancePlanner::BalancePlanner(std::map<ServerId, BalanceServer> servers, uint32_t threshold_percent)
    : servers_(std::move(servers)), mean_(0), threshold_(threshold_percent * (kWhole / 100)) {
  uint64_t used = 0;
  uint64_t capacity = 0;
  for (const auto& [id, server] : servers_) {
    if (!server.takes_shards) continue;
    used += server.used;
    capacity += server.capacity;
  }
  mean_ = parts_of(used, capacity);
}

uint64_t BalancePlanner::fullness(const BalanceServer& server, uint64_t more) {
  return parts_of(server.used + more, server.capacity);
}

std::optional<PlannedRepair> BalancePlanner::plan(const wire::BlockRow& block) const {
  // What needs repair, or is being moved already, is left to that.
  if (risk_of(block) != Risk::kWhole || block.reservations_size() > 0) return std::nullopt;
  const RackSpread racks = RackSpread::of(block, servers_);
  for (const bool crowded : {true, false}) {
    const wire::Shard* shard = crowded ? crowded_shard(block, racks) : heavy_shard(block);
    // What is only away for a while is not made anew elsewhere.
    if (shard != nullptr && !servers_.at(ServerId(shard->server())).takes_shards) continue;
    const ServerId target = shard == nullptr ? ServerId() : choose_target(block, *shard, racks, crowded);
    if (target.is_none()) continue;
    return PlannedRepair{.block = BlockId(block.block()),
                         .index = ShardIndex(shard->index()),
                         .target = target,
                         .replaced_server = ServerId(shard->server()),
                         .replaced_generation = ShardGeneration(shard->generation())};
  }
  return std::nullopt;
}

BalancePlanner::Spread BalancePlanner::spread(const wire::BlockRow& block) const {
  const RackSpread racks = RackSpread::of(block, servers_);
  const wire::Shard* shard = crowded_shard(block, racks);
  if (shard == nullptr) return Spread::kFine;
  return choose_target(block, *shard, racks, true).is_none() ? Spread::kStuck : Spread::kCrowded;
}

BalancePlanner::Excess BalancePlanner::excess() const {
  Excess excess;
  for (const auto& [id, server] : servers_) {
    if (!server.takes_shards || fullness(server) <= mean_ + threshold_) continue;
    ++excess.servers;
    excess.bytes += server.used - std::min(server.used, bytes_of(mean_ + threshold_, server.capacity));
  }
  return excess;
}

void BalancePlanner::note(const PlannedRepair& move, uint64_t bytes) {
  uint64_t& from = servers_.at(move.replaced_server).used;
  from -= std::min(from, bytes);
  servers_.at(move.target).used += bytes;
}

// Of the rack that has most of them, if that is more than m: the one on the fullest server, if any can be read.
const wire::Shard* BalancePlanner::crowded_shard(const wire::BlockRow& block, const RackSpread& racks) const {
  const std::string* crowded = racks.crowded();
  if (crowded == nullptr) return nullptr;
  const wire::Shard* chosen = nullptr;
  for (const wire::Shard& shard : block.shards()) {
    const auto server = servers_.find(ServerId(shard.server()));
    if (server == servers_.end() || server->second.rack != *crowded) continue;
    const auto order = [](const BalanceServer& each) { return std::pair(each.takes_shards, fullness(each)); };
    if (chosen == nullptr || order(server->second) > order(servers_.at(ServerId(chosen->server())))) chosen = &shard;
  }
  return chosen;
}

// The one on the fullest server that is too full.
const wire::Shard* BalancePlanner::heavy_shard(const wire::BlockRow& block) const {
  const wire::Shard* chosen = nullptr;
  uint64_t most = mean_ + threshold_;
  for (const wire::Shard& shard : block.shards()) {
    const auto server = servers_.find(ServerId(shard.server()));
    if (server == servers_.end() || !server->second.takes_shards) continue;
    if (shard.length() == 0 || fullness(server->second) <= most) continue;
    most = fullness(server->second);
    chosen = &shard;
  }
  return chosen;
}

ServerId BalancePlanner::choose_target(const wire::BlockRow& block, const wire::Shard& shard, const RackSpread& racks,
                                       bool crowded) const {
  const std::string& from = servers_.at(ServerId(shard.server())).rack;
  ServerId chosen;
  for (const auto& [id, server] : servers_) {
    if (!server.takes_shards || !server.roomy || !may_host(block, shard.index(), id.value())) continue;
    // Never to make one rack what the other was.
    const bool spreads = racks.spreads(from, server.rack);
    const bool harmless = server.rack == from || racks.has_place_in(server.rack) || spreads;
    const bool lighter = fullness(server, shard.length()) <= mean_ && server.capacity >= server.used + shard.length();
    if (crowded ? !spreads : !harmless || !lighter) continue;
    if (chosen.is_none() || fullness(server) < fullness(servers_.at(chosen))) chosen = id;
  }
  return chosen;
}

}  // namespace dogfs
