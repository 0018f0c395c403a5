#include "core/client/block_writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "core/ec/policy_wire.h"

namespace dogfs {
namespace {

// Within this time every server that refuses connections is tried once more.
constexpr Duration kRefusedTimeout = milliseconds(200);
static_assert(kRefusedTimeout > kStalledBackoff.first);

// Whether the server may only have restarted, or lost the connection: worth a second try before another takes its
// place.
bool may_be_passing(ErrorCode code) {
  return code == ErrorCode::kConnectionLost || code == ErrorCode::kNotFound || code == ErrorCode::kConflict;
}

}  // namespace

void add_block(const wire::CommitBlock& block, const Geometry& geometry, WriteOutcome& outcome) {
  const auto stored = static_cast<uint32_t>(block.shards_size());
  const auto durable = static_cast<uint32_t>(
      std::ranges::count_if(block.shards(), [](const wire::Shard& shard) { return shard.server() != 0; }));
  const uint32_t needed = stored - geometry.parity_shards;
  const uint32_t spares = durable - needed;
  outcome.least_spares = outcome.blocks == 0 ? spares : std::min(outcome.least_spares, spares);
  if (durable < stored) ++outcome.blocks_short;
  ++outcome.blocks;
  outcome.bytes += block.length();
}

BlockWriter::BlockWriter(ClientContext& context, const BlockPlan& plan)
    : context_(context),
      plan_(plan),
      content_(std::make_shared<BlockContent>(plan.geometry, context.codecs.get(plan.geometry))),
      source_(std::make_shared<BlockSource>(content_, std::make_shared<Notifier>(context.env.clock))) {}

void BlockWriter::start() {
  context_.tasks.spawn(encode(shared_from_this()));
  context_.tasks.spawn(run(shared_from_this()));
}

void BlockWriter::add(Bytes cell) {
  content_->add(std::move(cell));
  source_->changed->notify_all();
}

void BlockWriter::finish() {
  content_->finish();
  source_->changed->notify_all();
}

void BlockWriter::stop() {
  if (stopped_) return;
  stopped_ = true;
  end_attempt();
  content_->release();
}

// --- Streaming -----------------------------------------------------------------------------------------------------

Task<void> BlockWriter::encode(std::shared_ptr<BlockWriter> self) {
  const std::shared_ptr<Notifier> changed = self->source_->changed;
  while (!self->stopped_ && !self->content_->complete()) {
    if (self->content_->has_work()) {
      co_await self->content_->encode(self->context_.env.compute);
      changed->notify_all();
    } else {
      co_await changed->wait();
    }
  }
}

Task<void> BlockWriter::run(std::shared_ptr<BlockWriter> self) {
  const std::shared_ptr<Notifier> changed = self->source_->changed;
  while (!self->may_allocate() && !self->stopped_) co_await changed->wait();
  if (self->stopped_) co_return;
  self->allocating_ = true;
  const Result<wire::AllocateBlockResult> allocated = co_await self->allocate();
  self->allocating_ = false;
  Status status = allocated ? self->take_targets(allocated.value(), ShardState::kStreaming) : Status(allocated.error());
  if (!status) {
    self->fail(std::move(status).error());
    co_return;
  }
  changed->notify_all();
  if (!self->stopped_) self->start_shards();
  while (!self->stopped_) {
    self->replace_stragglers();
    co_await changed->wait_until(self->next_straggler());
  }
}

void BlockWriter::start_shards() {
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    slots_[slot].sending = std::make_shared<ShardSending>(source_);
    context_.tasks.spawn(drive(shared_from_this(), slots_[slot].sending, slot));
  }
}

// Nothing more is sent for the present block id.
void BlockWriter::end_attempt() {
  source_->stopped = true;
  for (const Slot& slot : slots_) {
    if (is_under_way(slot) && slot.shard.is_stored()) abort_shard(context_, source_->block, slot.shard);
  }
  source_->changed->notify_all();
}

bool BlockWriter::is_under_way(const Slot& slot) const {
  return slot.state == ShardState::kStreaming || slot.state == ShardState::kTrying;
}

// Sends the shard of one slot until it is sealed, to as many servers as it takes. The slot is that of `sending` until
// that has ended.
Task<void> BlockWriter::drive(std::shared_ptr<BlockWriter> self, std::shared_ptr<ShardSending> sending, size_t index) {
  Backoff backoff(self->context_.env.random, kStalledBackoff);
  // The server that was tried again last, and how far the shard was then.
  std::pair<ServerId, uint64_t> retried;
  while (!sending->ended()) {
    if (self->slots_[index].shard.is_stored()) {
      const ServerId server = self->slots_[index].shard.server;
      const Status sent = co_await self->send(sending, index);
      if (sending->ended()) co_return;
      Slot& slot = self->slots_[index];
      if (sent) {
        self->context_.health.served(server);
        self->set_state(slot, ShardState::kSealed);
        co_return;
      }
      slot.failure = sent.error();
      if (slot.state == ShardState::kStreaming) self->set_state(slot, ShardState::kTrying);
      const bool went_on = retried.first != server || slot.most_taken > retried.second;
      if (may_be_passing(sent.error().code) && went_on) {
        retried = {server, slot.most_taken};
        DOGFS_COVERAGE_MARK("client: the same server tried again");
        continue;
      }
      self->note_failure(slot, sent.error());
    }
    if (!co_await self->go_elsewhere(sending, index, backoff)) co_return;
  }
}

Task<void> BlockWriter::drive_elsewhere(std::shared_ptr<BlockWriter> self, std::shared_ptr<ShardSending> sending,
                                        size_t index) {
  Backoff backoff(self->context_.env.random, kStalledBackoff);
  if (co_await self->go_elsewhere(sending, index, backoff)) co_await drive(self, sending, index);
}

Task<bool> BlockWriter::go_elsewhere(std::shared_ptr<ShardSending> sending, size_t index, Backoff& backoff) {
  slots_[index].sent_since.reset();
  const Status replaced = co_await replace(sending, index);
  if (sending->ended()) co_return false;
  if (!replaced && !leaves_other_shards(replaced.error().code)) {
    fail(replaced.error());
    co_return false;
  }
  DOGFS_COVERAGE_MARK("client: a target replaced, or none left");
  // Without another server the old one is tried again: it may only be restarting.
  set_state(slots_[index], replaced ? ShardState::kTrying : ShardState::kStalled);
  if (!replaced) co_await sleep_for(context_.env.clock, backoff.next());
  co_return true;
}

// Once to its present target.
Task<Status> BlockWriter::send(std::shared_ptr<ShardSending> sending, size_t index) {
  const Shard target = slots_[index].shard;
  const wire::EcPolicy policy = geometry_to_wire(plan_.geometry);
  if (!slots_[index].sent_since) slots_[index].sent_since = context_.env.clock.now();
  const uint64_t length = shard_length_hint(target.index);
  const Status opened = co_await open_shard(context_, sending->source->block, policy, target, length);
  if (sending->ended()) co_return Error(ErrorCode::kCancelled);
  // Sealed by an attempt whose answer was lost.
  if (code_of(opened) == ErrorCode::kAlreadyExists) co_return co_await seal_sent_shard(context_, sending, target);
  DOGFS_CO_TRYV(opened);
  Slot& slot = slots_[index];
  slot.was_open = true;
  if (slot.state == ShardState::kStalled) {
    slot.sent_since = context_.env.clock.now();
    set_state(slot, ShardState::kTrying);
  }
  took(slot, 0);
  TakenBytes on_taken = [self = shared_from_this(), index](uint64_t bytes) { self->took(self->slots_[index], bytes); };
  co_return co_await send_shard(context_, sending, target, std::move(on_taken));
}

// What the others have left behind is sent elsewhere, and its server is as good as one that failed.
void BlockWriter::replace_stragglers() {
  const MonoTime now = context_.env.clock.now();
  for (size_t index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    if (!is_under_way(slot) || !slot.sent_since) continue;
    if (!is_straggler(now - *slot.sent_since, progress(), patience())) continue;
    DOGFS_COVERAGE_MARK("client: a target left behind by the others replaced");
    slot.sending->given_up = true;
    abort_shard(context_, source_->block, slot.shard);
    slot.failure = Error(ErrorCode::kTimeout, "left behind by the other shards of its block");
    note_failure(slot, *slot.failure);
    slot.sent_since.reset();
    slot.sending = std::make_shared<ShardSending>(source_);
    set_state(slot, ShardState::kTrying);
    context_.tasks.spawn(drive_elsewhere(shared_from_this(), slot.sending, index));
  }
}

MonoTime BlockWriter::next_straggler() const {
  if (!required_since_) return kNever;
  MonoTime next = kNever;
  for (const Slot& slot : slots_) {
    if (!is_under_way(slot) || !slot.sent_since) continue;
    next = std::min(next, std::max(*required_since_, *slot.sent_since) + context_.options.straggler_timeout);
  }
  return next;
}

// A shard that is sent again is got ahead with where it is further than it ever was, or where it only waits for more.
void BlockWriter::took(Slot& slot, uint64_t bytes) {
  const bool waits = !content_->complete() && bytes == content_->shard(slot.shard.index).bytes.size();
  if (slot.state == ShardState::kTrying && (waits || bytes > slot.most_taken)) set_state(slot, ShardState::kStreaming);
  slot.most_taken = std::max(slot.most_taken, bytes);
}

void BlockWriter::note_failure(const Slot& slot, const Error& error) {
  context_.health.failed(slot.shard.server);
  failed_[slot.shard.server] = context_.env.clock.now();
  context_.env.log.info("client", "block {}: shard {} on server {} failed: {}", source_->block, slot.shard.index,
                        slot.shard.server, error.to_string());
}

// No block goes on for longer without getting further: what failed it before may only have been restarting.
std::vector<ServerId> BlockWriter::failed_lately() const {
  const MonoTime since = context_.env.clock.now() - context_.options.write_patience;
  std::vector<ServerId> servers;
  for (const auto& [server, at] : failed_) {
    if (at >= since) servers.push_back(server);
  }
  return servers;
}

// --- Settling ------------------------------------------------------------------------------------------------------

Task<Status> BlockWriter::settle() {
  while (true) {
    if (error_) co_return *error_;
    if (stopped_) co_return Error(ErrorCode::kCancelled);
    if (!slots_.empty()) {
      const BlockVerdict verdict = judge(progress(), patience());
      if (verdict == BlockVerdict::kCommit) co_return ok();
      if (verdict == BlockVerdict::kGiveUp) co_return insufficient_servers();
      if (verdict == BlockVerdict::kBeginAnew) {
        DOGFS_CO_TRYV(co_await begin_anew());
        continue;
      }
    }
    co_await source_->changed->wait_until(next_check());
  }
}

// Until the length is known the block counts as a full one; by then at least a stripe is there, so that d is right.
BlockLayout BlockWriter::layout() const {
  const uint64_t length = content_->finished() ? content_->length() : plan_.geometry.block_bytes;
  return BlockLayout(plan_.geometry, length);
}

uint32_t BlockWriter::count(ShardState state) const {
  return static_cast<uint32_t>(std::ranges::count(slots_, state, [](const Slot& slot) { return slot.state; }));
}

bool BlockWriter::is_refused() const {
  return plan_.offset == 0 && std::ranges::all_of(slots_, [](const Slot& slot) {
           if (slot.state != ShardState::kStalled) return true;
           return !slot.was_open && (!slot.failure || slot.failure->code == ErrorCode::kRefused);
         });
}

BlockPatience BlockWriter::patience() const {
  const ClientOptions& options = context_.options;
  return {.straggler_timeout = options.straggler_timeout,
          .stuck_timeout = options.stuck_timeout,
          .refused_timeout = std::min(options.stuck_timeout, kRefusedTimeout),
          .write_patience = options.write_patience};
}

BlockProgress BlockWriter::progress() const {
  const MonoTime now = context_.env.clock.now();
  return BlockProgress{
      .stored = stored(),
      .required = required(),
      .sealed = count(ShardState::kSealed),
      .stalled = count(ShardState::kStalled),
      .since_required = required_since_ ? now - *required_since_ : Duration(0),
      .since_stuck = stuck_since_ ? now - *stuck_since_ : Duration(0),
      .since_behind = behind_since_ ? now - *behind_since_ : Duration(0),
      .refused = is_refused(),
  };
}

MonoTime BlockWriter::next_check() const {
  MonoTime next = kNever;
  if (required_since_) next = std::min(next, *required_since_ + context_.options.write_patience);
  if (stuck_since_) {
    const BlockPatience limits = patience();
    next = std::min(next, *stuck_since_ + (is_refused() ? limits.refused_timeout : limits.stuck_timeout));
  }
  if (behind_since_) next = std::min(next, *behind_since_ + context_.options.write_patience);
  return next;
}

void BlockWriter::set_state(Slot& slot, ShardState state) {
  slot.state = state;
  keep_time();
  source_->changed->notify_all();
}

void BlockWriter::keep_time() {
  const MonoTime now = context_.env.clock.now();
  const BlockProgress present = progress();
  if (present.sealed >= present.required && !required_since_) required_since_ = now;
  if (!is_stuck(present)) stuck_since_.reset();
  if (is_stuck(present) && !stuck_since_) stuck_since_ = now;
  const bool behind = count(ShardState::kSealed) + count(ShardState::kStreaming) < present.required;
  if (!behind) behind_since_.reset();
  if (behind && !behind_since_) behind_since_ = now;
}

void BlockWriter::fail(Error error) {
  if (!error_) error_ = std::move(error);
  source_->changed->notify_all();
}

// Whether there were servers enough, had they room.
bool BlockWriter::is_full() const {
  const auto could_be_stored = [](const Slot& slot) {
    if (slot.state == ShardState::kSealed || slot.state == ShardState::kStreaming) return true;
    return slot.failure && slot.failure->code == ErrorCode::kNoSpace;
  };
  return std::ranges::count_if(slots_, could_be_stored) >= required();
}

Error BlockWriter::insufficient_servers() const {
  std::string failures;
  for (const Slot& slot : slots_) {
    if (slot.state == ShardState::kSealed || slot.state == ShardState::kStreaming) continue;
    failures += fmt::format("; shard {}: {}", slot.shard.index,
                            slot.failure ? fmt::format("server {} ({}): {}", slot.shard.server,
                                                       slot.shard.address.value, slot.failure->to_string())
                                         : "no eligible server");
  }
  return Error(is_full() ? ErrorCode::kNoSpace : ErrorCode::kInsufficientServers,
               fmt::format("block {} needs {} of {} shards stored, {} are, and {} have nowhere to go{}", source_->block,
                           required(), stored(), count(ShardState::kSealed), count(ShardState::kStalled), failures));
}

}  // namespace dogfs
