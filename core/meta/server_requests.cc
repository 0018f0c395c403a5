#include "core/meta/server_requests.h"

#include <algorithm>
#include <utility>

#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/base/mutant.h"
#include "core/meta/block_report.h"
#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"
#include "core/raft/raft.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

// Rows of garbage that are looked at for one heartbeat.
constexpr size_t kMaxGarbageLookedAt = 20'000;

// What has the index of a replaced shard now. False where that is not known to be whole, and so the other may be the last
// good one; where the block is gone, there is no successor and need be none.
Result<bool> find_successor(const MetaTables& tables, DueGarbage& garbage) {
  DOGFS_TRY(const std::optional<wire::BlockRow> block, tables.block(garbage.shard.block));
  const wire::Shard* listed = block ? find_shard(*block, garbage.shard.index.value()) : nullptr;
  if (listed == nullptr) return true;
  if (!is_intact(*listed)) return false;
  garbage.successor = placed_shard(garbage.shard.block, *listed);
  return true;
}

Error registered_again(ServerId server) {
  return {ErrorCode::kConflict, fmt::format("another process has registered as chunk server {} since", server)};
}

}  // namespace

Result<GarbagePart> due_garbage(const MetaTables& tables, ServerId server, int64_t now_ms, const std::string& from,
                                size_t limit) {
  std::vector<std::pair<GarbageShard, bool>> aged;
  size_t seen = 0;
  GarbagePart part;
  KeyRange range = tables.keys().garbage_of(server);
  range.begin = std::max(range.begin, from);
  DOGFS_TRYV(
      scan_rows<wire::GarbageRow>(tables.reader(), range, [&](std::string_view key, const wire::GarbageRow& row) {
        if (aged.size() == limit || seen++ == kMaxGarbageLookedAt) {
          part.next = key;
          return false;
        }
        if (row.due_ms() <= now_ms) aged.emplace_back(garbage_shard(key), row.replaced());
        return true;
      }));
  for (const auto& [shard, replaced] : aged) {
    DueGarbage garbage{.shard = shard, .successor = {}};
    bool due = true;
    if (replaced) {
      DOGFS_TRY(due, find_successor(tables, garbage));
    }
    if (due) part.due.push_back(garbage);
  }
  return part;
}

Task<Reply> ServerRequests::register_server(Request request, MonoTime deadline) {
  Result<wire::RegisterServerRequest> parsed = parse_message<wire::RegisterServerRequest>(request.body);
  if (!parsed) co_return error_reply(std::move(parsed).error());
  const wire::RegisterServerRequest& message = parsed.value();
  wire::Command command;
  wire::RegisterServer& registration = *command.mutable_register_server();
  registration.set_uuid(message.uuid());
  registration.set_address(message.address());
  registration.set_rack(message.rack());
  registration.set_cluster_uuid(message.cluster_uuid());
  co_return parts_.answer(co_await parts_.proposer.propose(std::move(command), deadline));
}

Task<Reply> ServerRequests::heartbeat(Request request, MonoTime deadline) {
  const Result<wire::HeartbeatRequest> parsed = parse_message<wire::HeartbeatRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const wire::HeartbeatRequest& message = parsed.value();
  const bool too_many_suspects = std::ranges::any_of(message.repairs(), [](const wire::RepairOutcome& outcome) {
    return static_cast<uint32_t>(outcome.suspects_size()) > kMaxShards;
  });
  if (too_many_suspects || message.deleted_size() > kMaxShardsPerHeartbeat ||
      message.repairs_size() > kMaxShardsPerHeartbeat || message.damaged_size() > kMaxShardsPerHeartbeat ||
      message.leaving_size() > kMaxShardsPerHeartbeat || message.whole_size() > kMaxShardsPerHeartbeat) {
    co_return error_reply(Error(ErrorCode::kLimitExceeded, "too many shards in one heartbeat"));
  }
  const bool fits = message.disks_size() <= kMaxDisksPerServer &&
                    std::ranges::all_of(message.disks(), [](const wire::DiskInfo& disk) {
                      return disk.id().size() <= kUuidBytes && disk.name().size() <= kMaxDiskNameBytes &&
                             disk.alarm().size() <= kMaxDiskAlarmBytes;
                    });
  if (!fits) co_return error_reply(Error(ErrorCode::kLimitExceeded, "too much about disks in one heartbeat"));
  const Status known_cluster = co_await learn_cluster_uuid();
  if (!known_cluster) co_return error_reply(known_cluster.error());
  if (!parts_.cluster_uuid.empty() && message.cluster_uuid() != parts_.cluster_uuid) {
    co_return error_reply(Error(ErrorCode::kWrongCluster, "the chunk server was registered with another cluster"));
  }
  const Result<bool> identified = co_await identify(message.server(), message.incarnation(), deadline);
  if (!identified) co_return parts_.refuse(identified.error());
  wire::HeartbeatReply reply;
  for (const auto& [node, address] : parts_.replica.raft()->configuration().addresses) {
    reply.add_meta_nodes(address.value);
  }
  if (!identified.value()) co_return make_reply(reply);
  const ServerId server(message.server());
  // It registers again, and hears then that it is to end.
  if (parts_.registry.find(server)->state == wire::REMOVED) {
    co_return error_reply(Error(ErrorCode::kConflict, fmt::format("chunk server {} was removed", server)));
  }
  parts_.registry.heard(message, parts_.env.clock.now());
  reply.set_leader(parts_.is_leader());
  if (!reply.leader()) co_return make_reply(reply);
  for (const wire::ShardName& shard : message.deleted()) {
    parts_.registry.confirm(placed_shard(server, shard));
  }
  repairs_.hear(message);
  repairs_.tell(server, reply);
  successors_.hear(message, parts_.env.clock.now());
  successors_.tell(server, reply);
  reply.set_applied_index(parts_.replica.applied().value());
  const Status added = co_await add_deletions(server, reply, deadline);
  if (!added) co_return error_reply(added.error());
  co_return make_reply(reply);
}

// Only the present process of a server speaks for it, and only a leader listens.
Status ServerRequests::check_reporter(uint64_t server, uint64_t incarnation) const {
  if (!parts_.is_leader()) return Error(ErrorCode::kNotLeader);
  const ServerRegistry::Server* known = parts_.registry.find(ServerId(server));
  if (known == nullptr) return Error(ErrorCode::kUnavailable, "the chunk server has not been heard of");
  if (known->incarnation == incarnation) return ok();
  return registered_again(ServerId(server));
}

Task<Reply> ServerRequests::report_digests(Request request) {
  const Result<wire::ReportDigestsRequest> parsed = parse_message<wire::ReportDigestsRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const wire::ReportDigestsRequest& message = parsed.value();
  if (message.buckets_size() > kMaxReportBuckets) {
    co_return error_reply(Error(ErrorCode::kLimitExceeded, "too many buckets in one report"));
  }
  const Status known = check_reporter(message.server(), message.incarnation());
  if (!known) co_return parts_.refuse(known.error());
  std::map<uint64_t, ShardDigest> reported;
  for (const auto& bucket : message.buckets()) {
    reported[bucket.bucket()] = {.low = bucket.low(), .high = bucket.high(), .shards = bucket.shards()};
  }
  using Digests = std::map<uint64_t, ShardDigest>;
  const ServerId server(message.server());
  const Result<Digests> listed = co_await parts_.reader.read<Digests>(
      [server](const MetaTables& tables) { return listed_digests(tables, server); });
  if (!listed) co_return error_reply(listed.error());
  wire::ReportDigestsReply reply;
  const std::vector<uint64_t> differing = differing_buckets(listed.value(), reported);
  reply.mutable_differing()->Add(differing.begin(), differing.end());
  if (parts_.is_leader()) repairs_.take_digests(server, {message.incarnation(), message.sequence()}, differing);
  co_return make_reply(reply);
}

Task<Reply> ServerRequests::report_shards(Request request) {
  const Result<wire::ReportShardsRequest> parsed = parse_message<wire::ReportShardsRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const wire::ReportShardsRequest& message = parsed.value();
  if (message.shards_size() > kMaxShardsPerReport) {
    co_return error_reply(Error(ErrorCode::kLimitExceeded, "too many shards in one report"));
  }
  const Status known = check_reporter(message.server(), message.incarnation());
  if (!known) co_return parts_.refuse(known.error());
  Result<ReportFindings> findings = co_await parts_.reader.read<ReportFindings>(
      [&message](const MetaTables& tables) { return read_report(tables, message); });
  if (!findings) co_return error_reply(findings.error());
  if (parts_.is_leader()) {
    repairs_.take_report(ServerId(message.server()), {message.incarnation(), message.sequence()}, message.bucket(),
                         std::move(findings).value());
  }
  co_return make_reply(wire::ReportShardsReply());
}

Task<Reply> ServerRequests::report_damage(Request request) {
  const Result<wire::ReportDamageRequest> parsed = parse_message<wire::ReportDamageRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  if (!parts_.is_leader()) co_return parts_.refuse(Error(ErrorCode::kNotLeader));
  if (parts_.registry.find(ServerId(parsed.value().server())) == nullptr) {
    co_return error_reply(Error(ErrorCode::kInvalidArgument, "the chunk server is not known"));
  }
  repairs_.suspect(ServerId(parsed.value().server()), parsed.value().shard());
  co_return make_reply(wire::ReportDamageReply());
}

Task<Status> ServerRequests::learn_cluster_uuid() {
  if (!parts_.cluster_uuid.empty()) co_return ok();
  DOGFS_CO_TRY(const std::string uuid,
               co_await parts_.reader.read<std::string>([](const MetaTables& tables) -> Result<std::string> {
                 DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
                 return counters ? counters->cluster_uuid() : std::string();
               }));
  parts_.cluster_uuid = uuid;
  co_return ok();
}

Task<Result<bool>> ServerRequests::identify(uint64_t id, uint64_t incarnation, MonoTime deadline) {
  const ServerId server(id);
  const ServerRegistry::Server* known = parts_.registry.find(server);
  if (known == nullptr || known->incarnation < incarnation) {
    DOGFS_CO_TRY(bool found, co_await learn(server, incarnation));
    if (!found) {
      if (!parts_.is_leader()) co_return false;
      DOGFS_CO_TRYV(co_await parts_.replica.read_barrier(deadline));
      DOGFS_CO_TRY(found, co_await learn(server, incarnation));
      if (!found) co_return Error(ErrorCode::kNotFound, fmt::format("chunk server {} is not registered", server));
    }
    known = parts_.registry.find(server);
  }
  if (known->incarnation > incarnation) {
    co_return registered_again(server);
  }
  co_return true;
}

Task<Result<bool>> ServerRequests::learn(ServerId server, uint64_t incarnation) {
  using Row = std::optional<wire::ChunkServerRow>;
  DOGFS_CO_TRY(const Row row,
               co_await parts_.reader.read<Row>([server](const MetaTables& tables) { return tables.server(server); }));
  if (!row || row->incarnation() < incarnation) co_return false;
  parts_.registry.learn(*row);
  co_return true;
}

Task<Status> ServerRequests::add_deletions(ServerId server, wire::HeartbeatReply& reply, MonoTime deadline) {
  if (repairs_.in_safe_mode()) {
    DOGFS_COVERAGE_MARK("meta: no deletions in safe mode");
    co_return ok();
  }
  const int64_t unstamped_ms = parts_.proposer.unstamped_ms();
  std::string from;
  if (const auto begun = garbage_from_.find(server); begun != garbage_from_.end()) from = begun->second;
  DOGFS_CO_TRY(const GarbagePart part,
               co_await parts_.reader.read<GarbagePart>([&](const MetaTables& tables) -> Result<GarbagePart> {
                 DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
                 if (!counters) return GarbagePart();
                 const int64_t now_ms = counters->log_time_ms() + unstamped_ms;
                 return due_garbage(tables, server, now_ms, from, kMaxShardsPerHeartbeat);
               }));
  if (part.next.empty()) {
    garbage_from_.erase(server);
  } else {
    garbage_from_[server] = part.next;
  }
  for (const DueGarbage& each : part.due) {
    if (parts_.registry.is_confirmed(each.shard) || !may_delete(each)) continue;
    *reply.add_deletions() = shard_name(each.shard);
  }
  if (reply.deletions().empty()) co_return ok();
  // By the rows of one that leads no more, and does not know it yet, what others have listed since could go.
  const Result<LogIndex> leads = co_await parts_.replica.read_barrier(deadline);
  if (!leads) reply.clear_deletions();
  co_return ok();
}

// The server of what took a shard's place must be there now, as far as this leader has heard, and must have said that it
// has it.
bool ServerRequests::may_delete(const DueGarbage& garbage) {
  if (!garbage.successor) return true;
  const ServerRegistry::Server* server = parts_.registry.find(garbage.successor->server);
  const bool present = server != nullptr && server->last_heartbeat &&
                       parts_.env.clock.now() - *server->last_heartbeat <= parts_.options.server_silence_limit;
  if (!present) {
    DOGFS_COVERAGE_MARK("meta: a deletion waits for the successor's server");
    return false;
  }
  return mutant_active(Mutant::kDeleteUnconfirmed) ||
         successors_.is_confirmed(*garbage.successor, server->incarnation, parts_.env.clock.now());
}

}  // namespace dogfs
