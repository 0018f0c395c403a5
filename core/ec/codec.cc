#include "core/ec/codec.h"

#include <fmt/format.h>
#include <jerasure.h>
#include <reed_sol.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "core/base/check.h"
#include "core/base/mutant.h"

namespace dogfs {
namespace {

constexpr int kFieldBits = 8;
constexpr size_t kMaxCachedPlans = 64;
static_assert(kMaxShards <= 64, "a set of shards is the bits of one word");

// Jerasure makes its field tables on first use, without a lock. Making them here, once, leaves it with nothing but
// reads of shared state.
void initialise_jerasure() {
  static const bool initialised = galois_init_default_field(kFieldBits) == 0;
  DOGFS_CHECK(initialised);
}

GfMatrix vandermonde_rows(uint32_t data_shards, uint32_t parity_shards) {
  DOGFS_CHECK(data_shards >= 1 && data_shards <= kMaxDataShards);
  DOGFS_CHECK(parity_shards >= 1 && parity_shards <= kMaxParityShards);
  initialise_jerasure();
  const std::unique_ptr<int, decltype(&std::free)> elements(
      reed_sol_vandermonde_coding_matrix(static_cast<int>(data_shards), static_cast<int>(parity_shards), kFieldBits),
      &std::free);
  DOGFS_CHECK(elements != nullptr);
  GfMatrix matrix(parity_shards, data_shards);
  for (size_t row = 0; row < parity_shards; ++row) {
    for (size_t column = 0; column < data_shards; ++column) {
      matrix.set(row, column, static_cast<uint8_t>(elements.get()[row * data_shards + column]));
    }
  }
  return matrix;
}

std::vector<ShardIndex> members(uint64_t set) {
  std::vector<ShardIndex> out;
  for (uint32_t index = 0; index < kMaxShards; ++index) {
    if (set >> index & 1U) out.push_back(ShardIndex(index));
  }
  return out;
}

}  // namespace

Codec::Codec(uint32_t data_shards, uint32_t parity_shards)
    : data_shards_(data_shards),
      parity_shards_(parity_shards),
      parity_rows_(vandermonde_rows(data_shards, parity_shards)),
      encoder_(parity_rows_) {}

void Codec::encode(std::span<const std::span<const std::byte>> data,
                   std::span<const std::span<std::byte>> parity) const {
  DOGFS_CHECK(data.size() <= data_shards_);
  std::array<std::span<const std::byte>, kMaxDataShards> columns;
  std::copy(data.begin(), data.end(), columns.begin());
  encoder_.multiply(std::span(columns).first(data_shards_), parity);
}

uint8_t Codec::generator(ShardIndex row, uint32_t column) const {
  if (row.value() < data_shards_) return row.value() == column ? 1 : 0;
  return parity_rows_.at(row.value() - data_shards_, column);
}

Result<std::shared_ptr<const DecodePlan>> Codec::plan(const DecodeRequest& request) {
  DOGFS_TRY(const PlanKey key, key_of(request));
  if (const auto found = plan_by_key_.find(key); found != plan_by_key_.end()) {
    plans_.splice(plans_.begin(), plans_, found->second);
    return found->second->plan;
  }
  plans_.push_front(CachedPlan{key, make_plan(key)});
  plan_by_key_[key] = plans_.begin();
  if (plans_.size() > kMaxCachedPlans) {
    plan_by_key_.erase(plans_.back().key);
    plans_.pop_back();
  }
  return plans_.front().plan;
}

Result<Codec::PlanKey> Codec::key_of(const DecodeRequest& request) const {
  const uint32_t needed = request.stored_data_shards;
  if (needed < 1 || needed > data_shards_) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("decode of {} of {} data shards", needed, data_shards_));
  }
  const auto is_stored = [&](ShardIndex index) {
    return index.value() < needed || (index.value() >= data_shards_ && index.value() < data_shards_ + parity_shards_);
  };
  PlanKey key{.stored_data_shards = needed, .sources = 0, .wanted = 0};
  uint32_t sources = 0;
  for (const ShardIndex index : request.available) {
    if (!is_stored(index)) return Error(ErrorCode::kInvalidArgument, fmt::format("no shard {} is stored", index));
    const uint64_t bit = 1ULL << index.value();
    if (sources == needed || (key.sources & bit) != 0) continue;
    key.sources |= bit;
    ++sources;
  }
  if (sources < needed) {
    return Error(ErrorCode::kDataLoss, fmt::format("{} of the {} shards that decoding takes", sources, needed));
  }
  for (const ShardIndex index : request.wanted) {
    if (!is_stored(index)) return Error(ErrorCode::kInvalidArgument, fmt::format("no shard {} is stored", index));
    key.wanted |= 1ULL << index.value();
  }
  return key;
}

std::shared_ptr<const DecodePlan> Codec::make_plan(const PlanKey& key) const {
  const uint32_t size = key.stored_data_shards;
  std::vector<ShardIndex> sources = members(key.sources);
  const std::vector<ShardIndex> wanted = members(key.wanted);
  std::vector<int> rows(size_t{size} * size);
  std::vector<int> inverse(size_t{size} * size);
  for (uint32_t row = 0; row < size; ++row) {
    for (uint32_t column = 0; column < size; ++column) rows[row * size + column] = generator(sources[row], column);
  }
  const int inverted = jerasure_invert_matrix(rows.data(), inverse.data(), static_cast<int>(size), kFieldBits);
  DOGFS_CHECK(inverted == 0, "any k rows of the generator are linearly independent");
  GfMatrix matrix(wanted.size(), size);
  for (size_t row = 0; row < wanted.size(); ++row) {
    for (uint32_t column = 0; column < size; ++column) {
      int sum = 0;
      for (uint32_t i = 0; i < size; ++i) {
        sum ^= galois_single_multiply(generator(wanted[row], i), inverse[i * size + column], kFieldBits);
      }
      matrix.set(row, column, static_cast<uint8_t>(sum));
    }
  }
  if (mutant_active(Mutant::kDecodeOrder)) std::ranges::reverse(sources);
  return std::make_shared<const DecodePlan>(sources, wanted, GfProduct(std::move(matrix)));
}

}  // namespace dogfs
