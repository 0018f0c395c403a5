#include "core/meta/client_requests.h"

#include <algorithm>
#include <utility>

#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/meta/block_commands.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

// What a command adds to the mutation that it carries.
constexpr size_t kCommandOverheadBytes = 16 * kKiB;
// Leases that one RenewLeases names.
constexpr int kMaxRenewedLeases = 10'000;

bool needs_placement(const wire::Mutation& mutation) {
  return mutation.has_allocate_block() || mutation.has_replace_target();
}

bool may_leave_garbage(wire::Mutation::OperationCase operation) {
  return operation == wire::Mutation::kDelete || operation == wire::Mutation::kRename ||
         operation == wire::Mutation::kCreateFile || operation == wire::Mutation::kReplaceBlocks ||
         operation == wire::Mutation::kPurgeTrash;
}

const google::protobuf::RepeatedField<uint64_t>& excluded_servers(const wire::Mutation& mutation) {
  return mutation.has_allocate_block() ? mutation.allocate_block().excluded_servers()
                                       : mutation.replace_target().excluded_servers();
}

Status validate(const Request& request, const wire::MutateRequest& message) {
  const auto refuse = [](std::string_view why) { return Error(ErrorCode::kInvalidArgument, std::string(why)); };
  if (message.session() == 0 || message.sequence() == 0) return refuse("a change needs a session and a sequence");
  if (request.principal.size() > kMaxPrincipalBytes) return refuse("the principal is too long");
  if (message.mutation().operation_case() == wire::Mutation::OPERATION_NOT_SET) {
    return Error(ErrorCode::kUnsupported, "the mutation is of no kind that this release knows");
  }
  if (needs_placement(message.mutation()) && excluded_servers(message.mutation()).size() > kMaxExcludedServers) {
    return refuse("too many excluded servers");
  }
  return ok();
}

// What is not over in a moment, and is the answer to the change.
bool is_lack_of_servers(const Error& error) {
  return error.code == ErrorCode::kInsufficientServers || error.code == ErrorCode::kNoSpace;
}

// The lease under which a mutation was made, if it was under one.
struct UsedLease {
  InodeId inode;
  LeaseEpoch epoch;
};

std::optional<UsedLease> used_lease(const wire::Mutation& mutation) {
  const auto of = [](const auto& operation) {
    return UsedLease{InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())};
  };
  if (mutation.has_allocate_block()) return of(mutation.allocate_block());
  if (mutation.has_replace_target()) return of(mutation.replace_target());
  if (mutation.has_commit_block()) return of(mutation.commit_block());
  if (mutation.has_abandon_block()) return of(mutation.abandon_block());
  if (mutation.has_truncate_file()) return of(mutation.truncate_file());
  if (mutation.has_commit_tail()) return of(mutation.commit_tail());
  if (mutation.has_replace_blocks()) return of(mutation.replace_blocks());
  return std::nullopt;
}

BlockId allocated_block(const Reply& reply) {
  wire::MutateReply message;
  if (!message.ParseFromString(reply.body)) return {};
  return BlockId(message.result().allocate_block().block());
}

}  // namespace

Task<Reply> ClientRequests::open_session(Request request, MonoTime deadline) {
  const Result<wire::OpenSessionRequest> parsed = parse_message<wire::OpenSessionRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  wire::Command command;
  command.mutable_open_session();
  co_return parts_.answer(co_await parts_.proposer.propose(std::move(command), deadline));
}

Task<Reply> ClientRequests::mutate(Request request, MonoTime deadline) {
  if (request.body.size() > kMaxCommandBytes - kCommandOverheadBytes) {
    co_return error_reply(Error(ErrorCode::kLimitExceeded, "the change is larger than a log entry may be"));
  }
  Result<wire::MutateRequest> parsed = parse_message<wire::MutateRequest>(request.body);
  if (!parsed) co_return error_reply(std::move(parsed).error());
  wire::MutateRequest& message = parsed.value();
  const Status valid = validate(request, message);
  if (!valid) co_return error_reply(valid.error());
  if (!parts_.is_leader()) co_return parts_.refuse(Error(ErrorCode::kNotLeader));

  wire::Command command;
  command.set_session(message.session());
  command.set_sequence(message.sequence());
  command.set_low_water(message.low_water());
  command.set_principal(std::move(request.principal));
  command.mutable_mutation()->Swap(message.mutable_mutation());
  if (command.mutation().has_replace_target()) co_return co_await replace_target(std::move(command), deadline);
  co_return co_await carry_out(std::move(command), deadline);
}

// The targets of a block are replaced one after the other: each is placed by what the one before has made of the block. Two
// at once could be given the same server, and one of them be refused although there are others.
Task<Reply> ClientRequests::replace_target(wire::Command command, MonoTime deadline) {
  const BlockId block(command.mutation().replace_target().block());
  while (replacing_.contains(block)) {
    DOGFS_COVERAGE_MARK("meta: two targets of a block replaced at once");
    if (!co_await replaced_.wait_until(deadline)) co_return error_reply(Error(ErrorCode::kTimeout));
  }
  replacing_.insert(block);
  Reply reply = co_await carry_out(std::move(command), deadline);
  replacing_.erase(block);
  replaced_.notify_all();
  co_return reply;
}

Task<Reply> ClientRequests::carry_out(wire::Command command, MonoTime deadline) {
  const auto operation = command.mutation().operation_case();
  const bool placed = needs_placement(command.mutation());
  const std::optional<UsedLease> lease = used_lease(command.mutation());
  Status ready = room_.admit(command.mutation());
  bool crowds = false;
  if (ready && placed) {
    Result<bool> chosen = co_await place(command, deadline);
    if (chosen) {
      crowds = chosen.value();
    } else if (is_lack_of_servers(chosen.error())) {
      command.set_unplaced_error(static_cast<uint32_t>(chosen.error().code));
      command.set_unplaced_detail(chosen.error().detail);
    } else {
      ready = std::move(chosen).error();
    }
  }
  if (!ready) {
    // A retry of what took effect needs no room: its kept reply is the answer, whatever is left of that.
    const Result<bool> answered = co_await is_answered(command, deadline);
    if (!answered) co_return parts_.refuse(answered.error());
    if (!answered.value()) co_return parts_.refuse(std::move(ready).error());
  }
  const BlockId replaced_in(command.mutation().replace_target().block());
  Reply reply = parts_.answer(co_await parts_.proposer.propose(std::move(command), deadline));
  if (reply.error.code != ErrorCode::kOk) co_return reply;
  if (crowds) parts_.racks.placed(replaced_in.is_none() ? allocated_block(reply) : replaced_in);
  if (lease) parts_.leases.renew(lease->inode, lease->epoch, parts_.env.clock.now());
  if (may_leave_garbage(operation)) parts_.reclaim_wanted.notify_all();
  if (placed) co_return co_await with_addresses(std::move(reply), deadline);
  co_return reply;
}

Result<std::optional<ClientRequests::Need>> ClientRequests::need_of(const MetaTables& tables,
                                                                    const wire::Mutation& mutation) {
  const bool allocate = mutation.has_allocate_block();
  const InodeId inode(allocate ? mutation.allocate_block().inode() : mutation.replace_target().inode());
  DOGFS_TRY(const std::optional<wire::InodeRow> file, tables.inode(inode));
  if (!file || !file->has_file_policy()) return std::optional<Need>();
  DOGFS_TRY(const Geometry geometry, geometry_from_wire(file->file_policy()));
  DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
  Need need;
  need.registered = counters ? counters->servers() : 0;
  const uint64_t asked = allocate ? mutation.allocate_block().length() : mutation.replace_target().length();
  const BlockLayout layout(geometry, asked == 0 ? geometry.block_bytes : std::min(asked, geometry.block_bytes));
  // That of a parity shard, too: no data shard has more.
  need.shard_bytes = shard_file_bound(layout.shard_length(ShardIndex(0)));
  if (allocate) {
    need.wanted = layout.stored_shards();
    need.least = durable_minimum(layout.stored_data_shards());
    need.spare = geometry.parity_shards;
    return std::optional<Need>(std::move(need));
  }
  DOGFS_TRY(const std::optional<wire::BlockRow> block, tables.block(BlockId(mutation.replace_target().block())));
  if (!block) return std::optional<Need>();
  need.wanted = 1;
  need.least = 1;
  for (const wire::Shard& target : current_targets(*block)) need.used.emplace_back(target.server());
  return std::optional<Need>(std::move(need));
}

// A leader may be behind with applying what it knows to be committed: where a row is missing it first catches up.
Task<Result<bool>> ClientRequests::place(wire::Command& command, MonoTime deadline) {
  const auto query = [&command](const MetaTables& tables) { return need_of(tables, command.mutation()); };
  DOGFS_CO_TRY(std::optional<Need> need, co_await parts_.reader.read<std::optional<Need>>(query));
  if (!need) {
    DOGFS_CO_TRYV(co_await parts_.replica.read_barrier(deadline));
    DOGFS_CO_TRY(need, co_await parts_.reader.read<std::optional<Need>>(query));
  }
  if (!need) co_return false;
  co_return choose_servers(*need, command);
}

Task<Result<bool>> ClientRequests::is_answered(const wire::Command& command, MonoTime deadline) {
  DOGFS_CO_TRYV(co_await parts_.replica.read_barrier(deadline));
  const auto query = [&command](const MetaTables& tables) -> Result<bool> {
    DOGFS_TRY(const std::optional<std::string> kept,
              tables.reply(SessionId(command.session()), SequenceNumber(command.sequence())));
    return kept.has_value();
  };
  co_return co_await parts_.reader.read<bool>(query);
}

bool ClientRequests::may_crowd(const Need& need, const std::vector<ServerId>& chosen) const {
  std::map<std::string, uint32_t> racks;
  for (const ServerId server : chosen) ++racks[parts_.registry.find(server)->rack];
  return !need.spare || std::ranges::any_of(racks, [&need](const auto& rack) { return rack.second > *need.spare; });
}

Result<bool> ClientRequests::choose_servers(const Need& need, wire::Command& command) {
  const MonoTime now = parts_.env.clock.now();
  const std::vector<PlacementCandidate> candidates =
      parts_.registry.candidates(now - parts_.options.server_silence_limit);
  std::vector<ServerId> excluded;
  for (const uint64_t server : excluded_servers(command.mutation())) excluded.emplace_back(server);
  PlacementRequest request{.wanted = need.wanted,
                           .shard_bytes = need.shard_bytes,
                           .used = need.used,
                           .excluded = excluded,
                           .seed = parts_.env.random.draw("meta.placement")};
  const std::vector<ServerId> chosen = place_shards(candidates, request);
  // Who was not heard of yet is not away: a block must not go short of a server that is about to speak up.
  const Status listened = parts_.registry.check_listened(now, parts_.options.server_silence_limit);
  const bool may_be_more = chosen.size() < need.wanted && parts_.registry.heard_of() < need.registered;
  if (!listened && (may_be_more || chosen.size() < need.least)) {
    DOGFS_COVERAGE_MARK("meta: waits for servers that were not heard of");
    return listened.error();
  }
  if (chosen.size() < need.least) {
    request.shard_bytes = 0;
    const size_t eligible = count_eligible(candidates, request);
    // Without room for one shard a block that is under way goes short: that is no reason to end it.
    if (command.mutation().has_allocate_block() && eligible >= need.least) {
      return Error(ErrorCode::kNoSpace,
                   fmt::format("a block needs {} bytes on each of {} chunk servers, and {} of {} have so much",
                               need.shard_bytes, need.least, chosen.size(), eligible));
    }
    return Error(
        ErrorCode::kInsufficientServers,
        fmt::format("{} needed, {} available ({} alive, {} of them in use for this block or excluded, {} full)",
                    need.least, chosen.size(), candidates.size(), candidates.size() - eligible,
                    eligible - chosen.size()));
  }
  for (const ServerId server : chosen) {
    command.add_placed_servers(server.value());
    parts_.registry.placed_on(server);
  }
  return may_crowd(need, chosen);
}

Task<Reply> ClientRequests::with_addresses(Reply reply, MonoTime deadline) {
  wire::MutateReply message;
  if (!message.ParseFromString(reply.body)) co_return reply;
  wire::MutationResult& result = *message.mutable_result();
  std::vector<wire::Shard*> targets;
  if (result.has_allocate_block()) {
    for (wire::Shard& target : *result.mutable_allocate_block()->mutable_targets()) targets.push_back(&target);
  }
  if (result.has_replace_target()) targets.push_back(result.mutable_replace_target()->mutable_target());
  // An earlier leader may have chosen servers that this one has not heard of yet.
  std::vector<ServerId> strangers;
  for (const wire::Shard* target : targets) {
    const ServerId server(target->server());
    if (!server.is_none() && parts_.registry.find(server) == nullptr) strangers.push_back(server);
  }
  if (!strangers.empty()) {
    const Status learnt = co_await learn(std::move(strangers), deadline);
    if (!learnt) co_return parts_.refuse(learnt.error());
  }
  for (wire::Shard* target : targets) {
    const ServerRegistry::Server* server = parts_.registry.find(ServerId(target->server()));
    if (server != nullptr) target->set_server_address(server->address);
  }
  reply.body = message.SerializeAsString();
  co_return reply;
}

Task<Status> ClientRequests::learn(std::vector<ServerId> servers, MonoTime deadline) {
  using Rows = std::vector<wire::ChunkServerRow>;
  DOGFS_CO_TRYV(co_await parts_.replica.read_barrier(deadline));
  DOGFS_CO_TRY(const Rows rows, co_await parts_.reader.read<Rows>([&servers](const MetaTables& tables) -> Result<Rows> {
    Rows found;
    for (const ServerId server : servers) {
      DOGFS_TRY(std::optional<wire::ChunkServerRow> row, tables.server(server));
      if (row) found.push_back(std::move(*row));
    }
    return found;
  }));
  for (const wire::ChunkServerRow& row : rows) parts_.registry.learn(row);
  co_return ok();
}

Task<Reply> ClientRequests::renew_leases(Request request, MonoTime deadline) {
  const Result<wire::RenewLeasesRequest> parsed = parse_message<wire::RenewLeasesRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const wire::RenewLeasesRequest& message = parsed.value();
  if (message.inodes_size() > kMaxRenewedLeases) {
    co_return error_reply(Error(ErrorCode::kLimitExceeded, fmt::format("at most {} leases", kMaxRenewedLeases)));
  }
  const Result<LogIndex> current = co_await parts_.replica.read_barrier(deadline);
  if (!current) co_return parts_.refuse(current.error());
  using Leases = std::vector<std::optional<wire::LeaseRow>>;
  const Result<Leases> leases = co_await parts_.reader.read<Leases>([&](const MetaTables& tables) -> Result<Leases> {
    Leases rows;
    for (const uint64_t inode : message.inodes()) {
      DOGFS_TRY(std::optional<wire::LeaseRow> row, tables.lease(InodeId(inode)));
      rows.push_back(std::move(row));
    }
    return rows;
  });
  if (!leases) co_return error_reply(leases.error());
  const MonoTime now = parts_.env.clock.now();
  wire::RenewLeasesReply reply;
  for (int i = 0; i < message.inodes_size(); ++i) {
    const std::optional<wire::LeaseRow>& row = leases.value()[static_cast<size_t>(i)];
    if (row && row->session() == message.session()) {
      parts_.leases.renew(InodeId(message.inodes(i)), LeaseEpoch(row->lease_epoch()), now);
    } else {
      reply.add_lost(message.inodes(i));
    }
  }
  if (reply.lost_size() < message.inodes_size()) parts_.leases.session_heard(SessionId(message.session()), now);
  co_return make_reply(reply);
}

}  // namespace dogfs
