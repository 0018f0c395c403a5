#include "core/meta/server_states.h"

#include <algorithm>
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

Status check_removable(const MetaTables& tables, ServerId server) {
  DOGFS_TRY(const std::vector<BlockId> left, blocks_behind(tables, server, BlockId(), 1));
  if (left.empty()) return ok();
  return Error(ErrorCode::kConflict, fmt::format("chunk server {} still has shards: drain it first", server));
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
  if (!wire::ServerState_IsValid(operation.state())) {
    return Error(ErrorCode::kInvalidArgument, "the server's state is of no kind that this release knows");
  }
  if (row.state() == operation.state()) return ok();
  if (row.state() == wire::REMOVED) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("chunk server {} was removed for good", server));
  }
  if (operation.state() == wire::REMOVED) {
    DOGFS_TRYV(check_removable(context.tables, server));
  }
  enter_state(context, row, operation.state());
  context.tables.put(row);
  return ok();
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
  row.set_sweeping(blocks.size() == operation.max_rows());
  row.set_swept_block(row.sweeping() ? blocks.back().value() : 0);
  context.tables.put(row);
  return ok();
}

}  // namespace dogfs
