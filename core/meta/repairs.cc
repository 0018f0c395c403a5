#include "core/meta/repairs.h"

#include <algorithm>
#include <utility>

#include "core/base/mutant.h"
#include "core/base/printable.h"
#include "core/ec/policy_wire.h"
#include "core/meta/repair_commands.h"
#include "core/meta/report_commands.h"
#include "core/meta/risk.h"
#include "core/meta/server_states.h"

namespace dogfs {
namespace {

// Outcomes wake the loop; the interval is for what time brings about.
constexpr Duration kRoundInterval = milliseconds(500);
// Blocks of the risk index that a round looks at: the first, and as many from where the round before ended.
constexpr size_t kWindowBlocks = 512;
constexpr size_t kMaxReservedBlocks = 10'000;
constexpr uint32_t kSweptRowsPerStep = 500;
constexpr int kSweepsPerRound = 20;
constexpr size_t kMaxOrdersPerHeartbeat = 64;
constexpr size_t kMaxSuspects = 10'000;
constexpr size_t kMaxWaitingDamage = 100'000;
constexpr Duration kFailureMemory = seconds(30);

// The blocks of at most `limit` rows of `range`; `next` is where the next read goes on, empty at the end.
Result<std::vector<wire::BlockRow>> blocks_in(const MetaTables& tables, const KeyRange& range, size_t limit,
                                              std::string& next) {
  std::vector<BlockId> ids;
  next.clear();
  DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    ids.emplace_back(last_id(key));
    if (ids.size() < limit) return true;
    next = std::string(key) + '\0';
    return false;
  }));
  std::vector<wire::BlockRow> blocks;
  blocks.reserve(ids.size());
  for (const BlockId id : ids) {
    DOGFS_TRY(wire::BlockRow block, tables.required_block(id));
    blocks.push_back(std::move(block));
  }
  return blocks;
}

// Those of `said` that the map lists and does not call damaged yet. Damage is said again and again: the log takes it once.
Result<std::vector<PlacedShard>> not_marked(const MetaTables& tables, const std::vector<PlacedShard>& said) {
  std::vector<PlacedShard> fresh;
  for (const PlacedShard& shard : said) {
    DOGFS_TRY(const std::optional<wire::BlockRow> block, tables.block(shard.block));
    const wire::Shard* listed = block ? find_shard(*block, shard.index.value()) : nullptr;
    if (listed != nullptr && listed->server() == shard.server.value() &&
        listed->generation() == shard.generation.value() && listed->condition() != wire::Shard::DAMAGED) {
      fresh.push_back(shard);
    }
  }
  return fresh;
}

}  // namespace

Repairs::Repairs(MetaParts& parts)
    : parts_(parts), tasks_(parts.env.executor, parts.env.clock), wake_(parts.env.clock) {}

void Repairs::start() {
  tasks_.spawn(run());
}

void Repairs::request_stop() {
  stopping_ = true;
  wake_.notify_all();
}

void Repairs::lead() {
  leader_since_ = parts_.env.clock.now();
  all_heard_ = false;
  at_risk_cursor_.clear();
  survey_.clear();
  orders_.clear();
  finished_.clear();
  failed_.clear();
  failed_targets_.clear();
  damaged_.clear();
  reports_.clear();
  strange_.clear();
  adoptable_.clear();
  unwanted_.clear();
  suspects_.clear();
  leaving_.clear();
  parts_.racks.lead();
  wake_.notify_all();
}

bool Repairs::in_safe_mode() const {
  return !all_heard_ && parts_.env.clock.now() - leader_since_ < parts_.options.server_dead_limit;
}

bool Repairs::is_silent(ServerId id, Duration limit) const {
  const ServerRegistry::Server* server = parts_.registry.find(id);
  return server == nullptr || !server->last_heartbeat || parts_.env.clock.now() - *server->last_heartbeat > limit;
}

int64_t Repairs::log_now_ms(const wire::CountersRow& counters) const {
  return counters.log_time_ms() + parts_.proposer.unstamped_ms();
}

// --- With the heartbeats -----------------------------------------------------------------------------------------------

void Repairs::hear(const wire::HeartbeatRequest& heartbeat) {
  const ServerId server(heartbeat.server());
  std::vector<wire::RepairOrder>& orders = orders_[server];
  for (const wire::RepairOutcome& outcome : heartbeat.repairs()) {
    for (const wire::Shard& source : outcome.suspects()) {
      wire::ShardName name;
      name.set_block(outcome.shard().block());
      name.set_index(source.index());
      name.set_generation(source.generation());
      suspect(ServerId(source.server()), name);
    }
    const auto order = std::ranges::find_if(orders, [&](const wire::RepairOrder& each) {
      return placed_shard(server, each.shard()) == placed_shard(server, outcome.shard());
    });
    if (order == orders.end() && !mutant_active(Mutant::kFinishStaleRepair)) continue;
    if (order != orders.end()) orders.erase(order);
    if (outcome.error() == 0) {
      wire::FinishRepair& finish = finished_.emplace_back();
      finish.set_block(outcome.shard().block());
      finish.set_index(outcome.shard().index());
      finish.set_target(server.value());
      finish.set_generation(outcome.shard().generation());
      finish.set_length(outcome.length());
      finish.set_crc32c(outcome.crc32c());
      continue;
    }
    parts_.env.log.warning("meta", "server {} cannot rebuild block {} shard {}: {}", server, outcome.shard().block(),
                           outcome.shard().index(), printable(outcome.detail()));
    wire::CancelRepairs::Repair& failed = failed_.emplace_back();
    failed.set_block(outcome.shard().block());
    failed.set_index(outcome.shard().index());
    failed.set_generation(outcome.shard().generation());
    failed_targets_[BlockId(outcome.shard().block())].push_back({server, parts_.env.clock.now() + kFailureMemory});
  }
  for (const wire::ShardName& name : heartbeat.damaged()) {
    suspects_.erase(placed_shard(server, name));
    if (damaged_.size() < kMaxWaitingDamage) damaged_.insert(placed_shard(server, name));
  }
  leaving_.hear(heartbeat, parts_.env.clock.now());
  if (finished_.empty() && failed_.empty() && damaged_.empty()) return;
  wanted_ = true;
  wake_.notify_all();
}

void Repairs::tell(ServerId server, wire::HeartbeatReply& reply) {
  const std::vector<wire::RepairOrder>& orders = orders_[server];
  for (size_t i = 0; i < std::min(orders.size(), kMaxOrdersPerHeartbeat); ++i) *reply.add_repairs() = orders[i];
  // Each is told once: a reader that finds the damage again says so again.
  tell_once(server, suspects_, *reply.mutable_verify());
}

void Repairs::take_digests(ServerId server, ReportNumber number, const std::vector<uint64_t>& differing) {
  strange_.take_digests(server, number, differing);
}

void Repairs::take_report(ServerId server, ReportNumber number, uint64_t bucket, ReportFindings findings) {
  strange_.take_bucket(server, number, bucket, {findings.impossible.size(), findings.unwanted.size()});
  // Nobody can have written these: something is very wrong, and not for us to tidy up.
  for (const PlacedShard& shard : findings.impossible) {
    parts_.env.log.error("meta", "server {} has block {} shard {} generation {}, which was never issued", server,
                         shard.block, shard.index, shard.generation);
  }
  for (const PlacedShard& shard : findings.unread) suspect(server, shard_name(shard));
  ReportFindings confirmed = reports_.confirm(server, number, std::move(findings));
  if (damaged_.size() + adoptable_.size() + unwanted_.size() > kMaxWaitingDamage) return;
  damaged_.merge(confirmed.damaged);
  damaged_.merge(confirmed.absent);
  adoptable_.merge(confirmed.adoptable);
  unwanted_.merge(confirmed.unwanted);
  if (damaged_.empty() && adoptable_.empty() && unwanted_.empty()) return;
  wanted_ = true;
  wake_.notify_all();
}

void Repairs::suspect(ServerId server, const wire::ShardName& shard) {
  if (suspects_.size() < kMaxSuspects) suspects_.insert(placed_shard(server, shard));
}

// --- The rounds --------------------------------------------------------------------------------------------------------

Task<void> Repairs::run() {
  while (!stopping_) {
    if (parts_.is_leader()) co_await round();
    if (stopping_) break;
    if (!std::exchange(wanted_, false)) co_await wake_.wait_until(parts_.env.clock.now() + kRoundInterval);
  }
}

Task<void> Repairs::round() {
  const auto query = [this](const MetaTables& tables) { return look(tables); };
  Result<Picture> picture = co_await parts_.reader.read<Picture>(query);
  if (!picture || stopping_ || !parts_.is_leader()) co_return;
  for (const wire::ChunkServerRow& row : picture.value().servers) parts_.registry.learn(row);
  parts_.racks.see(picture.value().servers);
  co_await judge_servers(picture.value().servers);
  co_await end_maintenance(picture.value());
  co_await sweep(picture.value().servers);
  co_await take_damage();
  co_await take_findings();
  co_await take_outcomes();
  co_await give_up(picture.value());
  if (stopping_ || !parts_.is_leader() || in_safe_mode()) co_return;
  co_await add_leaving(picture.value());
  co_await add_crowded(picture.value());
  if (!stopping_ && parts_.is_leader()) co_await plan(picture.value());
}

Result<Repairs::Picture> Repairs::look_at_repairs(const MetaTables& tables) {
  Picture picture;
  DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
  if (counters) picture.counters = *counters;
  DOGFS_TRY(picture.servers, tables.servers());
  std::string next;
  DOGFS_TRY(picture.reserved, blocks_in(tables, tables.keys().all_reserved(), kMaxReservedBlocks, next));
  return picture;
}

Result<Repairs::Picture> Repairs::look(const MetaTables& tables) const {
  DOGFS_TRY(Picture picture, look_at_repairs(tables));
  if (parts_.options.repair_candidates) {
    DOGFS_TRY(picture.at_risk, parts_.options.repair_candidates(tables));
  } else {
    DOGFS_TRYV(look_at_risks(tables, picture));
  }
  picture.survey_end = picture.at_risk.size();
  return picture;
}

Status Repairs::look_at_risks(const MetaTables& tables, Picture& picture) const {
  std::string next;
  // What cannot be decoded stands last.
  const KeyRange all = tables.keys().all_at_risk();
  const std::string lost = tables.keys().at_risk(Risk::kLost).begin;
  DOGFS_TRY(picture.at_risk, blocks_in(tables, {all.begin, lost}, kWindowBlocks, next));
  const auto add = [&](const KeyRange& range, std::string& rest) -> Status {
    DOGFS_TRY(std::vector<wire::BlockRow> more, blocks_in(tables, range, kWindowBlocks, rest));
    std::ranges::move(more, std::back_inserter(picture.at_risk));
    return ok();
  };
  picture.begins_pass = next.empty() || at_risk_cursor_.empty();
  if (!picture.begins_pass) picture.survey_begin = picture.at_risk.size();
  if (!next.empty()) {
    DOGFS_TRYV(add({std::max(next, at_risk_cursor_), lost}, picture.next_at_risk));
  }
  // Nothing can be done about these, but it is said.
  if (picture.next_at_risk.empty()) {
    DOGFS_TRYV(add({lost, all.end}, next));
  }
  return ok();
}

std::optional<wire::ServerState> Repairs::judge(const wire::ChunkServerRow& row) const {
  const ServerId id(row.server());
  if (row.state() == wire::DEAD) {
    return is_silent(id, parts_.options.server_silence_limit) ? std::nullopt : std::optional(wire::LIVE);
  }
  const Duration limit = parts_.options.server_dead_limit;
  const bool mortal = row.state() == wire::LIVE || row.state() == wire::DRAINING;
  // Before that, silence may be this leader's own: it has not listened for a full period.
  if (!mortal || parts_.env.clock.now() - leader_since_ < limit || !is_silent(id, limit)) return std::nullopt;
  return wire::DEAD;
}

Task<void> Repairs::judge_servers(const std::vector<wire::ChunkServerRow>& rows) {
  all_heard_ =
      all_heard_ || std::ranges::none_of(rows, [this](const wire::ChunkServerRow& row) {
        return row.state() == wire::LIVE && is_silent(ServerId(row.server()), parts_.options.server_silence_limit);
      });
  for (const wire::ChunkServerRow& row : rows) {
    const std::optional<wire::ServerState> state = judge(row);
    if (!state) continue;
    wire::Command command;
    command.mutable_set_server_state()->set_server(row.server());
    command.mutable_set_server_state()->set_incarnation(row.incarnation());
    command.mutable_set_server_state()->set_state(*state);
    if (co_await parts_.proposer.propose_own(std::move(command))) {
      parts_.env.log.warning("meta", "chunk server {} at {} is {}", row.server(), row.address(),
                             *state == wire::DEAD ? "declared dead" : "back");
    }
    if (stopping_ || !parts_.is_leader()) co_return;
  }
}

// Who is still away then is silent as any other. Not as an operator would end it: what was asked for since the rows were
// read must stay.
Task<void> Repairs::end_maintenance(const Picture& picture) {
  const int64_t now_ms = log_now_ms(picture.counters);
  for (const wire::ChunkServerRow& row : picture.servers) {
    if (row.wanted() != wire::MAINTENANCE || row.maintenance_until_ms() > now_ms) continue;
    if (stopping_ || !parts_.is_leader()) co_return;
    wire::Command command;
    command.mutable_set_server_state()->set_server(row.server());
    command.mutable_set_server_state()->set_state(wire::LIVE);
    if (co_await parts_.proposer.propose_own(std::move(command))) {
      parts_.env.log.warning("meta", "the maintenance of chunk server {} at {} is over", row.server(), row.address());
    }
  }
}

Task<void> Repairs::sweep(const std::vector<wire::ChunkServerRow>& rows) {
  int steps = 0;
  for (const wire::ChunkServerRow& row : rows) {
    if (!row.sweeping()) continue;
    if (++steps > kSweepsPerRound || stopping_ || !parts_.is_leader()) break;
    wire::Command command;
    command.mutable_sweep_server()->set_server(row.server());
    command.mutable_sweep_server()->set_max_rows(kSweptRowsPerStep);
    co_await parts_.proposer.propose_own(std::move(command));
  }
  if (steps > 0) wanted_ = true;
}

Task<void> Repairs::take_outcomes() {
  const std::vector<wire::FinishRepair> finished = std::exchange(finished_, {});
  for (const wire::FinishRepair& finish : finished) {
    wire::Command command;
    *command.mutable_finish_repair() = finish;
    co_await parts_.proposer.propose_own(std::move(command));
    if (stopping_ || !parts_.is_leader()) co_return;
  }
  while (!failed_.empty()) {
    wire::Command command;
    while (!failed_.empty() && command.cancel_repairs().repairs_size() < kMaxRepairsPerCommand) {
      *command.mutable_cancel_repairs()->add_repairs() = failed_.back();
      failed_.pop_back();
    }
    if (!co_await parts_.proposer.propose_own(std::move(command))) co_return;
  }
}

Task<void> Repairs::take_damage() {
  while (!damaged_.empty() && !stopping_ && parts_.is_leader()) {
    std::vector<PlacedShard> said;
    while (!damaged_.empty() && said.size() < kMaxReportedPerCommand) {
      said.push_back(*damaged_.begin());
      damaged_.erase(damaged_.begin());
    }
    using Shards = std::vector<PlacedShard>;
    const Result<Shards> fresh =
        co_await parts_.reader.read<Shards>([&said](const MetaTables& tables) { return not_marked(tables, said); });
    if (!fresh) co_return;
    if (fresh.value().empty()) continue;
    wire::Command command;
    for (const PlacedShard& shard : fresh.value()) {
      set_placed_shard(shard, *command.mutable_mark_damaged()->add_shards());
    }
    if (!co_await parts_.proposer.propose_own(std::move(command))) co_return;
  }
}

Task<void> Repairs::take_findings() {
  while (!adoptable_.empty() && !stopping_ && parts_.is_leader()) {
    wire::Command command;
    std::vector<BlockId> blocks;
    while (!adoptable_.empty() && command.adopt_shards().shards_size() < kMaxReportedPerCommand) {
      blocks.push_back(adoptable_.begin()->first.block);
      *command.mutable_adopt_shards()->add_shards() = adoptable_.extract(adoptable_.begin()).mapped();
    }
    if (!co_await parts_.proposer.propose_own(std::move(command))) co_return;
    for (const BlockId block : blocks) parts_.racks.placed(block);
  }
  while (!unwanted_.empty() && !in_safe_mode() && !stopping_ && parts_.is_leader()) {
    wire::Command command;
    while (!unwanted_.empty() && command.discard_shards().shards_size() < kMaxReportedPerCommand) {
      *command.mutable_discard_shards()->add_shards() = unwanted_.extract(unwanted_.begin()).mapped();
    }
    if (!co_await parts_.proposer.propose_own(std::move(command))) co_return;
  }
}

Task<void> Repairs::give_up(const Picture& picture) {
  if (picture.reserved.empty()) co_return;
  const RepairSituation now = situation(picture);
  wire::Command command;
  for (const wire::BlockRow& block : picture.reserved) {
    for (const wire::RepairReservation& reservation : block.reservations()) {
      if (!is_fruitless(reservation, now.servers, now.now_ms)) continue;
      if (command.cancel_repairs().repairs_size() == kMaxRepairsPerCommand) break;
      wire::CancelRepairs::Repair& given_up = *command.mutable_cancel_repairs()->add_repairs();
      given_up.set_block(block.block());
      given_up.set_index(reservation.index());
      given_up.set_generation(reservation.generation());
    }
  }
  if (command.has_cancel_repairs()) co_await parts_.proposer.propose_own(std::move(command));
}

RepairSituation Repairs::situation(const Picture& picture) const {
  RepairSituation situation;
  situation.now_ms = log_now_ms(picture.counters);
  for (const wire::ChunkServerRow& row : picture.servers) {
    const ServerId id(row.server());
    RepairServer& server = situation.servers[id];
    server.rack = row.rack();
    server.state = row.state();
    server.state_since_ms = row.state_since_ms();
    server.reachable = !is_silent(id, parts_.options.server_silence_limit);
    const ServerRegistry::Server* heard = parts_.registry.find(id);
    if (heard != nullptr) {
      server.free_bytes = heard->open_bytes();
      server.room = heard->room();
      server.roomy = heard->is_roomy();
    }
  }
  for (const wire::BlockRow& block : picture.reserved) {
    for (const wire::RepairReservation& reservation : block.reservations()) {
      ++situation.under_way;
      const auto target = situation.servers.find(ServerId(reservation.target()));
      if (target != situation.servers.end()) ++target->second.rebuilding;
      const std::vector<wire::Shard> sources =
          repair_sources(block, ShardIndex(reservation.index()), situation.servers);
      for (size_t i = 0; i < std::min<size_t>(sources.size(), needed_shards(block)); ++i) {
        ++situation.servers.at(ServerId(sources[i].server())).reading;
      }
    }
  }
  return situation;
}

// What disks are to be rid of comes after all blocks that lack something.
Task<void> Repairs::add_leaving(Picture& picture) {
  const std::vector<PlacedShard> shards = leaving_.next(kWindowBlocks, parts_.env.clock.now());
  if (shards.empty()) co_return;
  const auto query = [&shards](const MetaTables& tables) { return LeavingShards::find(tables, shards); };
  Result<LeavingShards::Found> found = co_await parts_.reader.read<LeavingShards::Found>(query);
  if (!found) co_return;
  leaving_.forget(found.value().settled);
  std::set<uint64_t> at_risk;
  for (const wire::BlockRow& block : picture.at_risk) at_risk.insert(block.block());
  for (wire::BlockRow& block : found.value().blocks) {
    if (!at_risk.contains(block.block())) picture.at_risk.push_back(std::move(block));
  }
}

// What lies crowded in a rack comes last. A balancing sees to that too.
Task<void> Repairs::add_crowded(Picture& picture) {
  if (picture.counters.balance_threshold_percent() > 0) co_return;
  const RackRepair::Errand errand = parts_.racks.next(parts_.env.clock.now());
  if (errand.is_empty()) co_return;
  const auto query = [&errand](const MetaTables& tables) { return RackRepair::find(tables, errand); };
  Result<RackRepair::Found> found = co_await parts_.reader.read<RackRepair::Found>(query);
  if (!found || stopping_ || !parts_.is_leader()) co_return;
  size_t moving = 0;
  for (const wire::BlockRow& block : picture.reserved) {
    moving += static_cast<size_t>(std::ranges::count_if(block.reservations(), &wire::RepairReservation::move));
  }
  const size_t limit = kMaxRackMoves - std::min(moving, kMaxRackMoves);
  picture.crowded = parts_.racks.take(std::move(found).value(), errand, limit, parts_.env.clock.now());
}

Task<void> Repairs::plan(const Picture& picture) {
  at_risk_cursor_ = picture.next_at_risk;
  const MonoTime now = parts_.env.clock.now();
  for (auto failures = failed_targets_.begin(); failures != failed_targets_.end();) {
    std::erase_if(failures->second, [now](const Failure& failure) { return failure.until <= now; });
    failures = failures->second.empty() ? failed_targets_.erase(failures) : std::next(failures);
  }
  RepairSituation situation = this->situation(picture);
  situation.blocks = picture.at_risk;
  std::set<PlacedShard> moves;
  for (wire::BlockRow& block : situation.blocks) leaving_.mark(block, moves);
  add_rack_moves(picture, situation, moves);
  situation.seed = parts_.env.random.draw("meta.repair");
  for (const auto& [block, failures] : failed_targets_) {
    for (const Failure& failure : failures) situation.failed_targets[block].push_back(failure.target);
  }
  RepairPlan plan = plan_repairs(std::move(situation), parts_.options.repair_limits);
  survey(picture, plan);
  co_await start_repairs(std::move(plan.repairs), std::move(moves));
  // The orders are of what is reserved by now.
  const Result<Picture> after = co_await parts_.reader.read<Picture>(&Repairs::look_at_repairs);
  if (after && parts_.is_leader()) make_orders(after.value());
}

// Those that something else is to be done with are left to that.
void Repairs::add_rack_moves(const Picture& picture, RepairSituation& situation, std::set<PlacedShard>& moves) {
  std::set<uint64_t> known;
  for (const wire::BlockRow& block : situation.blocks) known.insert(block.block());
  for (const wire::BlockRow& block : picture.crowded) {
    if (known.contains(block.block())) continue;
    situation.crowded.insert(BlockId(block.block()));
    situation.blocks.push_back(block);
    for (const wire::Shard& shard : block.shards()) {
      if (shard.condition() == wire::Shard::LEAVING) moves.insert(placed_shard(BlockId(block.block()), shard));
    }
  }
}

// As many as one command takes; the others are planned again.
Task<void> Repairs::start_repairs(std::vector<PlannedRepair> repairs, std::set<PlacedShard> moves) {
  if (repairs.empty()) co_return;
  if (repairs.size() > kMaxRepairsPerCommand) repairs.resize(kMaxRepairsPerCommand);
  wire::Command command;
  command.mutable_start_repairs()->set_valid_ms(parts_.options.repair_validity.count());
  for (const PlannedRepair& each : repairs) {
    const bool move = moves.contains({.server = each.replaced_server,
                                      .block = each.block,
                                      .index = each.index,
                                      .generation = each.replaced_generation});
    *command.mutable_start_repairs()->add_repairs() = repair_to_wire(each, move);
  }
  co_await parts_.proposer.propose_own(std::move(command));
  for (const PlannedRepair& each : repairs) parts_.racks.placed(each.block);
}

void Repairs::survey(const Picture& picture, const RepairPlan& plan) {
  if (picture.begins_pass) survey_.begin_pass();
  survey_.add(plan.outlook, picture.survey_begin, picture.survey_end);
  if (picture.next_at_risk.empty()) survey_.end_pass(parts_.env.clock.now());
  std::vector<RepairOutlook> crowded;
  for (const RepairOutlook& shard : plan.outlook) {
    if (shard.position >= picture.at_risk.size()) crowded.push_back(shard);
  }
  parts_.racks.note(crowded, parts_.env.clock.now());
}

void Repairs::make_orders(const Picture& picture) {
  const RepairSituation servers = situation(picture);
  orders_.clear();
  for (const wire::BlockRow& block : picture.reserved) {
    for (const wire::RepairReservation& reservation : block.reservations()) {
      const bool finished = std::ranges::any_of(finished_, [&](const wire::FinishRepair& each) {
        return each.block() == block.block() && each.generation() == reservation.generation();
      });
      if (finished) continue;
      orders_[ServerId(reservation.target())].push_back(make_order(block, reservation, servers.servers));
    }
  }
}

wire::RepairOrder Repairs::make_order(const wire::BlockRow& block, const wire::RepairReservation& reservation,
                                      const std::map<ServerId, RepairServer>& servers) const {
  const wire::Shard& shard = *find_shard(block, reservation.index());
  wire::RepairOrder order;
  order.mutable_shard()->set_block(block.block());
  order.mutable_shard()->set_index(reservation.index());
  order.mutable_shard()->set_generation(reservation.generation());
  *order.mutable_policy() = block.policy();
  order.set_block_length(block.length());
  order.set_length(shard.length());
  order.set_crc32c(shard.crc32c());
  for (const wire::Shard& source : repair_sources(block, ShardIndex(reservation.index()), servers)) {
    wire::Shard& named = *order.add_sources();
    named = source;
    const ServerRegistry::Server* server = parts_.registry.find(ServerId(source.server()));
    if (server != nullptr) named.set_server_address(server->address);
  }
  return order;
}

}  // namespace dogfs
