#include "core/meta/server_requests.h"

#include <utility>

#include "core/base/limits.h"
#include "core/raft/raft.h"
#include "core/wire/rpc.h"

namespace dogfs {

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
  if (message.deleted_size() > kMaxShardsPerHeartbeat) {
    co_return error_reply(Error(ErrorCode::kLimitExceeded, "too many shards in one heartbeat"));
  }
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
  parts_.registry.heard(message, parts_.env.clock.now());
  reply.set_leader(parts_.is_leader());
  if (!reply.leader()) co_return make_reply(reply);
  for (const wire::ShardName& shard : message.deleted()) {
    parts_.registry.confirm({.server = server,
                             .block = BlockId(shard.block()),
                             .index = ShardIndex(shard.index()),
                             .generation = ShardGeneration(shard.generation())});
  }
  const Status added = co_await add_deletions(server, reply);
  if (!added) co_return error_reply(added.error());
  co_return make_reply(reply);
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
    co_return Error(ErrorCode::kConflict,
                    fmt::format("another process has registered as chunk server {} since", server));
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

Task<Status> ServerRequests::add_deletions(ServerId server, wire::HeartbeatReply& reply) {
  using Shards = std::vector<GarbageShard>;
  DOGFS_CO_TRY(const Shards garbage,
               co_await parts_.reader.read<Shards>([server](const MetaTables& tables) -> Result<Shards> {
                 Shards shards;
                 const KeyRange range = tables.keys().garbage_of(server);
                 DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
                   shards.push_back(garbage_shard(key));
                   return shards.size() < kMaxShardsPerHeartbeat;
                 }));
                 return shards;
               }));
  for (const GarbageShard& shard : garbage) {
    if (parts_.registry.is_confirmed(shard)) continue;
    wire::ShardName& name = *reply.add_deletions();
    name.set_block(shard.block.value());
    name.set_index(shard.index.value());
    name.set_generation(shard.generation.value());
  }
  co_return ok();
}

}  // namespace dogfs
