#include "core/meta/balancer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/meta/repair_commands.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr Duration kRoundInterval = milliseconds(500);
constexpr size_t kBlocksPerRound = 1000;
// Moves under way at once, and in one round to or from one server: repairs and clients come first.
constexpr uint64_t kMaxMoves = 64;
constexpr uint32_t kMaxMovesPerServer = 4;

bool needs_repair(const wire::CountersRow& counters) {
  return counters.blocks_leaving() > 0 ||
         std::ranges::any_of(counters.blocks_with_spares(), [](uint64_t blocks) { return blocks > 0; });
}

}  // namespace

Balancer::Balancer(MetaParts& parts, const RepairSurvey& repairs)
    : parts_(parts), repairs_(repairs), tasks_(parts.env.executor, parts.env.clock), wake_(parts.env.clock) {}

void Balancer::start() {
  tasks_.spawn(run());
}

void Balancer::request_stop() {
  stopping_ = true;
  wake_.notify_all();
}

void Balancer::lead() {
  begin();
  crowded_ = {};
  // The log will tell.
  may_be_on_ = true;
  wake_.notify_all();
}

// Forgets what an earlier balancing, or another leader, came to.
void Balancer::begin() {
  moves_ = 0;
  balanced_ = false;
  excess_ = {};
  begin_first_pass();
}

void Balancer::begin_first_pass() {
  ++passes_begun_;
  measuring_ = true;
  cursor_ = BlockId();
  seen_ = 0;
  moved_in_pass_ = 0;
  used_.clear();
  counting_.clear();
  counting_crowded_ = {};
  rate_.clear();
}

Task<void> Balancer::run() {
  while (!stopping_) {
    if (parts_.is_leader()) co_await round();
    if (stopping_) break;
    co_await wake_.wait_until(may_be_on_ ? parts_.env.clock.now() + kRoundInterval : kNever);
  }
}

Task<void> Balancer::round() {
  const BlockId after = cursor_;
  Result<Picture> picture =
      co_await parts_.reader.read<Picture>([after](const MetaTables& tables) { return look(tables, after); });
  if (!picture || stopping_ || !parts_.is_leader()) co_return;
  const wire::CountersRow& counters = picture.value().counters;
  may_be_on_ = counters.balance_threshold_percent() > 0;
  if (!may_be_on_) co_return begin_first_pass();
  // What nobody can repair is not waited for.
  const bool repairs_first = needs_repair(counters) && !repairs_.all().are_stuck();
  waiting_ = repairs_first || misses_anyone(picture.value().servers);
  // Somebody may have started it anew meanwhile.
  if (waiting_ || counters.reservations() >= kMaxMoves || cursor_ != after) co_return;
  seen_ += picture.value().blocks.size();
  measure(picture.value());
  survey(picture.value());
  const uint64_t pass = passes_begun_;
  if (!measuring_) co_await move(picture.value());
  if (stopping_ || !parts_.is_leader() || passes_begun_ != pass) co_return;
  cursor_ = picture.value().next;
  if (cursor_.is_none()) co_await end_pass(counters.reservations());
}

Result<Balancer::Picture> Balancer::look(const MetaTables& tables, BlockId after) {
  Picture picture;
  DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
  if (counters) picture.counters = *counters;
  if (picture.counters.balance_threshold_percent() == 0) return picture;
  DOGFS_TRY(picture.servers, tables.servers());
  size_t rows = 0;
  DOGFS_TRYV(scan_rows<wire::BlockRow>(tables.reader(), tables.keys().blocks_after(after),
                                       [&](std::string_view key, wire::BlockRow block) {
                                         picture.next = BlockId(last_id(key));
                                         if (block.state() == wire::BlockRow::COMMITTED) {
                                           picture.blocks.push_back(std::move(block));
                                         }
                                         return ++rows < kBlocksPerRound;
                                       }));
  if (rows < kBlocksPerRound) picture.next = BlockId();
  return picture;
}

bool Balancer::is_there(ServerId id) const {
  const ServerRegistry::Server* heard = parts_.registry.find(id);
  return heard != nullptr && heard->last_heartbeat &&
         parts_.env.clock.now() - *heard->last_heartbeat <= parts_.options.server_silence_limit;
}

// Whether a server that should be there has not been heard of: it, or this leader, has only just begun.
bool Balancer::misses_anyone(const std::vector<wire::ChunkServerRow>& rows) const {
  return std::ranges::any_of(rows, [this](const wire::ChunkServerRow& row) {
    return row.state() == wire::LIVE && !is_there(ServerId(row.server()));
  });
}

void Balancer::measure(const Picture& picture) {
  for (const wire::BlockRow& block : picture.blocks) {
    for (const wire::Shard& shard : block.shards()) {
      if (shard.server() != 0) counting_[ServerId(shard.server())] += shard.length();
    }
  }
}

void Balancer::survey(const Picture& picture) {
  const BalancePlanner planner(servers(picture), picture.counters.balance_threshold_percent());
  for (const wire::BlockRow& block : picture.blocks) {
    const BalancePlanner::Spread spread = planner.spread(block);
    if (spread != BalancePlanner::Spread::kFine) ++counting_crowded_.blocks;
    if (spread == BalancePlanner::Spread::kStuck) ++counting_crowded_.stuck;
  }
  if (measuring_) return;
  excess_ = planner.excess();
  rate_.note(excess_.bytes, parts_.env.clock.now());
}

std::map<ServerId, BalanceServer> Balancer::servers(const Picture& picture) const {
  std::map<ServerId, BalanceServer> servers;
  for (const wire::ChunkServerRow& row : picture.servers) {
    const ServerId id(row.server());
    const ServerRegistry::Server* heard = parts_.registry.find(id);
    BalanceServer& server = servers[id];
    server.rack = row.rack();
    server.takes_shards = row.state() == wire::LIVE && is_there(id);
    if (heard != nullptr) {
      server.capacity = heard->total_bytes;
      server.roomy = heard->is_roomy();
    }
    const auto used = used_.find(id);
    if (used != used_.end()) server.used = used->second;
  }
  return servers;
}

Task<void> Balancer::move(const Picture& picture) {
  BalancePlanner planner(servers(picture), picture.counters.balance_threshold_percent());
  std::map<ServerId, uint32_t> busy;
  wire::Command command;
  uint64_t under_way = picture.counters.reservations();
  for (const wire::BlockRow& block : picture.blocks) {
    if (under_way >= kMaxMoves) break;
    const std::optional<PlannedRepair> planned = planner.plan(block);
    if (!planned) continue;
    ++moved_in_pass_;
    // What is too much for a server now is found again by the next pass.
    if (busy[planned->target] >= kMaxMovesPerServer || busy[planned->replaced_server] >= kMaxMovesPerServer) continue;
    ++busy[planned->target];
    ++busy[planned->replaced_server];
    ++under_way;
    note(*planned, find_shard(block, planned->index.value())->length());
    planner.note(*planned, find_shard(block, planned->index.value())->length());
    *command.mutable_start_repairs()->add_repairs() = repair_to_wire(*planned, true);
  }
  if (!command.has_start_repairs()) co_return;
  command.mutable_start_repairs()->set_valid_ms(parts_.options.repair_validity.count());
  moves_ += static_cast<uint64_t>(command.start_repairs().repairs_size());
  co_await parts_.proposer.propose_own(std::move(command));
}

// This pass counted the shard where it was.
void Balancer::note(const PlannedRepair& move, uint64_t bytes) {
  for (std::map<ServerId, uint64_t>* counted : {&used_, &counting_}) {
    uint64_t& from = (*counted)[move.replaced_server];
    from -= std::min(from, bytes);
    (*counted)[move.target] += bytes;
  }
}

Task<void> Balancer::end_pass(uint64_t under_way) {
  const bool done = !measuring_ && moved_in_pass_ == 0 && under_way == 0;
  used_ = std::exchange(counting_, {});
  crowded_ = std::exchange(counting_crowded_, {});
  measuring_ = false;
  moved_in_pass_ = 0;
  seen_ = 0;
  if (!done) co_return;
  parts_.env.log.info("meta", "balanced: a pass over all blocks found nothing to move");
  balanced_ = true;
  const Result<wire::CommandReply> reply = co_await set(false, 0, parts_.env.clock.now() + kProposalLimit);
  if (!reply) parts_.env.log.info("meta", "the balancing goes on: {}", reply.error().to_string());
}

Task<Result<wire::CommandReply>> Balancer::set(bool on, uint32_t threshold_percent, MonoTime deadline) {
  wire::Command command;
  command.mutable_set_balancing()->set_on(on);
  command.mutable_set_balancing()->set_threshold_percent(threshold_percent);
  return parts_.proposer.propose(std::move(command), deadline);
}

Task<Reply> Balancer::balance(Request request, MonoTime deadline) {
  const Result<wire::BalanceRequest> parsed = parse_message<wire::BalanceRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const wire::BalanceRequest& message = parsed.value();
  if (message.action() == wire::BalanceRequest::STATUS) {
    const Result<LogIndex> current = co_await parts_.replica.read_barrier(deadline);
    if (!current) co_return parts_.refuse(current.error());
  } else {
    const bool on = message.action() == wire::BalanceRequest::START;
    Result<wire::CommandReply> outcome = co_await set(on, message.threshold_percent(), deadline);
    if (!outcome || outcome.value().error() != 0) co_return parts_.answer(std::move(outcome));
    if (on) {
      begin();
      may_be_on_ = true;
      wake_.notify_all();
    }
  }
  const Result<wire::CountersRow> counters =
      co_await parts_.reader.read<wire::CountersRow>([](const MetaTables& tables) -> Result<wire::CountersRow> {
        DOGFS_TRY(const std::optional<wire::CountersRow> row, tables.counters());
        return row.value_or(wire::CountersRow());
      });
  if (!counters) co_return error_reply(counters.error());
  co_return make_reply(describe(counters.value()));
}

wire::BalanceReply Balancer::describe(const wire::CountersRow& counters) const {
  wire::BalanceReply reply;
  reply.set_threshold_percent(counters.balance_threshold_percent());
  reply.set_moves(moves_);
  reply.set_blocks_seen(seen_);
  reply.set_blocks(counters.blocks());
  reply.set_measuring(measuring_);
  reply.set_balanced(balanced_);
  reply.set_waiting(waiting_ && reply.threshold_percent() > 0);
  reply.set_crowded_blocks(crowded_.blocks);
  reply.set_stuck_blocks(crowded_.stuck);
  reply.set_servers_too_full(excess_.servers);
  reply.set_bytes_left(excess_.bytes);
  const std::optional<milliseconds> time = rate_.time_for(excess_.bytes);
  reply.set_estimate_ms(excess_.bytes > 0 && time ? time->count() : -1);
  return reply;
}

}  // namespace dogfs
