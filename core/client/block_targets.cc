// What a block gets from the metadata: an id with a server for each shard, others for those that fail, and another id
// when there are not enough.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/mutant.h"
#include "core/client/block_writer.h"

namespace dogfs {
namespace {

constexpr int kMostPlacements = 4;

bool is_reachable(const Shard& target) {
  return target.is_stored() && !target.address.value.empty();
}

}  // namespace

// A block is allocated once a whole stripe is there, so that all k data shards are sure to exist, or once it is known
// to be shorter than that.
bool BlockWriter::may_allocate() const {
  return content_->finished() || length() >= plan_.geometry.stripe_bytes();
}

uint64_t BlockWriter::length_hint() const {
  if (content_->finished()) return length();
  return plan_.expected_length >= length() ? plan_.expected_length : 0;
}

uint64_t BlockWriter::shard_length_hint(ShardIndex index) const {
  const uint64_t hint = length_hint();
  return hint == 0 ? 0 : BlockLayout(plan_.geometry, hint).shard_length(index);
}

// A file that has found servers before is given the time in which they may restart, or something be deleted.
Task<Result<wire::AllocateBlockResult>> BlockWriter::allocate() {
  Clock& clock = context_.env.clock;
  const MonoTime give_up = clock.now() + (plan_.offset > 0 ? context_.options.stuck_timeout : Duration::zero());
  Backoff backoff(context_.env.random, kStalledBackoff);
  while (true) {
    Result<wire::AllocateBlockResult> allocated = co_await request_any_block();
    if (!may_pass(code_of(allocated)) || clock.now() >= give_up || stopped_) co_return allocated;
    co_await sleep_for(clock, backoff.next());
  }
}

Task<Result<wire::AllocateBlockResult>> BlockWriter::request_any_block() {
  std::vector<ServerId> excluded = context_.health.suspects();
  Result<wire::AllocateBlockResult> allocated = co_await request_block(excluded);
  // What failed lately may be back, and is better than nothing.
  if (may_pass(code_of(allocated)) && !excluded.empty()) {
    allocated = co_await request_block({});
  }
  co_return allocated;
}

Task<Result<wire::AllocateBlockResult>> BlockWriter::request_block(std::vector<ServerId> excluded) {
  wire::Mutation mutation;
  wire::AllocateBlock& message = *mutation.mutable_allocate_block();
  message.set_inode(plan_.lease.inode.value());
  message.set_lease_epoch(plan_.lease.epoch.value());
  for (const ServerId server : excluded) message.add_excluded_servers(server.value());
  message.set_length(length_hint());
  DOGFS_CO_TRY(wire::MutationResult result, co_await context_.session.mutate(std::move(mutation)));
  co_return std::move(*result.mutable_allocate_block());
}

Status BlockWriter::take_targets(const wire::AllocateBlockResult& allocated, ShardState begun) {
  if (allocated.block() == 0) return Error(ErrorCode::kProtocolError, "the metadata allocated block 0");
  source_->block = BlockId(allocated.block());
  for (const ShardIndex index : layout().stored_indices()) {
    slots_.push_back(Slot{.shard = Shard{.index = index}, .state = ShardState::kStalled, .failure = std::nullopt});
  }
  for (const wire::Shard& target : allocated.targets()) {
    const Shard shard = shard_from_wire(target);
    const auto slot = std::ranges::find(slots_, shard.index, [](const Slot& s) { return s.shard.index; });
    const bool valid = slot != slots_.end() && !slot->shard.is_stored() && !shard.generation.is_none();
    if (!valid) return Error(ErrorCode::kProtocolError, "the metadata named an impossible target for a shard");
    if (!is_reachable(shard)) continue;
    slot->shard = shard;
    slot->state = begun;
  }
  if (is_stuck(progress())) return insufficient_servers();
  // Of the others nobody has said yet that there is no server for them: what failed lately was not asked for.
  for (Slot& slot : slots_) {
    if (!slot.shard.is_stored()) slot.state = ShardState::kTrying;
  }
  return ok();
}

// Finds another server for one shard, or one at all. What failed lately may be back, and is better than none: but not what
// has failed this very block, unless the shard has had no server yet.
Task<Status> BlockWriter::replace(std::shared_ptr<ShardSending> sending, size_t index) {
  const std::vector<ServerId> suspects = context_.health.suspects();
  const bool has_none = !slots_[index].shard.is_stored();
  const Status replaced = co_await replace_target(sending, index, suspects);
  if (code_of(replaced) != ErrorCode::kInsufficientServers || suspects.empty()) co_return replaced;
  std::vector<ServerId> excluded;
  if (!has_none) excluded = failed_lately();
  co_return co_await replace_target(sending, index, std::move(excluded));
}

// The server that was found may have been given to another shard of the block meanwhile, or take none any more: leaders
// place by what they know, and they change. There may be others.
Task<Status> BlockWriter::replace_target(std::shared_ptr<ShardSending> sending, size_t index,
                                         std::vector<ServerId> excluded) {
  Status replaced = co_await request_target(sending, index, excluded);
  for (int asked = 1; code_of(replaced) == ErrorCode::kConflict && asked < kMostPlacements; ++asked) {
    DOGFS_COVERAGE_MARK("client: a target that was placed too late asked for again");
    replaced = co_await request_target(sending, index, excluded);
  }
  co_return replaced;
}

Task<Status> BlockWriter::request_target(std::shared_ptr<ShardSending> sending, size_t index,
                                         std::vector<ServerId> excluded) {
  if (sending->ended()) co_return Error(ErrorCode::kCancelled);
  wire::Mutation mutation;
  wire::ReplaceTarget& message = *mutation.mutable_replace_target();
  message.set_inode(plan_.lease.inode.value());
  message.set_lease_epoch(plan_.lease.epoch.value());
  message.set_block(sending->source->block.value());
  message.set_index(slots_[index].shard.index.value());
  message.set_length(length_hint());
  for (const ServerId server : excluded) message.add_excluded_servers(server.value());
  DOGFS_CO_TRY(const wire::MutationResult result, co_await context_.session.mutate(std::move(mutation)));
  // The slot may be that of another block id by now.
  if (sending->ended()) co_return Error(ErrorCode::kCancelled);
  const Shard target = shard_from_wire(result.replace_target().target());
  if (target.index != slots_[index].shard.index || target.generation.is_none()) {
    co_return Error(ErrorCode::kProtocolError, "the metadata named an impossible target for a shard");
  }
  if (!is_reachable(target)) co_return Error(ErrorCode::kInsufficientServers, "a target without an address");
  slots_[index].shard = target;
  co_return ok();
}

// The next block comes first: without it the present one is still the best there is. What only failed other blocks may
// be back.
Task<Status> BlockWriter::begin_anew() {
  std::vector<ServerId> excluded = failed_lately();
  const Result<wire::AllocateBlockResult> allocated = co_await request_block(std::move(excluded));
  if (!allocated) co_return leaves_other_shards(allocated.error().code) ? insufficient_servers() : allocated.error();
  context_.env.log.info("client", "block {} is begun anew as block {}", source_->block, allocated.value().block());
  if (stopped_ || !is_stuck(progress())) {
    former_.emplace_back(allocated.value().block());
    co_return stopped_ ? Status(Error(ErrorCode::kCancelled)) : co_await abandon_former();
  }
  DOGFS_COVERAGE_MARK("client: a block begun anew on other servers");
  end_attempt();
  former_.push_back(source_->block);
  source_ = std::make_shared<BlockSource>(content_, source_->changed);
  const std::vector<Slot> before = std::exchange(slots_, {});
  DOGFS_CO_TRYV(take_targets(allocated.value(), ShardState::kTrying));
  DOGFS_CHECK(slots_.size() == before.size());
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].was_open = before[i].was_open;
    slots_[i].most_taken = before[i].most_taken;
  }
  keep_time();
  start_shards();
  co_return co_await abandon_former();
}

Task<Status> BlockWriter::abandon_former() {
  while (!former_.empty()) {
    DOGFS_CO_TRYV(co_await abandon(former_.back()));
    former_.pop_back();
  }
  co_return ok();
}

Task<Status> BlockWriter::abandon() {
  DOGFS_CHECK(stopped_);
  while (allocating_) co_await source_->changed->wait();
  DOGFS_CO_TRYV(co_await abandon_former());
  if (source_->block.is_none()) co_return ok();
  co_return co_await abandon(source_->block);
}

Task<Status> BlockWriter::abandon(BlockId block) {
  wire::Mutation mutation;
  wire::AbandonBlock& message = *mutation.mutable_abandon_block();
  message.set_inode(plan_.lease.inode.value());
  message.set_lease_epoch(plan_.lease.epoch.value());
  message.set_block(block.value());
  DOGFS_CO_TRYV(co_await context_.session.mutate(std::move(mutation)));
  co_return ok();
}

wire::CommitBlock BlockWriter::commit_message() const {
  wire::CommitBlock message;
  message.set_inode(plan_.lease.inode.value());
  message.set_lease_epoch(plan_.lease.epoch.value());
  message.set_block(source_->block.value());
  message.set_offset(plan_.offset);
  message.set_length(length());
  const BlockLayout block = layout();
  for (const Slot& slot : slots_) {
    const ShardContent& content = content_->shard(slot.shard.index);
    DOGFS_CHECK(content.bytes.size() == block.shard_length(slot.shard.index));
    Shard shard{.index = slot.shard.index, .length = content.bytes.size(), .crc32c = content.crc32c};
    if (slot.state == ShardState::kSealed || mutant_active(Mutant::kCommitUnsealed)) {
      shard.server = slot.shard.server;
      shard.generation = slot.shard.generation;
    }
    *message.add_shards() = shard_to_wire(shard);
  }
  return message;
}

}  // namespace dogfs
