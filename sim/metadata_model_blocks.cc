// What the MetadataModel says about files that are written: leases, blocks and inline tails.
#include <algorithm>
#include <set>
#include <utility>

#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/meta/block_commands.h"
#include "core/meta/replace_blocks.h"
#include "core/meta/truncate.h"
#include "sim/metadata_model.h"

namespace dogfs::sim {
namespace {

Geometry geometry_of(const wire::EcPolicy& policy) {
  return geometry_from_wire(policy).value();
}

uint64_t bytes_of(const BlockLayout& layout) {
  uint64_t bytes = 0;
  for (const ShardIndex index : layout.stored_indices()) bytes += layout.shard_length(index);
  return bytes;
}

}  // namespace

void MetadataModel::revoke(Inode& file) {
  file.pending.clear();
  ++file.lease_epoch;
  file.writer = 0;
}

Result<uint64_t> MetadataModel::find_file(std::string_view path) const {
  DOGFS_TRY(const uint64_t found, find_existing(path));
  if (inodes_.at(found).directory) return Error(ErrorCode::kIsADirectory);
  return found;
}

ModelAnswer MetadataModel::recover_lease(const wire::RecoverLease& operation) {
  const Result<uint64_t> found = find_file(operation.path());
  if (!found) return refused(found.error().code);
  Inode& file = inodes_.at(found.value());
  if (file.writer != 0) revoke(file);
  return {};
}

std::optional<ModelAnswer> MetadataModel::check_lease(uint64_t id, uint64_t epoch) const {
  const auto inode = inodes_.find(id);
  if (inode == inodes_.end()) return refused(ErrorCode::kGone);
  const Inode& file = inode->second;
  ModelAnswer answer;
  answer.or_gone = is_going(file);
  if (!file.directory && file.writer != 0 && file.lease_epoch == epoch) {
    if (is_attached(file)) return std::nullopt;
    answer.code = ErrorCode::kGone;
  } else {
    answer.code = file.directory ? ErrorCode::kInvalidArgument : ErrorCode::kLeaseLost;
  }
  return answer;
}

ModelAnswer MetadataModel::append_file(const wire::Command& command, const wire::AppendFile& operation) {
  const Result<uint64_t> found = find_file(operation.path());
  if (!found) return refused(found.error().code);
  Inode& file = inodes_.at(found.value());
  if (file.writer != 0) return refused(ErrorCode::kLeaseHeld);
  if (operation.has_policy()) {
    if (!geometry_from_wire(operation.policy()).has_value()) return refused(ErrorCode::kInvalidArgument);
    file.policy = operation.policy();
  }
  file.writer = command.session();
  ModelAnswer answer;
  wire::AppendFileResult& result = *answer.result.mutable_append_file();
  result.set_inode(file.id);
  result.set_lease_epoch(++file.lease_epoch);
  *result.mutable_policy() = *file.policy;
  result.set_length(file.length);
  result.set_tail_bytes(static_cast<uint32_t>(file.tail.size()));
  return answer;
}

ModelAnswer MetadataModel::truncate_file(const wire::Command& command, const wire::TruncateFile& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  if (!file.pending.empty()) return refused(ErrorCode::kConflict);
  if (operation.length() > file.length) return refused(ErrorCode::kInvalidArgument);
  const uint64_t in_blocks = file.length - file.tail.size();
  file.tail.resize(std::max(operation.length(), in_blocks) - in_blocks);
  file.length = in_blocks + file.tail.size();
  for (size_t i = 0; i < kMaxTruncatedBlocks && file.length > operation.length(); ++i) {
    CommittedBlock& last = file.blocks.back();
    file.length = std::max(last.offset, operation.length());
    last.visible = file.length - last.offset;
    if (last.visible == 0) file.blocks.pop_back();
  }
  file.mtime_ms = command.wall_ms();
  ModelAnswer answer;
  answer.result.mutable_truncate_file()->set_file_length(file.length);
  return answer;
}

ModelAnswer MetadataModel::close_file(const wire::Command& command, const wire::CloseFile& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  if (!file.pending.empty()) return refused(ErrorCode::kConflict);
  Inode closed = file;
  if (operation.has_tail()) {
    const uint64_t offset = operation.length() - std::min<uint64_t>(operation.tail().size(), operation.length());
    const ErrorCode put = put_tail(closed, offset, operation.tail());
    if (put != ErrorCode::kOk) return refused(put);
  }
  if (operation.length() != closed.length) return refused(ErrorCode::kConflict);
  file = std::move(closed);
  file.writer = 0;
  file.mtime_ms = command.wall_ms();
  return {};
}

ErrorCode MetadataModel::check_takes_shards(uint64_t id) const {
  const auto server = servers_.find(id);
  if (server == servers_.end()) return ErrorCode::kConflict;
  return server->second.state == wire::LIVE ? ErrorCode::kOk : ErrorCode::kUnavailable;
}

ModelAnswer MetadataModel::allocate_block(const wire::Command& command, const wire::AllocateBlock& operation,
                                          const wire::MutationResult* observed) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  if (file.pending.size() >= kMaxPendingBlocks) return refused(ErrorCode::kLimitExceeded);
  if (file.blocks.size() + file.pending.size() >= kMaxBlocksPerFile) return refused(ErrorCode::kLimitExceeded);
  const Geometry geometry = geometry_of(*file.policy);
  if (operation.length() > geometry.block_bytes) return refused(ErrorCode::kInvalidArgument);
  const BlockLayout layout(geometry, operation.length() == 0 ? geometry.block_bytes : operation.length());
  if (command.unplaced_error() != 0) return refused(error_code_from_wire(command.unplaced_error()));
  const std::set<uint64_t> servers(command.placed_servers().begin(), command.placed_servers().end());
  const auto placed = static_cast<uint32_t>(command.placed_servers_size());
  if (placed < layout.stored_data_shards() + 1 || placed > layout.stored_shards() || servers.size() != placed) {
    return refused(ErrorCode::kConflict);
  }
  for (const uint64_t server : command.placed_servers()) {
    const ErrorCode takes = check_takes_shards(server);
    if (takes != ErrorCode::kOk) return refused(takes);
  }
  const uint64_t stored_bytes = bytes_of(layout);
  if (!has_room(charges_of(file), {.bytes = stored_bytes})) return refused(ErrorCode::kQuotaExceeded);
  ModelAnswer answer;
  answer.generations_open = true;
  const uint64_t block = next_block_++;
  PendingBlock& pending = file.pending[block];
  pending.policy = *file.policy;
  pending.stored_bytes = stored_bytes;
  wire::AllocateBlockResult& result = *answer.result.mutable_allocate_block();
  result.set_block(block);
  const std::vector<ShardIndex> indices = layout.stored_indices();
  for (uint32_t i = 0; i < placed; ++i) {
    wire::Shard& target = *result.add_targets();
    target.set_index(indices[i].value());
    target.set_server(command.placed_servers(static_cast<int>(i)));
    if (observed != nullptr && static_cast<int>(i) < observed->allocate_block().targets_size()) {
      target.set_generation(observed->allocate_block().targets(static_cast<int>(i)).generation());
    }
    file.pending[block].attempts.push_back({target.index(), target.server(), target.generation()});
  }
  return answer;
}

ModelAnswer MetadataModel::replace_target(const wire::Command& command, const wire::ReplaceTarget& operation,
                                          const wire::MutationResult* observed) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  const auto block = file.pending.find(operation.block());
  if (block == file.pending.end()) return refused(ErrorCode::kConflict);
  std::vector<Attempt>& attempts = block->second.attempts;
  if (operation.index() >= geometry_of(block->second.policy).total_shards()) {
    return refused(ErrorCode::kInvalidArgument);
  }
  if (attempts.size() >= kMaxShardAttempts) return refused(ErrorCode::kLimitExceeded);
  if (command.unplaced_error() != 0) return refused(error_code_from_wire(command.unplaced_error()));
  if (command.placed_servers_size() != 1) return refused(ErrorCode::kConflict);
  const uint64_t server = command.placed_servers(0);
  std::map<uint32_t, uint64_t> targets;  // the last attempt of each index
  for (const Attempt& attempt : attempts) targets[attempt.index] = attempt.server;
  const bool taken = std::ranges::any_of(targets, [server](const auto& target) { return target.second == server; });
  const ErrorCode takes = check_takes_shards(server);
  if (takes != ErrorCode::kOk) return refused(takes);
  if (taken) return refused(ErrorCode::kConflict);
  ModelAnswer answer;
  answer.generations_open = true;
  wire::Shard& target = *answer.result.mutable_replace_target()->mutable_target();
  target.set_index(operation.index());
  target.set_server(server);
  if (observed != nullptr) target.set_generation(observed->replace_target().target().generation());
  attempts.push_back({target.index(), target.server(), target.generation()});
  return answer;
}

// Whether the shards of a commit are those of the block, each an attempt of which somebody was told.
ErrorCode MetadataModel::check_shards(const std::vector<Attempt>& attempts, const wire::EcPolicy& policy,
                                      const wire::CommitBlock& operation) const {
  const BlockLayout layout(geometry_of(policy), operation.length());
  const std::vector<ShardIndex> indices = layout.stored_indices();
  if (operation.shards_size() != static_cast<int>(indices.size())) return ErrorCode::kInvalidArgument;
  std::set<uint64_t> servers;
  for (size_t i = 0; i < indices.size(); ++i) {
    const wire::Shard& shard = operation.shards(static_cast<int>(i));
    const bool fits = shard.index() == indices[i].value() && shard.length() == layout.shard_length(indices[i]);
    if (!fits) return ErrorCode::kInvalidArgument;
  }
  for (const wire::Shard& shard : operation.shards()) {
    if (shard.server() == 0 && shard.generation() == 0) continue;
    const bool issued = std::ranges::any_of(attempts, [&shard](const Attempt& attempt) {
      return attempt.index == shard.index() && attempt.server == shard.server() &&
             attempt.generation == shard.generation();
    });
    if (!issued || !servers.insert(shard.server()).second) return ErrorCode::kInvalidArgument;
  }
  return servers.size() < layout.stored_data_shards() + 1 ? ErrorCode::kInsufficientServers : ErrorCode::kOk;
}

ErrorCode MetadataModel::take_pending(Inode& file, const wire::CommitBlock& operation, CommittedBlock& block) const {
  const auto pending = file.pending.find(operation.block());
  if (pending == file.pending.end()) return ErrorCode::kConflict;
  const auto& [policy, attempts, reserved_bytes] = pending->second;
  if (operation.length() == 0 || operation.length() > geometry_of(policy).block_bytes) {
    return ErrorCode::kInvalidArgument;
  }
  const ErrorCode shards = check_shards(attempts, policy, operation);
  if (shards != ErrorCode::kOk) return shards;
  block = {.block = operation.block(),
           .stored_bytes = bytes_of(BlockLayout(geometry_of(policy), operation.length())),
           .offset = operation.offset(),
           .length = operation.length(),
           .visible = operation.length()};
  const uint64_t more = block.stored_bytes - std::min(reserved_bytes, block.stored_bytes);
  if (!has_room(charges_of(file), {.bytes = more})) return ErrorCode::kQuotaExceeded;
  file.pending.erase(pending);
  return ErrorCode::kOk;
}

ModelAnswer MetadataModel::commit_block(const wire::Command& command, const wire::CommitBlock& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  const uint64_t end = file.length - file.tail.size();
  if (operation.offset() != end || operation.length() < file.tail.size()) return refused(ErrorCode::kConflict);
  if (operation.length() > kMaxFileBytes - end) return refused(ErrorCode::kLimitExceeded);
  CommittedBlock block;
  const ErrorCode taken = take_pending(file, operation, block);
  if (taken != ErrorCode::kOk) return refused(taken);
  file.blocks.push_back(block);
  file.tail.clear();
  file.length = end + operation.length();
  file.mtime_ms = command.wall_ms();
  ModelAnswer answer;
  answer.result.mutable_commit_block()->set_file_length(file.length);
  return answer;
}

ErrorCode MetadataModel::put_tail(Inode& file, uint64_t offset, const std::string& data) const {
  if (data.empty() || data.size() > kMaxInlineTailBytes) return ErrorCode::kInvalidArgument;
  if (offset != file.length - file.tail.size() || data.size() < file.tail.size()) return ErrorCode::kConflict;
  if (data.size() > kMaxFileBytes - offset) return ErrorCode::kLimitExceeded;
  if (!has_room(charges_of(file), {.bytes = data.size() - file.tail.size()})) return ErrorCode::kQuotaExceeded;
  file.tail = data;
  file.length = offset + data.size();
  return ErrorCode::kOk;
}

ModelAnswer MetadataModel::commit_tail(const wire::Command& command, const wire::CommitTail& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  const ErrorCode put = put_tail(file, operation.offset(), operation.data());
  if (put != ErrorCode::kOk) return refused(put);
  file.mtime_ms = command.wall_ms();
  ModelAnswer answer;
  answer.result.mutable_commit_tail()->set_file_length(file.length);
  return answer;
}

ModelAnswer MetadataModel::replace_blocks(const wire::ReplaceBlocks& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  const int count = operation.replaced_size();
  if (count < 1 || count > kMaxReplacedBlocks || operation.blocks_size() < 1 ||
      operation.blocks_size() > kMaxPendingBlocks) {
    return refused(ErrorCode::kInvalidArgument);
  }
  Inode& file = inodes_.at(operation.inode());
  const auto first = std::ranges::find(file.blocks, operation.replaced(0), &CommittedBlock::block);
  if (file.blocks.end() - first < count ||
      !std::equal(
          operation.replaced().begin(), operation.replaced().end(), first,
          [](uint64_t block, const CommittedBlock& there) { return block == there.block; })) {
    return refused(ErrorCode::kConflict);
  }
  const uint64_t stop = (first + count - 1)->offset + (first + count - 1)->visible;
  uint64_t end = first->offset;
  for (const wire::CommitBlock& block : operation.blocks()) {
    if (block.offset() != end || block.length() > stop - end) return refused(ErrorCode::kConflict);
    end += block.length();
  }
  if (end != stop) return refused(ErrorCode::kConflict);
  const Inode before = file;
  auto at = file.blocks.erase(first, first + count);
  for (const wire::CommitBlock& each : operation.blocks()) {
    CommittedBlock block;
    const ErrorCode taken = take_pending(file, each, block);
    if (taken != ErrorCode::kOk) {
      file = before;
      return refused(taken);
    }
    at = std::next(file.blocks.insert(at, block));
  }
  return {};
}

ModelAnswer MetadataModel::abandon_block(const wire::AbandonBlock& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  if (inodes_.at(operation.inode()).pending.erase(operation.block()) == 0) return refused(ErrorCode::kConflict);
  return {};
}

}  // namespace dogfs::sim
