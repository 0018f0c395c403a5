#include "core/meta/block_commands.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/meta/block_index.h"
#include "core/meta/file_commands.h"
#include "core/meta/garbage.h"
#include "core/meta/inline_tail.h"
#include "core/meta/quota.h"

namespace dogfs {
namespace {

template <class... Args>
Error refusal(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// The geometry of a row, which was valid when it was written.
Result<Geometry> stored_geometry(const MetaTables& tables, BlockId block, const wire::EcPolicy& policy) {
  Result<Geometry> geometry = geometry_from_wire(policy);
  if (!geometry) return corrupt_row(tables.keys().block(block), geometry.error().detail);
  return geometry;
}

// The pending block `id` of `file`; kConflict if it is not one.
Result<wire::BlockRow> pending_block(const MetaTables& tables, const wire::InodeRow& file, BlockId id) {
  if (std::ranges::find(file.pending_blocks(), id.value()) == file.pending_blocks().end()) {
    return refusal(ErrorCode::kConflict, "block {} is not pending in inode {}", id, file.inode());
  }
  return tables.required_block(id);
}

// Of all shards that a block is to have, wherever they are.
uint64_t bytes_of(const BlockLayout& layout) {
  uint64_t bytes = 0;
  for (const ShardIndex index : layout.stored_indices()) bytes += layout.shard_length(index);
  return bytes;
}

void remove_pending(wire::InodeRow& file, BlockId block) {
  auto& pending = *file.mutable_pending_blocks();
  pending.erase(std::remove(pending.begin(), pending.end(), block.value()), pending.end());
}

wire::Shard new_attempt(ApplyContext& context, ShardIndex index, uint64_t server) {
  wire::Shard shard;
  shard.set_index(index.value());
  shard.set_server(server);
  shard.set_generation(context.new_generation().value());
  return shard;
}

// The leader places by what it heard, and a server's state may change in the log before the command: that is for the
// next try, which places anew.
Status check_takes_shards(const MetaTables& tables, uint64_t server) {
  DOGFS_TRY(const std::optional<wire::ChunkServerRow> row, tables.server(ServerId(server)));
  if (!row) return refusal(ErrorCode::kConflict, "chunk server {} is not registered", server);
  if (row->state() != wire::LIVE) {
    return refusal(ErrorCode::kUnavailable, "chunk server {} takes no shards", server);
  }
  return ok();
}

// Why the leader found no servers, where it found none.
Status check_placed(const wire::Command& command) {
  if (command.unplaced_error() == 0) return ok();
  const bool no_space = error_code_from_wire(command.unplaced_error()) == ErrorCode::kNoSpace;
  return Error(no_space ? ErrorCode::kNoSpace : ErrorCode::kInsufficientServers, command.unplaced_detail());
}

// What the leader placed must be enough servers, all different and all known; anything else is a bug of that leader's
// release, and is refused by every node alike.
Status check_placement(const MetaTables& tables, const wire::Command& command, const BlockLayout& layout) {
  DOGFS_TRYV(check_placed(command));
  const auto& servers = command.placed_servers();
  const uint32_t least = durable_minimum(layout.stored_data_shards());
  const auto count = static_cast<uint32_t>(servers.size());
  if (count < least || count > layout.stored_shards()) {
    return refusal(ErrorCode::kConflict, "{} servers were placed for {} to {} shards", count, least,
                   layout.stored_shards());
  }
  const std::set<uint64_t> distinct(servers.begin(), servers.end());
  if (distinct.size() != count) return refusal(ErrorCode::kConflict, "a server was placed twice for one block");
  for (const uint64_t server : servers) {
    DOGFS_TRYV(check_takes_shards(tables, server));
  }
  return ok();
}

// The shards of a commit that do not fit the geometry, as a refusal.
Status check_shards(const BlockLayout& layout, const wire::CommitBlock& operation) {
  const std::vector<ShardIndex> indices = layout.stored_indices();
  if (operation.shards_size() != static_cast<int>(indices.size())) {
    return refusal(ErrorCode::kInvalidArgument, "a block of {} bytes has {} shards and not {}", layout.length(),
                   indices.size(), operation.shards_size());
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    const wire::Shard& shard = operation.shards(static_cast<int>(i));
    if (shard.index() != indices[i].value()) {
      return refusal(ErrorCode::kInvalidArgument, "shard {} of the commit has index {} and not {}", i, shard.index(),
                     indices[i]);
    }
    if (shard.length() != layout.shard_length(indices[i])) {
      return refusal(ErrorCode::kInvalidArgument, "shard {} has {} bytes and not {}", indices[i], shard.length(),
                     layout.shard_length(indices[i]));
    }
  }
  return ok();
}

bool is_same_attempt(const wire::Shard& a, const wire::Shard& b) {
  return a.index() == b.index() && a.server() == b.server() && a.generation() == b.generation();
}

// The durable shards must be attempts that were issued, on servers of their own, and enough.
Status check_durable(const BlockLayout& layout, const wire::BlockRow& block, const wire::CommitBlock& operation) {
  std::set<uint64_t> servers;
  for (const wire::Shard& shard : operation.shards()) {
    if (shard.server() == 0 && shard.generation() == 0) continue;
    const bool issued = std::ranges::any_of(
        block.shards(), [&](const wire::Shard& attempt) { return is_same_attempt(attempt, shard); });
    if (!issued) {
      return refusal(ErrorCode::kInvalidArgument, "shard {} on server {} with generation {} was never allocated",
                     shard.index(), shard.server(), shard.generation());
    }
    if (!servers.insert(shard.server()).second) {
      return refusal(ErrorCode::kInvalidArgument, "server {} holds two shards of block {}", shard.server(),
                     block.block());
    }
  }
  const uint32_t least = durable_minimum(layout.stored_data_shards());
  if (servers.size() < least) {
    return refusal(ErrorCode::kInsufficientServers, "block {} is durable on {} servers, {} are needed", block.block(),
                   servers.size(), least);
  }
  return ok();
}

// Whether a block may be put behind those that the file has.
Status check_extent(const wire::InodeRow& file, const wire::CommitBlock& operation) {
  const uint64_t end = blocks_end(file);
  if (operation.offset() != end) {
    return refusal(ErrorCode::kConflict, "offset {} is not where the blocks of inode {} end, which is {}",
                   operation.offset(), file.inode(), end);
  }
  if (operation.length() < file.tail_bytes()) {
    return refusal(ErrorCode::kConflict, "inode {} has {} bytes behind its blocks, and would keep {}", file.inode(),
                   file.tail_bytes(), operation.length());
  }
  if (operation.length() > kMaxFileBytes - end) {
    return refusal(ErrorCode::kLimitExceeded, "a file has at most {} bytes", kMaxFileBytes);
  }
  return ok();
}

// Attempts that are not among the durable shards are, or may yet become, shards that nobody will ever read.
void discard_unused_attempts(ApplyContext& context, const wire::BlockRow& block, const wire::CommitBlock& operation) {
  for (const wire::Shard& attempt : block.shards()) {
    const bool used = std::ranges::any_of(operation.shards(),
                                          [&](const wire::Shard& shard) { return is_same_attempt(attempt, shard); });
    if (!used) add_garbage(context, BlockId(block.block()), attempt);
  }
}

// What a server's state says of the shards on it.
Result<wire::Shard::Condition> condition_on(const MetaTables& tables, uint64_t server) {
  DOGFS_TRY(const std::optional<wire::ChunkServerRow> row, tables.server(ServerId(server)));
  if (!row) return missing_row(tables.keys().server(ServerId(server)));
  return condition_of(row->state());
}

Status put_committed(ApplyContext& context, wire::BlockRow block, const wire::CommitBlock& operation) {
  block.set_state(wire::BlockRow::COMMITTED);
  block.clear_reserved_bytes();
  block.set_offset(operation.offset());
  block.set_length(operation.length());
  *block.mutable_shards() = operation.shards();
  for (wire::Shard& shard : *block.mutable_shards()) {
    shard.clear_server_address();
    shard.clear_condition();
    if (shard.server() == 0) continue;
    shard.set_listed_at(context.log_index.value());
    DOGFS_TRY(const wire::Shard::Condition condition, condition_on(context.tables, shard.server()));
    shard.set_condition(condition);
  }
  put_indexed(context, block);
  wire::FileBlockRow row;
  row.set_block(block.block());
  row.set_length(block.length());
  context.tables.put_file_block(InodeId(block.inode()), block.offset(), row);
  return ok();
}

}  // namespace

std::vector<wire::Shard> current_targets(const wire::BlockRow& block) {
  std::map<uint32_t, wire::Shard> last;
  for (const wire::Shard& attempt : block.shards()) last[attempt.index()] = attempt;
  std::vector<wire::Shard> targets;
  targets.reserve(last.size());
  for (auto& [index, shard] : last) targets.push_back(std::move(shard));
  return targets;
}

Result<wire::AllocateBlockResult> allocate_block(ApplyContext& context, const wire::AllocateBlock& operation) {
  DOGFS_TRY(wire::InodeRow file,
            leased_file(context.tables, InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())));
  if (file.pending_blocks_size() >= kMaxPendingBlocks) {
    return refusal(ErrorCode::kLimitExceeded, "a file has at most {} pending blocks", kMaxPendingBlocks);
  }
  if (file.block_count() + static_cast<uint64_t>(file.pending_blocks_size()) >= kMaxBlocksPerFile) {
    return refusal(ErrorCode::kLimitExceeded, "a file has at most {} blocks", kMaxBlocksPerFile);
  }
  DOGFS_TRY(const Geometry geometry, stored_geometry(context.tables, BlockId(), file.file_policy()));
  if (operation.length() > geometry.block_bytes) {
    return refusal(ErrorCode::kInvalidArgument, "a block has at most {} bytes, and not {}", geometry.block_bytes,
                   operation.length());
  }
  const BlockLayout layout(geometry, operation.length() == 0 ? geometry.block_bytes : operation.length());
  DOGFS_TRYV(check_placement(context.tables, context.command, layout));
  wire::BlockRow block;
  block.set_block(context.new_block().value());
  block.set_inode(file.inode());
  block.set_state(wire::BlockRow::ALLOCATED);
  *block.mutable_policy() = file.file_policy();
  block.set_lease_epoch(file.lease_epoch());
  const std::vector<ShardIndex> indices = layout.stored_indices();
  for (int i = 0; i < context.command.placed_servers_size(); ++i) {
    *block.add_shards() = new_attempt(context, indices[static_cast<size_t>(i)], context.command.placed_servers(i));
  }
  block.set_reserved_bytes(bytes_of(layout));
  DOGFS_TRYV(set_stored_bytes(context, file, file.stored_bytes() + block.reserved_bytes()));
  context.tables.put(block);
  file.add_pending_blocks(block.block());
  context.tables.put(file);
  wire::AllocateBlockResult result;
  result.set_block(block.block());
  result.mutable_targets()->Swap(block.mutable_shards());
  return result;
}

Result<wire::ReplaceTargetResult> replace_target(ApplyContext& context, const wire::ReplaceTarget& operation) {
  DOGFS_TRY(const wire::InodeRow file,
            leased_file(context.tables, InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())));
  DOGFS_TRY(wire::BlockRow block, pending_block(context.tables, file, BlockId(operation.block())));
  DOGFS_TRY(const Geometry geometry, stored_geometry(context.tables, BlockId(block.block()), block.policy()));
  if (operation.index() >= geometry.total_shards()) {
    return refusal(ErrorCode::kInvalidArgument, "there is no shard {} of {}", operation.index(),
                   geometry.total_shards());
  }
  if (block.shards_size() >= kMaxShardAttempts) {
    return refusal(ErrorCode::kLimitExceeded, "a block has at most {} attempts at its shards", kMaxShardAttempts);
  }
  DOGFS_TRYV(check_placed(context.command));
  if (context.command.placed_servers_size() != 1) {
    return refusal(ErrorCode::kConflict, "{} servers were placed for 1 shard", context.command.placed_servers_size());
  }
  const uint64_t server = context.command.placed_servers(0);
  DOGFS_TRYV(check_takes_shards(context.tables, server));
  for (const wire::Shard& target : current_targets(block)) {
    if (target.server() == server) {
      return refusal(ErrorCode::kConflict, "server {} is a target of block {} already", server, block.block());
    }
  }
  wire::ReplaceTargetResult result;
  *result.mutable_target() = new_attempt(context, ShardIndex(operation.index()), server);
  *block.add_shards() = result.target();
  context.tables.put(block);
  return result;
}

Status publish_block(ApplyContext& context, wire::InodeRow& file, const wire::CommitBlock& operation) {
  DOGFS_TRY(wire::BlockRow block, pending_block(context.tables, file, BlockId(operation.block())));
  DOGFS_TRY(const Geometry geometry, stored_geometry(context.tables, BlockId(block.block()), block.policy()));
  if (operation.length() == 0 || operation.length() > geometry.block_bytes) {
    return refusal(ErrorCode::kInvalidArgument, "a block has 1 to {} bytes, and not {}", geometry.block_bytes,
                   operation.length());
  }
  const BlockLayout layout(geometry, operation.length());
  DOGFS_TRYV(check_shards(layout, operation));
  DOGFS_TRYV(check_durable(layout, block, operation));
  DOGFS_TRYV(set_stored_bytes(context, file, file.stored_bytes() - block.reserved_bytes() + bytes_of(layout)));
  discard_unused_attempts(context, block, operation);
  DOGFS_TRYV(put_committed(context, std::move(block), operation));
  remove_pending(file, BlockId(operation.block()));
  file.set_block_count(file.block_count() + 1);
  context.counters.set_blocks(context.counters.blocks() + 1);
  return ok();
}

Result<wire::CommitBlockResult> commit_block(ApplyContext& context, const wire::CommitBlock& operation) {
  DOGFS_TRY(wire::InodeRow file,
            leased_file(context.tables, InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())));
  DOGFS_TRYV(check_extent(file, operation));
  DOGFS_TRYV(publish_block(context, file, operation));
  DOGFS_TRYV(cut_tail(context, file, 0));
  file.set_length(file.length() + operation.length());
  file.set_mtime_ms(context.wall_ms());
  context.tables.put(file);
  context.counters.set_bytes(context.counters.bytes() + operation.length());
  wire::CommitBlockResult result;
  result.set_file_length(file.length());
  return result;
}

Result<uint64_t> forget_block(ApplyContext& context, BlockId id) {
  DOGFS_TRY(const wire::BlockRow block, context.tables.required_block(id));
  discard_shards(context, block);
  uint64_t bytes = block.reserved_bytes();
  if (block.state() == wire::BlockRow::COMMITTED) {
    unindex(context, block);
    context.counters.set_blocks(context.counters.blocks() - 1);
    for (const wire::Shard& shard : block.shards()) bytes += shard.length();
  }
  context.tables.erase(context.tables.keys().block(id));
  return bytes;
}

Status abandon_block(ApplyContext& context, const wire::AbandonBlock& operation) {
  DOGFS_TRY(wire::InodeRow file,
            leased_file(context.tables, InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())));
  const BlockId id(operation.block());
  DOGFS_TRY(const wire::BlockRow block, pending_block(context.tables, file, id));
  discard_shards(context, block);
  context.tables.erase(context.tables.keys().block(id));
  DOGFS_TRYV(drop_stored_bytes(context, file, block.reserved_bytes()));
  remove_pending(file, id);
  context.tables.put(file);
  return ok();
}

}  // namespace dogfs
