#include "core/meta/server_commands.h"

#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/meta/garbage.h"
#include "core/meta/server_states.h"

namespace dogfs {
namespace {

Status check_registration(const wire::CountersRow& counters, const wire::RegisterServer& operation) {
  const auto refuse = [](std::string_view why) { return Error(ErrorCode::kInvalidArgument, std::string(why)); };
  if (counters.cluster_uuid().empty()) return Error(ErrorCode::kUnavailable, "the cluster is being initialised");
  if (!operation.cluster_uuid().empty() && operation.cluster_uuid() != counters.cluster_uuid()) {
    return Error(ErrorCode::kWrongCluster, "the chunk server was registered with another cluster");
  }
  if (operation.uuid().size() != kUuidBytes) return refuse("a chunk server's uuid has 16 bytes");
  if (operation.address().empty() || operation.address().size() > kMaxAddressBytes) {
    return refuse("a chunk server's address has 1 to 255 bytes");
  }
  if (!operation.rack().starts_with('/') || operation.rack().size() > kMaxRackBytes) {
    return refuse("a rack begins with / and has at most 255 bytes");
  }
  return ok();
}

// The row of the server with this uuid, or one for a server that is new.
Result<wire::ChunkServerRow> find_or_make_server(ApplyContext& context, const std::string& uuid) {
  DOGFS_TRY(const std::optional<ServerId> known, context.tables.server_by_uuid(uuid));
  if (known) {
    DOGFS_TRY(std::optional<wire::ChunkServerRow> row, context.tables.server(*known));
    if (!row) return missing_row(context.tables.keys().server(*known));
    return *std::move(row);
  }
  if (context.counters.servers() >= kMaxChunkServers) {
    return Error(ErrorCode::kLimitExceeded, fmt::format("there are {} chunk servers", kMaxChunkServers));
  }
  context.counters.set_servers(context.counters.servers() + 1);
  wire::ChunkServerRow row;
  row.set_server(context.new_server().value());
  row.set_uuid(uuid);
  return row;
}

}  // namespace

Status initialize_cluster(ApplyContext& context, const wire::InitializeCluster& operation) {
  if (!context.counters.cluster_uuid().empty()) return ok();
  if (operation.uuid().size() != kUuidBytes) {
    return Error(ErrorCode::kInvalidArgument, "a cluster's uuid has 16 bytes");
  }
  DOGFS_TRYV(geometry_from_wire(operation.default_policy()));
  DOGFS_TRY(wire::InodeRow root, context.tables.required_inode(kRootInode));
  *root.mutable_policy() = operation.default_policy();
  root.set_mtime_ms(context.wall_ms());
  root.set_ctime_ms(context.wall_ms());
  context.tables.put(root);
  context.counters.set_cluster_uuid(operation.uuid());
  return ok();
}

Result<wire::RegisterServerReply> register_server(ApplyContext& context, const wire::RegisterServer& operation) {
  DOGFS_TRYV(check_registration(context.counters, operation));
  DOGFS_TRY(wire::ChunkServerRow row, find_or_make_server(context, operation.uuid()));
  if (row.state() == wire::REMOVED) {
    return Error(
        ErrorCode::kConflict,
        fmt::format("this was chunk server {}, and was removed for good: begin with an empty directory", row.server()));
  }
  row.set_address(operation.address());
  row.set_rack(operation.rack());
  row.set_incarnation(row.incarnation() + 1);
  // Who registers is not dead. Whether its shards are still there it will report.
  if (row.state() == wire::DEAD) enter_state(context, row, row.wanted());
  context.tables.put(row);
  wire::RegisterServerReply reply;
  reply.set_server(row.server());
  reply.set_incarnation(row.incarnation());
  reply.set_cluster_uuid(context.counters.cluster_uuid());
  return reply;
}

Status set_balancing(ApplyContext& context, const wire::SetBalancing& operation) {
  const uint32_t threshold = operation.threshold_percent();
  if (operation.on() && (threshold < 1 || threshold > 100)) {
    return Error(ErrorCode::kInvalidArgument, "a threshold for balancing is 1 to 100 per cent");
  }
  context.counters.set_balance_threshold_percent(operation.on() ? threshold : 0);
  return ok();
}

Status confirm_deleted(ApplyContext& context, const wire::ConfirmDeleted& operation) {
  if (operation.shards_size() > kMaxConfirmedPerCommand) {
    return Error(ErrorCode::kInvalidArgument, "too many shards in one command");
  }
  for (const auto& entry : operation.shards()) {
    const GarbageShard shard = placed_shard(entry);
    DOGFS_TRY(const auto known, context.tables.garbage(shard));
    if (known) erase_garbage(context, shard);
  }
  return ok();
}

}  // namespace dogfs
