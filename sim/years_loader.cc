#include "sim/years_loader.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/wire/rpc.h"

namespace dogfs::sim {
namespace {

constexpr uint32_t kBlocksPerFile = 500;
constexpr uint32_t kMode = 0644;

}  // namespace

YearsLoader::YearsLoader(LoneMeta& meta, YearsFleet& fleet, const YearsOptions& options)
    : meta_(meta), fleet_(fleet), options_(options) {}

template <class Answer, class Message>
Task<Answer> YearsLoader::ask(MessageType type, Message message) {
  Request request = make_request(type, GroupId(0), message);
  Result<TypedReply<Answer>> reply = parse_reply<Answer>(co_await meta_.ask(std::move(request)));
  DOGFS_CHECK(reply.has_value(), reply ? "" : reply.error().to_string());
  co_return std::move(reply.value().message);
}

Task<wire::MutationResult> YearsLoader::mutate(wire::Mutation mutation) {
  wire::MutateRequest message;
  message.set_session(session_);
  message.set_sequence(++sequence_);
  message.set_low_water(sequence_);
  *message.mutable_mutation() = std::move(mutation);
  wire::MutateReply reply = co_await ask<wire::MutateReply>(MessageType::kMutate, std::move(message));
  co_return std::move(*reply.mutable_result());
}

Task<void> YearsLoader::load() {
  const auto session = co_await ask<wire::OpenSessionReply>(MessageType::kOpenSession, wire::OpenSessionRequest());
  session_ = session.session();
  for (uint32_t first = 0; first < options_.blocks; first += kBlocksPerFile) {
    co_await write_file(first / kBlocksPerFile, std::min(kBlocksPerFile, options_.blocks - first));
  }
  done_ = true;
}

Task<void> YearsLoader::write_file(uint32_t number, uint32_t blocks) {
  wire::Mutation create;
  create.mutable_create_file()->set_path(fmt::format("/{}", number));
  create.mutable_create_file()->set_mode(kMode);
  const wire::MutationResult created = co_await mutate(std::move(create));
  const wire::CreateFileResult& file = created.create_file();
  for (uint64_t block = 0; block < blocks; ++block) {
    co_await write_block(file, block * options_.policy.block_bytes);
  }
  wire::Mutation close;
  close.mutable_close_file()->set_inode(file.inode());
  close.mutable_close_file()->set_lease_epoch(file.lease_epoch());
  close.mutable_close_file()->set_length(blocks * options_.policy.block_bytes);
  co_await mutate(std::move(close));
}

Task<void> YearsLoader::write_block(wire::CreateFileResult file, uint64_t offset) {
  wire::Mutation allocate;
  allocate.mutable_allocate_block()->set_inode(file.inode());
  allocate.mutable_allocate_block()->set_lease_epoch(file.lease_epoch());
  const wire::MutationResult allocated = co_await mutate(std::move(allocate));
  const wire::AllocateBlockResult& block = allocated.allocate_block();
  DOGFS_CHECK(block.targets_size() == static_cast<int>(options_.policy.total_shards()));
  wire::Mutation mutation;
  wire::CommitBlock& commit = *mutation.mutable_commit_block();
  commit.set_inode(file.inode());
  commit.set_lease_epoch(file.lease_epoch());
  commit.set_block(block.block());
  commit.set_offset(offset);
  commit.set_length(options_.policy.block_bytes);
  for (const wire::Shard& target : block.targets()) {
    wire::Shard& shard = *commit.add_shards();
    shard = target;
    shard.set_length(options_.shard_bytes());
    shard.set_crc32c(static_cast<uint32_t>(combine64(block.block(), target.index())));
    const std::optional<SlotIndex> slot = fleet_.slot_of(ServerId(target.server()));
    DOGFS_CHECK(slot.has_value());
    fleet_.put(*slot, {BlockId(block.block()), ShardIndex(target.index()), ShardGeneration(target.generation())});
  }
  co_await mutate(std::move(mutation));
}

}  // namespace dogfs::sim
