#include "core/chunk/shard_rebuild.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/base/mutant.h"
#include "core/chunk/shard_fetcher.h"
#include "core/chunk/shard_format.h"
#include "core/env/sync.h"

namespace dogfs {
namespace {

constexpr uint64_t kMaxStretchBytes = 1 * kMiB;
constexpr uint64_t kRebuildBytes = 8 * kMiB;
constexpr Duration kReadTimeout = seconds(10);

uint64_t stretch_for(uint32_t sources) {
  const uint64_t share = std::min<uint64_t>(kRebuildBytes / (sources + 1), kMaxStretchBytes);
  return std::max<uint64_t>(share / kChecksumPieceBytes, 1) * kChecksumPieceBytes;
}

// The stretch with the rest of its last piece: reads are of whole pieces, and where the wanted shard ends within one,
// others may go on (HDDS-10682).
ShardRange whole_pieces(ShardRange range) {
  return {.offset = range.offset, .length = piece_count(range.length) * kChecksumPieceBytes};
}

// What a shard of `length` bytes has of `range`.
ShardRange clip(ShardRange range, uint64_t length) {
  if (range.offset >= length) return {.offset = range.offset, .length = 0};
  return {.offset = range.offset, .length = std::min(range.length, length - range.offset)};
}

}  // namespace

ShardRebuild::ShardRebuild(Env& env, BackgroundPace& pace, RebuildOrder order)
    : env_(env),
      pace_(pace),
      order_(std::move(order)),
      codec_(order_.layout.geometry().data_shards, order_.layout.geometry().parity_shards),
      stretch_bytes_(stretch_for(order_.layout.stored_data_shards())) {
  for (const wire::Shard& source : order_.sources) sources_.push_back({.shard = source, .failure = std::nullopt});
}

Task<Result<Bytes>> ShardRebuild::stretch(uint64_t offset, uint64_t length) {
  const ShardRange range{.offset = offset, .length = length};
  if (Result<Bytes> copied = co_await copy(range); copied.has_value()) {
    DOGFS_COVERAGE_MARK("chunk: a stretch of a rebuild copied");
    co_return copied;
  }
  Stretches have;
  while (have.size() < order_.layout.stored_data_shards()) {
    const std::vector<size_t> chosen = next_sources(have);
    if (chosen.empty()) co_return too_few();
    co_await read(chosen, range, have);
  }
  DOGFS_COVERAGE_MARK("chunk: a stretch of a rebuild decoded");
  co_return co_await decode(range, have);
}

// From the shard itself, where its server still has it.
Task<Result<Bytes>> ShardRebuild::copy(ShardRange range) {
  const auto source = std::ranges::find_if(
      sources_, [this](const Source& each) { return each.shard.index() == order_.key.index.value() && !each.failure; });
  if (source == sources_.end()) co_return Error(ErrorCode::kNotFound);
  Stretches read;
  co_await read_one(static_cast<size_t>(source - sources_.begin()), range, read);
  if (read.empty()) co_return Error(ErrorCode::kNotFound);
  co_return read.begin()->second;
}

// As many more as are needed, or none where there are not so many.
std::vector<size_t> ShardRebuild::next_sources(const Stretches& read) const {
  const size_t missing = order_.layout.stored_data_shards() - read.size();
  std::vector<size_t> chosen;
  for (size_t i = 0; i < sources_.size() && chosen.size() < missing; ++i) {
    const Source& source = sources_[i];
    const bool own = source.shard.index() == order_.key.index.value();
    if (!own && !source.failure && !read.contains(source.shard.index())) chosen.push_back(i);
  }
  if (chosen.size() < missing) chosen.clear();
  return chosen;
}

Task<void> ShardRebuild::read(std::vector<size_t> chosen, ShardRange range, Stretches& read) {
  TaskGroup reads(env_.executor, env_.clock);
  for (const size_t source : chosen) reads.spawn(read_one(source, range, read));
  co_await reads.join();
}

Task<void> ShardRebuild::read_one(size_t source, ShardRange range, Stretches& read) {
  const wire::Shard shard = sources_[source].shard;
  const ShardRange part = clip(whole_pieces(range), shard.length());
  if (part.length == 0) {
    read.emplace(shard.index(), Bytes());
    co_return;
  }
  const MonoTime deadline = env_.clock.now() + kReadTimeout;
  Result<Bytes> bytes = Error(ErrorCode::kTimeout, "held back for clients");
  if (co_await pace_.take(part.length, deadline)) {
    bytes = co_await fetch_shard(env_, order_.key.block, shard, part, deadline);
  }
  if (bytes.has_value()) {
    read.emplace(shard.index(), bytes.value().slice(0, std::min<uint64_t>(range.length, part.length)));
  } else {
    env_.log.info("chunk", "block {} shard {} of server {} is no source: {}", order_.key.block, shard.index(),
                  shard.server(), bytes.error().to_string());
    DOGFS_COVERAGE_MARK("chunk: a source of a rebuild failed");
    sources_[source].failure = bytes.error();
  }
}

Task<Result<Bytes>> ShardRebuild::decode(ShardRange range, const Stretches& read) {
  ShardIndex wanted = order_.key.index;
  if (mutant_active(Mutant::kPublishUnchecked)) wanted = ShardIndex(order_.layout.geometry().total_shards() - 1);
  std::vector<ShardIndex> available;
  for (const auto& [index, bytes] : read) available.emplace_back(index);
  DOGFS_CO_TRY(
      const std::shared_ptr<const DecodePlan> plan,
      codec_.plan(
          {.stored_data_shards = order_.layout.stored_data_shards(), .available = available, .wanted = {wanted}}));
  std::vector<std::span<const std::byte>> inputs;
  for (const ShardIndex source : plan->sources()) inputs.push_back(read.at(source.value()).span());
  MutableBuffer output(range.length);
  co_await env_.compute.run([&] {
    const std::span<std::byte> wanted_bytes = output.span();
    plan->run(inputs, std::span(&wanted_bytes, 1));
  });
  co_return output.freeze();
}

std::vector<wire::Shard> ShardRebuild::suspects() const {
  std::vector<wire::Shard> suspects;
  for (const Source& source : sources_) {
    const bool suspect = source.failure && (error_class(source.failure->code) == ErrorClass::kCorrupt ||
                                            source.failure->code == ErrorCode::kIoError);
    if (suspect) suspects.push_back(source.shard);
  }
  return suspects;
}

Error ShardRebuild::too_few() const {
  size_t damaged = 0;
  for (const Source& source : sources_) {
    if (source.failure && error_class(source.failure->code) == ErrorClass::kCorrupt) ++damaged;
  }
  const bool lost = sources_.size() - damaged < order_.layout.stored_data_shards();
  return Error(lost ? ErrorCode::kDataLoss : ErrorCode::kUnavailable,
               fmt::format("{} sources, {} of them damaged; {} are needed", sources_.size(), damaged,
                           order_.layout.stored_data_shards()));
}

}  // namespace dogfs
