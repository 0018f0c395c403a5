#include "core/meta/server_states.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "core/base/mutant.h"
#include "core/meta/block_index.h"
#include "core/meta/garbage.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

Result<wire::ChunkServerRow> registered_server(const MetaTables& tables, ServerId server) {
  DOGFS_TRY(std::optional<wire::ChunkServerRow> row, tables.server(server));
  if (!row) return Error(ErrorCode::kNotFound, fmt::format("chunk server {} is not registered", server));
  return *std::move(row);
}

Result<std::vector<BlockId>> blocks_behind(const MetaTables& tables, ServerId server, BlockId after, uint32_t limit) {
  std::vector<BlockId> blocks;
  const KeyRange range = tables.keys().listed_of(server, after);
  DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    blocks.emplace_back(last_id(key));
    return blocks.size() < limit;
  }));
  return blocks;
}

// The servers that may yet get a shard of a block that is being written or repaired, and have none that is listed.
std::set<ServerId> future_hosts(const wire::BlockRow& block) {
  std::set<ServerId> hosts;
  for (const wire::RepairReservation& reservation : block.reservations()) hosts.emplace(reservation.target());
  for (const wire::Shard& shard : block.shards()) {
    if (block.state() == wire::BlockRow::COMMITTED) {
      hosts.erase(ServerId(shard.server()));
    } else {
      hosts.emplace(shard.server());
    }
  }
  return hosts;
}

Status check_removable(const MetaTables& tables, ServerId server) {
  DOGFS_TRY(const std::vector<BlockId> left, blocks_behind(tables, server, BlockId(), 1));
  if (!left.empty()) {
    return Error(ErrorCode::kConflict, fmt::format("chunk server {} still has shards: drain it first", server));
  }
  DOGFS_TRY(const auto under_way, blocks_under_way(tables));
  const auto found = under_way.find(server);
  if (found == under_way.end()) return ok();
  return Error(ErrorCode::kConflict, fmt::format("chunk server {} may yet get a shard of block {}, which is being "
                                                 "written or repaired: try again later",
                                                 server, found->second.blocks.front()));
}

Status check_wish(const MetaTables& tables, const wire::ChunkServerRow& row, const wire::AdministerServer& operation) {
  const ServerId server(row.server());
  if (row.state() == wire::REMOVED) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("chunk server {} was removed for good", server));
  }
  switch (operation.wanted()) {
    case wire::LIVE:
    case wire::DRAINING:
      return ok();
    case wire::MAINTENANCE:
      if (operation.maintenance_ms() < 1 || operation.maintenance_ms() > kMaxMaintenanceMs) {
        return Error(ErrorCode::kInvalidArgument, "maintenance takes from a millisecond to 30 days");
      }
      if (row.state() == wire::DEAD) {
        return Error(ErrorCode::kConflict, fmt::format("chunk server {} is dead already", server));
      }
      return ok();
    case wire::REMOVED:
      return check_removable(tables, server);
    default:
      return Error(ErrorCode::kInvalidArgument, "this cannot be wanted of a chunk server");
  }
}

bool is_maintenance_over(const ApplyContext& context, const wire::ChunkServerRow& row) {
  return row.state() == wire::MAINTENANCE && row.maintenance_until_ms() <= context.log_time_ms();
}

// Nobody is there any more to confirm that they are gone. True when none is left.
Result<bool> forget_garbage(ApplyContext& context, ServerId server, uint32_t max_rows) {
  std::vector<std::string> keys;
  const KeyRange range = context.tables.keys().garbage_of(server);
  DOGFS_TRYV(context.tables.reader().scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return keys.size() < max_rows;
  }));
  for (const std::string& key : keys) context.tables.erase(key);
  context.counters.set_garbage_shards(context.counters.garbage_shards() - keys.size());
  return keys.size() < max_rows;
}

// Damage is of the shard itself: no state of the server mends it.
Status sweep_block(ApplyContext& context, BlockId id, uint64_t server, wire::Shard::Condition condition) {
  DOGFS_TRY(wire::BlockRow block, context.tables.required_block(id));
  const auto shard = std::ranges::find(*block.mutable_shards(), server, &wire::Shard::server);
  if (shard == block.mutable_shards()->end()) return corrupt_row(context.tables.keys().block(id), "is not there");
  if (shard->condition() == wire::Shard::DAMAGED || shard->condition() == condition) return ok();
  unindex(context, block);
  shard->set_condition(condition);
  if (mutant_active(Mutant::kPurgeUnreachable) && risk_of(block) == Risk::kLost) {
    for (wire::Shard& lost : *block.mutable_shards()) {
      if (lost.server() != 0 && is_intact(lost)) add_garbage(context, id, lost);
    }
  }
  put_indexed(context, block);
  return ok();
}

}  // namespace

void enter_state(ApplyContext& context, wire::ChunkServerRow& row, wire::ServerState state) {
  row.set_state(state);
  row.set_state_since_ms(context.log_time_ms());
  row.set_sweeping(true);
  row.set_swept_block(0);
}

Status set_server_state(ApplyContext& context, const wire::SetServerState& operation) {
  const ServerId server(operation.server());
  DOGFS_TRY(wire::ChunkServerRow row, registered_server(context.tables, server));
  if (operation.incarnation() != 0 && operation.incarnation() != row.incarnation()) {
    return Error(ErrorCode::kConflict, fmt::format("chunk server {} has registered again", server));
  }
  if (operation.state() != wire::DEAD && operation.state() != wire::LIVE) {
    return Error(ErrorCode::kInvalidArgument, "a leader finds a server dead or alive, and nothing else");
  }
  if (row.state() == wire::REMOVED) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("chunk server {} was removed for good", server));
  }
  if (operation.state() == wire::LIVE && is_maintenance_over(context, row)) {
    row.set_wanted(wire::LIVE);
    row.set_maintenance_until_ms(0);
    enter_state(context, row, wire::LIVE);
    context.tables.put(row);
    return ok();
  }
  const bool is_dead = row.state() == wire::DEAD;
  if (is_dead == (operation.state() == wire::DEAD)) return ok();
  if (row.state() == wire::MAINTENANCE) {
    return Error(ErrorCode::kConflict, fmt::format("chunk server {} is in maintenance", server));
  }
  enter_state(context, row, is_dead ? row.wanted() : wire::DEAD);
  context.tables.put(row);
  return ok();
}

Status administer_server(ApplyContext& context, const wire::AdministerServer& operation) {
  DOGFS_TRY(wire::ChunkServerRow row, registered_server(context.tables, ServerId(operation.server())));
  if (row.state() == wire::REMOVED && operation.wanted() == wire::REMOVED) return ok();
  DOGFS_TRYV(check_wish(context.tables, row, operation));
  row.set_wanted(operation.wanted());
  row.set_maintenance_until_ms(
      operation.wanted() == wire::MAINTENANCE ? context.log_time_ms() + operation.maintenance_ms() : 0);
  const bool stays_dead = row.state() == wire::DEAD && operation.wanted() != wire::REMOVED;
  if (!stays_dead && row.state() != operation.wanted()) enter_state(context, row, operation.wanted());
  context.tables.put(row);
  return ok();
}

Result<std::map<ServerId, BlocksUnderWay>> blocks_under_way(const MetaTables& tables) {
  std::vector<BlockId> blocks;
  std::vector<InodeId> open_files;
  const auto note_file = [&](std::string_view key, std::string_view) {
    open_files.emplace_back(last_id(key));
    return true;
  };
  const auto note_block = [&](std::string_view key, std::string_view) {
    blocks.emplace_back(last_id(key));
    return true;
  };
  const KeyRange leases = tables.keys().leases(InodeId());
  DOGFS_TRYV(tables.reader().scan(leases.begin, leases.end, note_file));
  for (const InodeId id : open_files) {
    DOGFS_TRY(const wire::InodeRow file, tables.required_inode(id));
    for (const uint64_t block : file.pending_blocks()) blocks.emplace_back(block);
  }
  const KeyRange reserved = tables.keys().all_reserved();
  DOGFS_TRYV(tables.reader().scan(reserved.begin, reserved.end, note_block));
  std::map<ServerId, BlocksUnderWay> under_way;
  for (const BlockId id : blocks) {
    DOGFS_TRY(const wire::BlockRow block, tables.required_block(id));
    for (const ServerId host : future_hosts(block)) {
      under_way[host].blocks.push_back(id);
      if (block.state() != wire::BlockRow::COMMITTED) ++under_way[host].open;
    }
  }
  return under_way;
}

Status sweep_server(ApplyContext& context, const wire::SweepServer& operation) {
  if (operation.max_rows() == 0 || operation.max_rows() > kMaxSweptRows) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("a sweep takes 1 to {} rows", kMaxSweptRows));
  }
  const ServerId server(operation.server());
  DOGFS_TRY(wire::ChunkServerRow row, registered_server(context.tables, server));
  if (!row.sweeping()) return ok();
  DOGFS_TRY(const std::vector<BlockId> blocks,
            blocks_behind(context.tables, server, BlockId(row.swept_block()), operation.max_rows()));
  for (const BlockId block : blocks) {
    DOGFS_TRYV(sweep_block(context, block, server.value(), condition_of(row.state())));
  }
  bool done = blocks.size() < operation.max_rows();
  if (row.state() == wire::REMOVED) {
    DOGFS_TRY(done, forget_garbage(context, server, operation.max_rows()));
  }
  row.set_sweeping(!done);
  row.set_swept_block(blocks.empty() || done ? 0 : blocks.back().value());
  context.tables.put(row);
  return ok();
}

}  // namespace dogfs
