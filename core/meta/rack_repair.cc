#include "core/meta/rack_repair.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/coverage_mark.h"
#include "core/meta/rack_spread.h"
#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

using Server = RackRepair::Errand::Server;

constexpr size_t kLooksPerRound = 500;
// Of what is under way, or in turn.
constexpr Duration kLookInterval = seconds(1);

const Server* find_server(const std::map<ServerId, Server>& servers, uint64_t id) {
  const auto found = servers.find(ServerId(id));
  return found == servers.end() ? nullptr : &found->second;
}

// It is not known yet which attempts at its shards will be committed, or whether what is under way will succeed.
bool is_unsettled(const wire::BlockRow& block) {
  if (block.reservations_size() > 0) return true;
  std::set<uint32_t> indexes;
  for (const wire::Shard& shard : block.shards()) indexes.insert(shard.index());
  return indexes.size() < static_cast<size_t>(block.shards_size());
}

// Whether another rack has a server for a shard of it, be it busy, full or silent now.
bool is_movable(const wire::BlockRow& block, const RackSpread& racks, const std::map<ServerId, Server>& servers) {
  const std::string& crowded = *racks.crowded();
  return std::ranges::any_of(servers, [&](const auto& entry) {
    const auto& [id, server] = entry;
    const bool has_one = std::ranges::find(block.shards(), id.value(), &wire::Shard::server) != block.shards().end();
    return server.live && !has_one && racks.spreads(crowded, server.rack);
  });
}

}  // namespace

void RackRepair::lead() {
  clear();
  servers_.clear();
  racks_ = 0;
  moves_ = 0;
  pass_wanted_ = true;
}

void RackRepair::clear() {
  rate_.clear();
  blocks_.clear();
  schedule_.clear();
  held_ = 0;
  beyond_ = {};
  recount_ = false;
  passing_ = false;
}

void RackRepair::placed(BlockId block) {
  if (!is_wanted() || blocks_.contains(block)) return;
  if (in_turn() >= kMaxCrowdedInTurn) {
    recount_ = true;
  } else {
    put(block, {});
  }
}

void RackRepair::see(const std::vector<wire::ChunkServerRow>& rows) {
  std::map<ServerId, Errand::Server> servers;
  std::set<std::string> racks;
  for (const wire::ChunkServerRow& row : rows) {
    servers[ServerId(row.server())] = {.rack = row.rack(), .live = row.state() == wire::LIVE};
    if (row.state() != wire::REMOVED) racks.insert(row.rack());
  }
  racks_ = racks.size();
  if (servers == servers_) return;
  for (const auto& [id, server] : servers) {
    const Errand::Server* before = find_server(servers_, id.value());
    if (server.live && (before == nullptr || *before != server)) pass_wanted_ = true;
  }
  servers_ = std::move(servers);
  if (!is_wanted()) clear();
}

// --- What to look at ---------------------------------------------------------------------------------------------------

RackRepair::Errand RackRepair::next(MonoTime now) {
  Errand errand;
  if (!is_wanted()) return errand;
  if (!passing_ && (pass_wanted_ || (recount_ && now - passed_at_ >= kRackRecountInterval))) begin_pass();
  for (const auto& [look_at, block] : schedule_) {
    if (look_at > now || errand.blocks.size() == kLooksPerRound) break;
    errand.blocks.push_back(block);
  }
  errand.scan = passing_ && in_turn() < kMaxCrowdedInTurn;
  errand.scan_after = cursor_;
  if (!errand.is_empty()) errand.servers = servers_;
  return errand;
}

Result<RackRepair::Found> RackRepair::find(const MetaTables& tables, const Errand& errand) {
  Found found;
  for (const BlockId id : errand.blocks) {
    DOGFS_TRY(std::optional<wire::BlockRow> block, tables.block(id));
    if (block && (is_unsettled(*block) || RackSpread::of(*block, errand.servers).crowded() != nullptr)) {
      found.crowded.push_back(*std::move(block));
    } else {
      found.spread.push_back(id);
    }
  }
  if (!errand.scan) return found;
  DOGFS_TRYV(scan_rows<wire::BlockRow>(tables.reader(), tables.keys().blocks_after(errand.scan_after),
                                       [&](std::string_view key, const wire::BlockRow& block) {
                                         found.scanned_to = BlockId(last_id(key));
                                         const RackSpread racks = RackSpread::of(block, errand.servers);
                                         if (is_unsettled(block) ||
                                             (racks.crowded() != nullptr && is_movable(block, racks, errand.servers))) {
                                           found.movable.push_back(found.scanned_to);
                                         } else if (racks.crowded() != nullptr) {
                                           found.stuck.push_back(found.scanned_to);
                                         }
                                         return ++found.rows < kRackRowsPerRound;
                                       }));
  if (found.rows < kRackRowsPerRound) found.scanned_to = BlockId();
  return found;
}

void RackRepair::begin_pass() {
  passing_ = true;
  pass_wanted_ = false;
  recount_ = false;
  cursor_ = BlockId();
  seen_ = 0;
  counting_ = {};
}

void RackRepair::end_pass(MonoTime now) {
  passing_ = false;
  passed_at_ = now;
  beyond_ = std::exchange(counting_, {});
  if (beyond_.blocks > 0) recount_ = true;
}

// --- What is found -----------------------------------------------------------------------------------------------------

std::vector<wire::BlockRow> RackRepair::take(Found found, const Errand& errand, size_t limit, MonoTime now) {
  for (const BlockId block : found.spread) drop(block);
  std::vector<wire::BlockRow> chosen;
  for (wire::BlockRow& block : found.crowded) judge(std::move(block), errand, now, limit, chosen);
  rate_.note(in_turn(), now);
  // Another leadership, or no rack to go to, has ended the pass meanwhile.
  if (!errand.scan || !passing_ || cursor_ != errand.scan_after) return chosen;
  seen_ += found.rows;
  for (const BlockId block : found.movable) {
    const auto known = blocks_.find(block);
    if (known == blocks_.end() || known->second.state == State::kHeld) put(block, {.look_at = now});
  }
  for (const BlockId block : found.stuck) {
    const bool counted = blocks_.contains(block) || held_ < kMaxCrowdedHeld;
    if (counted) {
      hold(block, wire::RepairHindrance::TOO_FEW_RACKS, now);
    } else if (counting_.blocks++ == 0) {
      counting_.first = block;
    }
  }
  cursor_ = found.scanned_to;
  if (cursor_.is_none()) end_pass(now);
  return chosen;
}

void RackRepair::judge(wire::BlockRow block, const Errand& errand, MonoTime now, size_t limit,
                       std::vector<wire::BlockRow>& chosen) {
  const BlockId id(block.block());
  // What is written is left to its writer.
  if (block.state() != wire::BlockRow::COMMITTED) return hold(id, wire::RepairHindrance::BUSY, now);
  if (block.reservations_size() > 0) {
    const bool moving = std::ranges::any_of(block.reservations(), &wire::RepairReservation::move);
    return put(id, {.state = moving ? State::kMoving : State::kInTurn, .look_at = now + kLookInterval});
  }
  const RackSpread racks = RackSpread::of(block, errand.servers);
  if (!is_movable(block, racks, errand.servers)) return hold(id, wire::RepairHindrance::TOO_FEW_RACKS, now);
  // What lacks something is left to repair.
  if (risk_of(block) != Risk::kWhole) return hold(id, wire::RepairHindrance::BUSY, now);
  put(id, {.look_at = now + kLookInterval});
  if (chosen.size() == limit) return;
  const std::string& crowded = *racks.crowded();
  for (wire::Shard& shard : *block.mutable_shards()) {
    const Server* server = find_server(errand.servers, shard.server());
    if (server == nullptr || server->rack != crowded || !server->live) continue;
    shard.set_condition(wire::Shard::LEAVING);
    chosen.push_back(std::move(block));
    return;
  }
  // All that are in that rack are away for a while.
  hold(id, wire::RepairHindrance::BUSY, now);
}

void RackRepair::note(const std::vector<RepairOutlook>& outlook, MonoTime now) {
  for (const RepairOutlook& shard : outlook) {
    if (!blocks_.contains(shard.block)) continue;
    if (shard.hindrance == wire::RepairHindrance::NONE) {
      DOGFS_COVERAGE_MARK("meta: a shard leaves a rack that has too many of its block");
      ++moves_;
      put(shard.block, {.state = State::kMoving, .look_at = now + kLookInterval});
    } else if (shard.hindrance != wire::RepairHindrance::BUSY) {
      hold(shard.block, shard.hindrance, now);
    }
  }
}

void RackRepair::put(BlockId block, const Crowded& crowded) {
  drop(block);
  blocks_[block] = crowded;
  schedule_.emplace(crowded.look_at, block);
  if (crowded.state == State::kHeld) ++held_;
}

// Beyond the bound it is forgotten until the next pass.
void RackRepair::hold(BlockId block, wire::RepairHindrance::Reason hindrance, MonoTime now) {
  drop(block);
  if (held_ < kMaxCrowdedHeld) {
    put(block, {.state = State::kHeld, .hindrance = hindrance, .look_at = now + kHeldLookInterval});
  } else {
    recount_ = true;
  }
}

void RackRepair::drop(BlockId block) {
  const auto known = blocks_.find(block);
  if (known == blocks_.end()) return;
  schedule_.erase({known->second.look_at, block});
  if (known->second.state == State::kHeld) --held_;
  blocks_.erase(known);
}

wire::RackRepair RackRepair::describe() const {
  wire::RackRepair described;
  described.set_moves(moves_);
  described.set_passing(passing_ || (pass_wanted_ && is_wanted()));
  described.set_blocks_seen(passing_ ? seen_ : 0);
  std::map<wire::RepairHindrance::Reason, Uncounted> held;
  if (beyond_.blocks > 0) held[wire::RepairHindrance::TOO_FEW_RACKS] = beyond_;
  for (const auto& [block, crowded] : blocks_) {
    if (crowded.state == State::kMoving) {
      described.set_moving(described.moving() + 1);
    } else if (crowded.state == State::kInTurn || crowded.hindrance == wire::RepairHindrance::BUSY) {
      described.set_waiting(described.waiting() + 1);
    } else {
      Uncounted& sum = held[crowded.hindrance];
      if (sum.blocks++ == 0) sum.first = block;
    }
  }
  // A pass may find more.
  const std::optional<milliseconds> left = described.passing() ? std::nullopt : rate_.time_for(in_turn());
  described.set_estimate_ms(left ? left->count() : -1);
  for (const auto& [reason, sum] : held) {
    wire::RepairHindrance& hindrance = *described.add_hindrances();
    hindrance.set_reason(reason);
    hindrance.set_shards(sum.blocks);
    hindrance.set_block(sum.first.value());
  }
  return described;
}

}  // namespace dogfs
