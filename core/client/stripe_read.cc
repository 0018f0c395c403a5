#include "core/client/stripe_read.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/client/backoff.h"
#include "core/client/damage.h"

namespace dogfs {
namespace {

// Shards that could not be reached are asked again, after a pause, in so many rounds.
constexpr int kMaxRounds = 4;
constexpr BackoffOptions kRoundBackoff{.first = milliseconds(100), .most = seconds(1)};

ShardRange clip(ShardRange range, uint64_t length) {
  const uint64_t end = std::min(range.end(), length);
  if (range.offset >= end) return {.offset = std::min(range.offset, length), .length = 0};
  return {.offset = range.offset, .length = end - range.offset};
}

}  // namespace

bool StripeRead::Source::is_pending() const {
  return (narrow_fetch && !narrow_fetch->bytes) || (wide_fetch && !wide_fetch->bytes);
}

std::optional<BytesChain> StripeRead::Source::own_bytes() const {
  if (narrow_fetch && narrow_fetch->bytes) return narrow_fetch->bytes;
  if (wide_fetch && wide_fetch->bytes) {
    return wide_fetch->bytes->slice(narrow.offset - wide.offset, narrow.length);
  }
  return std::nullopt;
}

StripeRead::StripeRead(std::shared_ptr<BlockReader> block, BlockRange range)
    : block_(std::move(block)),
      located_(block_->located()),
      range_(range),
      required_(located_->layout.stored_data_shards()),
      changed_(block_->context().env.clock) {
  const BlockLayout& layout = located_->layout;
  const ShardIndex any_parity(layout.geometry().data_shards);
  const ShardRange width = layout.shard_range(range_, any_parity);
  for (const Shard& shard : located_->shards) {
    Source source{.shard = shard};
    if (!layout.is_parity(shard.index)) source.narrow = layout.shard_range(range_, shard.index);
    source.wide = clip(width, shard.length);
    sources_.push_back(std::move(source));
  }
}

Task<Result<BytesChain>> StripeRead::run() {
  ClientContext& context = block_->context();
  Backoff backoff(context.env.random, kRoundBackoff);
  for (int round = 1;; ++round) {
    begin_round();
    while (true) {
      ask();
      if (is_satisfied(outlooks(), required_)) co_return co_await deliver();
      if (!is_pending()) break;
      co_await changed_.wait_until(next_lateness());
      mark_late();
    }
    if (stale_ || is_lost()) {
      const Result<bool> moved = co_await relocate();
      if (!moved && moved.error().code == ErrorCode::kGone) co_return fail(moved.error());
      if (moved && !moved.value() && is_lost()) {
        // That data is lost is said only of what was seen twice.
        if (std::exchange(doubted_, true)) co_return fail(failure(ErrorCode::kDataLoss));
        block_->doubt_damage();
      }
      if (moved && moved.value() && round < kMaxRounds) continue;
    }
    if (round >= kMaxRounds) break;
    DOGFS_COVERAGE_MARK("client: another round of reads");
    co_await sleep_for(context.env.clock, backoff.next());
  }
  co_return fail(failure(ErrorCode::kUnavailable));
}

// --- Asking --------------------------------------------------------------------------------------------------------

// Forgets failures that may have passed.
void StripeRead::begin_round() {
  stale_ = false;
  for (Source& source : sources_) {
    if (!source.shard.is_stored()) {
      source.failure = Error(ErrorCode::kNotFound, "stored nowhere");
    } else if (const Error* damage = block_->damage(source.shard)) {
      source.failure = *damage;
    } else if (source.wide.length == 0) {
      // It ends before the stretch: zeros, which need not be read.
      source.failure.reset();
      source.wide_fetch = Fetch{.started = MonoTime(), .bytes = BytesChain()};
    } else {
      source.failure.reset();
    }
  }
}

void StripeRead::ask() {
  const StripeChoice choice = choose_reads(outlooks(), required_);
  const auto start = [&](ShardIndex index, bool wide) {
    const auto source = std::ranges::find(sources_, index, [](const Source& s) { return s.shard.index; });
    const bool whole = wide || source->narrow == source->wide;
    const Fetch begun{.started = block_->context().env.clock.now(), .bytes = std::nullopt};
    (whole ? source->wide_fetch : source->narrow_fetch) = begun;
    const auto position = static_cast<size_t>(source - sources_.begin());
    block_->context().hedges.earn();
    block_->context().tasks.spawn(fetch(shared_from_this(), position, whole));
  };
  for (const ShardIndex index : choice.read_narrow) start(index, false);
  for (const ShardIndex index : choice.read_wide) start(index, true);
}

Task<void> StripeRead::fetch(std::shared_ptr<StripeRead> self, size_t position, bool wide) {
  const std::shared_ptr<BlockReader> block = self->block_;
  const Shard shard = self->sources_[position].shard;
  const ShardRange range = wide ? self->sources_[position].wide : self->sources_[position].narrow;
  Result<ShardBytes> read = co_await read_shard(block->context(), block->block().block, shard, range,
                                                {.sums = block->sums(shard), .from_disk = self->doubted_});
  if (read) block->set_sums(shard, read.value().sums);
  if (!read) {
    if (is_damage(read.error().code)) {
      DOGFS_COVERAGE_MARK("client: a damaged shard found");
      if (!block->damage(shard)) block->set_damaged(shard, read.error());
    } else if (!is_stale(read.error().code) && read.error().code != ErrorCode::kBusy) {
      if (is_unreadable(read.error().code)) block->suspect(shard);
      block->context().health.failed(shard.server);
    }
  }
  if (!self->ended_) self->take(self->sources_[position], wide, shard, std::move(read));
  self->changed_.notify_all();
}

void StripeRead::take(Source& source, bool wide, const Shard& asked, Result<ShardBytes> read) {
  std::optional<Fetch>& fetch = wide ? source.wide_fetch : source.narrow_fetch;
  if (!fetch || fetch->bytes) return;
  if (read) {
    fetch->bytes = std::move(read).value().bytes;
    source.late = false;
    return;
  }
  fetch.reset();
  // Located anew meanwhile: the failure is not that of the present shard.
  if (asked != source.shard) return;
  source.failure = read.error();
  source.late = false;
  if (is_stale(read.error().code)) stale_ = true;
}

// When the first of the source's reads that are under way is late.
MonoTime StripeRead::overdue_at(const Source& source) const {
  MonoTime started = kNever;
  for (const std::optional<Fetch>* fetch : {&source.narrow_fetch, &source.wide_fetch}) {
    if (*fetch && !(*fetch)->bytes) started = std::min(started, (*fetch)->started);
  }
  if (started == kNever) return kNever;
  return std::max(started + block_->context().health.hedge_delay(), source.not_late_before);
}

bool StripeRead::is_overdue(const Source& source) const {
  return !source.late && overdue_at(source) <= block_->context().env.clock.now();
}

// Gives up waiting for late shards, as far as the budget allows for the requests that this takes. Otherwise they are
// waited for a while longer.
void StripeRead::mark_late() {
  ClientContext& context = block_->context();
  std::vector<Source*> overdue;
  for (Source& source : sources_) {
    if (is_overdue(source)) overdue.push_back(&source);
  }
  if (overdue.empty()) return;
  for (Source* source : overdue) source->late = true;
  const StripeChoice choice = choose_reads(outlooks(), required_);
  if (context.hedges.take(choice.read_narrow.size() + choice.read_wide.size())) {
    DOGFS_COVERAGE_MARK("client: a read overtaken by others is hedged");
    return;
  }
  for (Source* source : overdue) {
    source->late = false;
    source->not_late_before = context.env.clock.now() + context.health.hedge_delay();
  }
}

MonoTime StripeRead::next_lateness() const {
  MonoTime next = kNever;
  for (const Source& source : sources_) {
    if (!source.late) next = std::min(next, overdue_at(source));
  }
  return next;
}

std::vector<ShardOutlook> StripeRead::outlooks() const {
  std::vector<ShardOutlook> out;
  for (const Source& source : sources_) {
    out.push_back(ShardOutlook{
        .index = source.shard.index,
        .needed = source.is_needed(),
        .suspect = block_->context().health.is_suspect(source.shard.server),
        .failed = source.failure.has_value(),
        .late = source.late,
        .narrow_asked = source.narrow_fetch.has_value(),
        .narrow_got = source.narrow_fetch && source.narrow_fetch->bytes,
        .wide_asked = source.wide_fetch.has_value(),
        .wide_got = source.wide_fetch && source.wide_fetch->bytes,
    });
  }
  return out;
}

bool StripeRead::is_pending() const {
  return std::ranges::any_of(sources_, &Source::is_pending);
}

Task<Result<bool>> StripeRead::relocate() {
  // Others may have fetched them before this read saw what it saw: news, but not the last word.
  const bool fetched_by_others = block_->located() != located_;
  DOGFS_CO_TRYV(co_await block_->refresh(located_));
  located_ = block_->located();
  bool moved = fetched_by_others;
  for (Source& source : sources_) {
    const Shard& fresh = located_->shard(source.shard.index);
    if (fresh == source.shard) continue;
    moved = true;
    source.shard = fresh;
  }
  co_return moved;
}

// --- Delivering ----------------------------------------------------------------------------------------------------

Task<Result<BytesChain>> StripeRead::deliver() {
  // Servers that others overtook are not asked first by the reads that follow.
  for (const Source& source : sources_) {
    if (source.late && source.is_pending()) block_->context().health.overtaken(source.shard.server);
  }
  ended_ = true;
  const bool direct =
      std::ranges::all_of(sources_, [](const Source& s) { return !s.is_needed() || s.own_bytes().has_value(); });
  if (!direct) {
    DOGFS_CO_TRYV(co_await decode());
  }
  BytesChain out;
  for (const CellPiece& piece : located_->layout.pieces(range_)) {
    const auto source = std::ranges::find(sources_, piece.index, [](const Source& s) { return s.shard.index; });
    const std::optional<BytesChain> own = source->own_bytes();
    DOGFS_CHECK(own.has_value());
    const BytesChain part = own->slice(piece.shard_offset - source->narrow.offset, piece.length);
    for (const Bytes& bytes : part.pieces()) out.append(bytes);
  }
  DOGFS_CHECK(out.size() == range_.length);
  end();
  co_return out;
}

// Computes the needed shards that did not come, over the width of the stretch.
Task<Status> StripeRead::decode() {
  DOGFS_COVERAGE_MARK("client: decode used");
  Codec::DecodeRequest request{.stored_data_shards = required_, .available = {}, .wanted = {}};
  for (const Source& source : sources_) {
    const bool got_wide = source.wide_fetch && source.wide_fetch->bytes;
    if (got_wide) request.available.push_back(source.shard.index);
    if (source.is_needed() && !source.own_bytes()) request.wanted.push_back(source.shard.index);
  }
  const std::shared_ptr<Codec> codec = block_->context().codecs.get(located_->layout.geometry());
  DOGFS_CO_TRY(const std::shared_ptr<const DecodePlan> plan, codec->plan(request));

  const auto find = [&](ShardIndex index) {
    return std::ranges::find(sources_, index, [](const Source& s) { return s.shard.index; });
  };
  std::vector<BytesChain> inputs;
  for (const ShardIndex index : plan->sources()) inputs.push_back(*find(index)->wide_fetch->bytes);
  std::vector<MutableBuffer> outputs;
  for (const ShardIndex index : plan->wanted()) outputs.emplace_back(find(index)->wide.length);
  co_await block_->context().env.compute.run([&inputs, &outputs, &plan] {
    std::vector<Bytes> flat;
    for (const BytesChain& input : inputs) flat.push_back(input.flatten());
    std::vector<std::span<const std::byte>> sources;
    for (const Bytes& bytes : flat) sources.push_back(bytes.span());
    std::vector<std::span<std::byte>> wanted;
    for (MutableBuffer& output : outputs) wanted.push_back(output.span());
    plan->run(sources, wanted);
  });
  for (size_t i = 0; i < outputs.size(); ++i) {
    Source& source = *find(plan->wanted()[i]);
    source.wide_fetch = Fetch{.started = MonoTime(), .bytes = BytesChain(outputs[i].freeze())};
  }
  co_return ok();
}

// --- Failing -------------------------------------------------------------------------------------------------------

bool StripeRead::is_lost() const {
  const auto is_intact = [](const Source& source) {
    return !source.failure || (!is_damage(source.failure->code) && !is_stale(source.failure->code));
  };
  return std::ranges::count_if(sources_, is_intact) < static_cast<ptrdiff_t>(required_);
}

Error StripeRead::fail(Error error) {
  end();
  return error;
}

Error StripeRead::failure(ErrorCode code) const {
  std::string shards;
  for (const Source& source : sources_) {
    if (!source.failure) continue;
    shards += source.shard.is_stored()
                  ? fmt::format("; shard {} on server {} ({}): {}", source.shard.index, source.shard.server,
                                source.shard.address.value, source.failure->to_string())
                  : fmt::format("; shard {}: {}", source.shard.index, source.failure->to_string());
  }
  return Error(code, fmt::format("block {}: {} of {} shards are needed to read it{}", located_->block, required_,
                                 sources_.size(), shards));
}

// Lets the bytes go: reads that are still under way keep this object, not its memory.
void StripeRead::end() {
  ended_ = true;
  for (Source& source : sources_) {
    source.narrow_fetch.reset();
    source.wide_fetch.reset();
  }
}

}  // namespace dogfs
