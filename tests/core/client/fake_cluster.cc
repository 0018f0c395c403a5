#include "tests/core/client/fake_cluster.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/hash.h"
#include "core/base/limits.h"
#include "core/ec/policy_wire.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kPageBlocks = 3;

FakeShardKey key_of(const wire::ShardKey& key) {
  return {key.block(), key.index(), key.generation()};
}

template <class Message>
Message parsed(const Request& request) {
  return parse_message<Message>(request.body).value();
}

Reply ok_reply() {
  return Reply();
}

}  // namespace

std::string pattern(size_t length, uint64_t seed) {
  std::string out(length, '\0');
  for (size_t i = 0; i < length; ++i) out[i] = static_cast<char>(mix64(seed * 1'000'003 + i / 8) >> (i % 8 * 8));
  return out;
}

// --- A chunk server ------------------------------------------------------------------------------------------------

Task<Reply> FakeServer::handle(Request request) {
  switch (request.type) {
    case MessageType::kOpenShard:
      co_return open(parsed<wire::OpenShardRequest>(request));
    case MessageType::kAppendShard:
      co_return co_await append(std::move(request));
    case MessageType::kSealShard:
      co_return seal(parsed<wire::SealShardRequest>(request));
    case MessageType::kReadShard:
      co_return read(parsed<wire::ReadShardRequest>(request));
    case MessageType::kAbortShard: {
      const auto key = key_of(parsed<wire::AbortShardRequest>(request).key());
      if (shards.contains(key) && !shards[key].sealed) shards.erase(key);
      co_return ok_reply();
    }
    default:
      co_return error_reply(Error(ErrorCode::kUnsupported));
  }
}

void FakeServer::restart() {
  std::erase_if(shards, [](const auto& entry) { return !entry.second.sealed; });
}

Reply FakeServer::open(const wire::OpenShardRequest& message) {
  EXPECT_EQ(message.server(), id_);
  EXPECT_EQ(message.cluster_uuid(), "cluster");
  FakeShard& shard = shards[key_of(message.key())];
  if (shard.sealed) return error_reply(Error(ErrorCode::kAlreadyExists));
  shard = FakeShard();
  return ok_reply();
}

Task<Reply> FakeServer::append(Request request) {
  const auto message = parsed<wire::AppendShardRequest>(request);
  const FakeShardKey key = key_of(message.key());
  // What overtook its predecessors waits for them.
  for (int i = 0; i < 100 && shards.contains(key) && shards[key].bytes.size() < message.offset(); ++i) {
    co_await sleep_for(world_.clock, milliseconds(10));
  }
  if (!shards.contains(key)) co_return error_reply(Error(ErrorCode::kNotFound));
  FakeShard& shard = shards[key];
  if (shard.sealed || shard.bytes.size() < message.offset()) co_return error_reply(Error(ErrorCode::kConflict));
  if (shard.bytes.size() >= message.offset() + request.payload.size()) co_return ok_reply();
  EXPECT_EQ(message.offset() % kChecksumPieceBytes, 0u);
  const Bytes payload = request.payload.flatten();
  EXPECT_EQ(static_cast<size_t>(message.piece_crc32c_size()),
            (payload.size() + kChecksumPieceBytes - 1) / kChecksumPieceBytes);
  for (int i = 0; i < message.piece_crc32c_size(); ++i) {
    const size_t begin = static_cast<size_t>(i) * kChecksumPieceBytes;
    const size_t length = std::min(payload.size() - begin, kChecksumPieceBytes);
    EXPECT_EQ(crc32c(payload.slice(begin, length).span()), message.piece_crc32c(i));
    shard.piece_crc32c.push_back(message.piece_crc32c(i));
  }
  shard.bytes += payload.view();
  co_return ok_reply();
}

Reply FakeServer::seal(const wire::SealShardRequest& message) {
  const auto it = shards.find(key_of(message.key()));
  if (it == shards.end()) return error_reply(Error(ErrorCode::kNotFound));
  FakeShard& shard = it->second;
  if (shard.bytes.size() != message.length()) return error_reply(Error(ErrorCode::kConflict));
  if (crc32c(shard.bytes) != message.crc32c()) return error_reply(Error(ErrorCode::kChecksumMismatch));
  shard.sealed = true;
  shard.crc32c = message.crc32c();
  return ok_reply();
}

Reply FakeServer::read(const wire::ReadShardRequest& message) {
  const auto it = shards.find(key_of(message.key()));
  if (it == shards.end()) return error_reply(Error(ErrorCode::kNotFound));
  const FakeShard& shard = it->second;
  if (!shard.sealed) return error_reply(Error(ErrorCode::kNotSealed));
  EXPECT_GT(message.length(), 0u);
  EXPECT_LE(message.offset() + message.length(), shard.bytes.size());
  const size_t first = message.offset() / kChecksumPieceBytes;
  const size_t last = (message.offset() + message.length() - 1) / kChecksumPieceBytes;
  const size_t end = std::min(shard.bytes.size(), (last + 1) * kChecksumPieceBytes);
  wire::ReadShardReply reply;
  reply.set_payload_offset(first * kChecksumPieceBytes);
  for (size_t piece = first; piece <= last; ++piece) reply.add_piece_crc32c(shard.piece_crc32c[piece]);
  reply.set_shard_length(shard.bytes.size());
  reply.set_shard_crc32c(shard.crc32c);
  if (message.all_checksums()) {
    reply.mutable_all_piece_crc32c()->Add(shard.piece_crc32c.begin(), shard.piece_crc32c.end());
  }
  const std::string_view payload =
      std::string_view(shard.bytes).substr(reply.payload_offset(), end - reply.payload_offset());
  return make_reply(reply, BytesChain(Bytes::copy_of(payload)));
}

// --- The cluster ---------------------------------------------------------------------------------------------------

FakeCluster::FakeCluster(World& world, Geometry geometry, size_t servers) : world_(world), geometry_(geometry) {
  for (size_t node = 0; node < 3; ++node) {
    world_.transport.nodes[meta_address(node)] = [this, node](Request request) {
      return handle_meta(node, std::move(request));
    };
  }
  for (uint64_t id = 1; id <= servers; ++id) {
    servers_.push_back(std::make_unique<FakeServer>(world_, id));
    restart(id);
  }
}

ClientOptions FakeCluster::client_options() const {
  ClientOptions options;
  for (size_t node = 0; node < 3; ++node) options.meta_nodes.push_back(meta_address(node));
  options.principal = "tester";
  options.most_inline_bytes = 0;  // tests of blocks may be small; those of tails turn them on
  return options;
}

void FakeCluster::kill(uint64_t id) {
  world_.transport.nodes.erase(server_address(id));
}

void FakeCluster::restart(uint64_t id) {
  server(id).restart();
  world_.transport.nodes[server_address(id)] = [this, id](Request request) {
    return server(id).handle(std::move(request));
  };
}

void FakeCluster::fail(uint64_t id, MessageType type, ErrorCode code) {
  const auto answer = [](Error error) -> Task<Reply> { co_return error_reply(error); };
  world_.transport.nodes[server_address(id)] = [this, id, type, code, answer](Request request) {
    return request.type == type ? answer(Error(code)) : server(id).handle(std::move(request));
  };
}

FakeShard& FakeCluster::stored(const wire::Shard& shard, uint64_t block) {
  return server(shard.server()).shards.at({block, shard.index(), shard.generation()});
}

void FakeCluster::move_shard(FakeBlock& block, size_t position) {
  wire::Shard& moved = block.shards.at(position);
  FakeShard content = stored(moved, block.block);
  server(moved.server()).shards.erase({block.block, moved.index(), moved.generation()});
  moved.set_server(moved.server() % servers_.size() + 1);
  moved.set_generation(moved.generation() + 1000);
  server(moved.server()).shards[{block.block, moved.index(), moved.generation()}] = std::move(content);
}

Task<Reply> FakeCluster::handle_meta(size_t node, Request request) {
  if (node != leader) {
    Reply reply = error_reply(Error(ErrorCode::kNotLeader));
    reply.leader = meta_address(leader);
    co_return reply;
  }
  switch (request.type) {
    case MessageType::kOpenSession:
      co_return open_session();
    case MessageType::kMutate:
      co_return mutate(parsed<wire::MutateRequest>(request));
    case MessageType::kGetBlocks:
      co_return blocks(parsed<wire::GetBlocksRequest>(request));
    case MessageType::kReportDamage:
      damage_reports.push_back(parsed<wire::ReportDamageRequest>(request));
      co_return make_reply(wire::ReportDamageReply());
    case MessageType::kRenewLeases:
      ++renewals;
      co_return make_reply(wire::RenewLeasesReply());
    default:
      co_return error_reply(Error(ErrorCode::kUnsupported));
  }
}

Reply FakeCluster::open_session() {
  wire::OpenSessionReply reply;
  reply.set_session(++sessions_);
  reply.set_cluster_uuid("cluster");
  return make_reply(reply);
}

Reply FakeCluster::mutate(const wire::MutateRequest& message) {
  const std::pair key(message.session(), message.sequence());
  if (const auto it = replies_.find(key); it != replies_.end()) return it->second;
  Result<wire::MutationResult> result = apply(message.mutation());
  Reply reply;
  if (result) {
    ++effects[message.mutation().operation_case()];
    wire::MutateReply body;
    *body.mutable_result() = std::move(result).value();
    reply = make_reply(body);
  } else {
    reply = error_reply(result.error());
  }
  replies_[key] = reply;
  return reply;
}

Result<wire::MutationResult> FakeCluster::apply(const wire::Mutation& mutation) {
  switch (mutation.operation_case()) {
    case wire::Mutation::kCreateFile:
      return create(mutation.create_file());
    case wire::Mutation::kAllocateBlock:
      return allocate(mutation.allocate_block());
    case wire::Mutation::kReplaceTarget:
      return replace(mutation.replace_target());
    case wire::Mutation::kCommitBlock:
      return commit(mutation.commit_block());
    case wire::Mutation::kAppendFile:
      return append(mutation.append_file());
    case wire::Mutation::kTruncateFile:
      return truncate(mutation.truncate_file());
    case wire::Mutation::kCommitTail:
      return commit_tail(mutation.commit_tail());
    case wire::Mutation::kReplaceBlocks:
      return replace_blocks(mutation.replace_blocks());
    case wire::Mutation::kCloseFile:
      return close(mutation.close_file());
    case wire::Mutation::kAbandonBlock: {
      DOGFS_TRY(FakeFile * file, leased(mutation.abandon_block().inode(), mutation.abandon_block().lease_epoch()));
      if (file->pending.erase(mutation.abandon_block().block()) == 0) return Error(ErrorCode::kConflict);
      return wire::MutationResult();
    }
    default:
      return wire::MutationResult();
  }
}

Result<wire::MutationResult> FakeCluster::create(const wire::CreateFile& message) {
  if (files_.contains(message.path())) return Error(ErrorCode::kAlreadyExists, message.path());
  FakeFile& file = files_[message.path()];
  file.inode = ++inodes_;
  file.geometry = geometry_;
  wire::MutationResult result;
  result.mutable_create_file()->set_inode(file.inode);
  result.mutable_create_file()->set_lease_epoch(file.lease_epoch);
  *result.mutable_create_file()->mutable_policy() = geometry_to_wire(geometry_);
  return result;
}

Result<FakeFile*> FakeCluster::leased(uint64_t inode, uint64_t epoch) {
  for (auto& [path, file] : files_) {
    if (file.inode != inode) continue;
    if (file.closed || file.lease_epoch != epoch) return Error(ErrorCode::kLeaseLost, path);
    return &file;
  }
  return Error(ErrorCode::kGone);
}

std::vector<uint64_t> FakeCluster::eligible(const std::set<uint64_t>& used,
                                            const google::protobuf::RepeatedField<uint64_t>& excluded) const {
  std::vector<uint64_t> out;
  for (uint64_t id = 1; id <= servers_.size(); ++id) {
    const bool is_excluded = std::ranges::find(excluded, id) != excluded.end();
    if (!is_excluded && !used.contains(id) && !known_dead_.contains(id)) out.push_back(id);
  }
  return out;
}

wire::Shard FakeCluster::attempt(uint32_t index, uint64_t server) {
  wire::Shard shard;
  shard.set_index(index);
  shard.set_server(server);
  shard.set_generation(++generations_);
  shard.set_server_address(server_address(server).value);
  return shard;
}

Result<wire::MutationResult> FakeCluster::allocate(const wire::AllocateBlock& message) {
  DOGFS_TRY(FakeFile * file, leased(message.inode(), message.lease_epoch()));
  allocations.push_back(message);
  const Geometry& geometry = file->geometry;
  const BlockLayout layout(geometry, message.length() == 0 ? geometry.block_bytes : message.length());
  std::vector<uint64_t> servers = eligible({}, message.excluded_servers());
  const size_t least = layout.stored_data_shards() + 1;
  if (servers.size() < least) return Error(ErrorCode::kInsufficientServers, "few servers");
  std::erase_if(servers, [this](uint64_t id) { return full.contains(id); });
  if (servers.size() < least) return Error(ErrorCode::kNoSpace, "full");
  FakeBlock block{.block = ++blocks_, .geometry = geometry, .attempts = {}, .shards = {}};
  wire::MutationResult result;
  result.mutable_allocate_block()->set_block(block.block);
  size_t next = 0;
  for (const ShardIndex index : layout.stored_indices()) {
    if (next == servers.size()) break;
    block.attempts.push_back(attempt(index.value(), servers[next++]));
    *result.mutable_allocate_block()->add_targets() = block.attempts.back();
  }
  file->pending[block.block] = block;
  return result;
}

Result<wire::MutationResult> FakeCluster::replace(const wire::ReplaceTarget& message) {
  DOGFS_TRY(FakeFile * file, leased(message.inode(), message.lease_epoch()));
  FakeBlock& block = file->pending.at(message.block());
  std::set<uint64_t> used;
  for (const wire::Shard& shard : block.attempts) used.insert(shard.server());
  if (block.attempts.size() >= most_attempts) return Error(ErrorCode::kLimitExceeded, "too many attempts");
  std::vector<uint64_t> servers = eligible(used, message.excluded_servers());
  std::erase_if(servers, [this](uint64_t id) { return full.contains(id); });
  if (servers.empty()) return Error(ErrorCode::kInsufficientServers, "no other server");
  if (placed_too_late > 0) {
    --placed_too_late;
    return Error(ErrorCode::kConflict, "the server is a target of the block already");
  }
  block.attempts.push_back(attempt(message.index(), servers.front()));
  wire::MutationResult result;
  *result.mutable_replace_target()->mutable_target() = block.attempts.back();
  return result;
}

Result<wire::MutationResult> FakeCluster::commit(const wire::CommitBlock& message) {
  DOGFS_TRY(FakeFile * file, leased(message.inode(), message.lease_epoch()));
  const uint64_t end = file->length - file->tail.size();
  if (message.offset() != end || message.length() < file->tail.size()) {
    return Error(ErrorCode::kConflict, "out of order");
  }
  DOGFS_TRY(FakeBlock block, committed(*file, message));
  file->blocks.push_back(std::move(block));
  file->tail.clear();
  file->length = end + message.length();
  return wire::MutationResult();
}

Result<wire::MutationResult> FakeCluster::commit_tail(const wire::CommitTail& message) {
  DOGFS_TRY(FakeFile * file, leased(message.inode(), message.lease_epoch()));
  const uint64_t end = file->length - file->tail.size();
  if (message.offset() != end || !message.data().starts_with(file->tail)) {
    return Error(ErrorCode::kConflict, "not behind the blocks, or not the bytes that were acknowledged");
  }
  EXPECT_LE(message.data().size(), kMaxInlineTailBytes);
  file->tail = message.data();
  file->length = end + file->tail.size();
  return wire::MutationResult();
}

Result<wire::MutationResult> FakeCluster::replace_blocks(const wire::ReplaceBlocks& message) {
  DOGFS_TRY(FakeFile * file, leased(message.inode(), message.lease_epoch()));
  const auto first = std::ranges::find(file->blocks, message.replaced(0), &FakeBlock::block);
  if (file->blocks.end() - first < message.replaced_size()) return Error(ErrorCode::kConflict, "not there");
  std::vector<FakeBlock> blocks;
  for (const wire::CommitBlock& each : message.blocks()) {
    DOGFS_TRY(FakeBlock block, committed(*file, each));
    blocks.push_back(std::move(block));
  }
  const auto behind = first + message.replaced_size();
  EXPECT_EQ(blocks.front().offset, first->offset);
  EXPECT_EQ(blocks.back().offset + blocks.back().length, std::prev(behind)->offset + std::prev(behind)->visible);
  const auto at = file->blocks.erase(first, behind);
  file->blocks.insert(at, blocks.begin(), blocks.end());
  return wire::MutationResult();
}

Result<FakeBlock> FakeCluster::committed(FakeFile& file, const wire::CommitBlock& message) {
  const auto it = file.pending.find(message.block());
  if (it == file.pending.end()) return Error(ErrorCode::kConflict, "not pending");
  const BlockLayout layout(it->second.geometry, message.length());
  EXPECT_EQ(static_cast<uint32_t>(message.shards_size()), layout.stored_shards());
  FakeBlock block = it->second;
  block.offset = message.offset();
  block.length = message.length();
  block.visible = message.length();
  uint32_t durable = 0;
  for (const wire::Shard& shard : message.shards()) {
    EXPECT_EQ(shard.length(), layout.shard_length(ShardIndex(shard.index())));
    block.shards.push_back(shard);
    if (shard.server() == 0) continue;
    ++durable;
    const FakeServer& holder = server(shard.server());
    const auto held = holder.shards.find({message.block(), shard.index(), shard.generation()});
    EXPECT_TRUE(held != holder.shards.end() && held->second.sealed) << "a shard was committed that is not sealed";
    if (held != holder.shards.end()) EXPECT_EQ(held->second.crc32c, shard.crc32c());
  }
  EXPECT_GT(durable, layout.stored_data_shards());
  file.pending.erase(it);
  return block;
}

Result<wire::MutationResult> FakeCluster::append(const wire::AppendFile& message) {
  const auto found = files_.find(message.path());
  if (found == files_.end()) return Error(ErrorCode::kNotFound, message.path());
  FakeFile& file = found->second;
  if (!file.closed) return Error(ErrorCode::kLeaseHeld, message.path());
  file.closed = false;
  ++file.lease_epoch;
  wire::MutationResult result;
  result.mutable_append_file()->set_inode(file.inode);
  result.mutable_append_file()->set_lease_epoch(file.lease_epoch);
  if (message.has_policy()) file.geometry = geometry_from_wire(message.policy()).value();
  *result.mutable_append_file()->mutable_policy() = geometry_to_wire(file.geometry);
  result.mutable_append_file()->set_length(file.length);
  result.mutable_append_file()->set_tail_bytes(static_cast<uint32_t>(file.tail.size()));
  return result;
}

Result<wire::MutationResult> FakeCluster::truncate(const wire::TruncateFile& message) {
  DOGFS_TRY(FakeFile * file, leased(message.inode(), message.lease_epoch()));
  if (message.length() > file->length) return Error(ErrorCode::kInvalidArgument, "longer than the file");
  const uint64_t end = file->length - file->tail.size();
  file->tail.resize(std::max(end, message.length()) - end);
  file->length = end + file->tail.size();
  for (size_t i = 0; i < blocks_per_truncation && file->length > message.length(); ++i) {
    FakeBlock& last = file->blocks.back();
    file->length = std::max(last.offset, message.length());
    last.visible = file->length - last.offset;
    if (last.visible == 0) file->blocks.pop_back();
  }
  wire::MutationResult result;
  result.mutable_truncate_file()->set_file_length(file->length);
  return result;
}

Result<wire::MutationResult> FakeCluster::close(const wire::CloseFile& message) {
  DOGFS_TRY(FakeFile * file, leased(message.inode(), message.lease_epoch()));
  if (!file->pending.empty()) return Error(ErrorCode::kConflict, "not complete");
  if (message.has_tail()) {
    EXPECT_TRUE(message.tail().starts_with(file->tail)) << "what was acknowledged";
    file->length += message.tail().size() - file->tail.size();
    file->tail = message.tail();
  }
  if (file->length != message.length()) return Error(ErrorCode::kConflict, "not complete");
  file->closed = true;
  return wire::MutationResult();
}

Reply FakeCluster::blocks(const wire::GetBlocksRequest& message) {
  const auto it = std::ranges::find_if(files_, [&](const auto& entry) {
    return message.inode() != 0 ? entry.second.inode == message.inode() : entry.first == message.path();
  });
  if (it == files_.end()) return error_reply(Error(ErrorCode::kNotFound, message.path()));
  const FakeFile& file = it->second;
  wire::GetBlocksReply reply;
  reply.set_inode(file.inode);
  reply.set_file_length(file.length);
  for (const FakeBlock& block : file.blocks) {
    if (block.offset + block.visible <= message.offset()) continue;
    if (message.length() != 0 && block.offset >= message.offset() + message.length()) break;
    if (static_cast<uint64_t>(reply.blocks_size()) == kPageBlocks) {
      reply.set_more(true);
      break;
    }
    wire::BlockLocation& location = *reply.add_blocks();
    location.set_block(block.block);
    location.set_offset(block.offset);
    location.set_length(block.length);
    if (block.visible < block.length) location.set_visible_length(block.visible);
    *location.mutable_policy() = geometry_to_wire(block.geometry);
    for (wire::Shard shard : block.shards) {
      if (shard.server() != 0) shard.set_server_address(server_address(shard.server()).value);
      *location.add_shards() = std::move(shard);
    }
  }
  const uint64_t end = message.length() == 0 ? file.length : message.offset() + message.length();
  if (!reply.more() && end > file.length - file.tail.size()) reply.set_tail(file.tail);
  return make_reply(reply);
}

}  // namespace dogfs::test
