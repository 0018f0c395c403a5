#include "core/ec/codec.h"

#include <gtest/gtest.h>
#include <jerasure.h>
#include <rapidcheck/gtest.h>
#include <reed_sol.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <vector>

#include "core/base/hash.h"
#include "core/ec/geometry.h"

namespace dogfs {
namespace {

using Column = std::vector<std::byte>;
using Columns = std::vector<Column>;

// The field by its definition: shift and add, modulo 0x11d.
uint8_t slow_multiply(uint8_t a, uint8_t b) {
  unsigned product = 0;
  for (unsigned shifted = a; b != 0; b >>= 1) {
    if (b & 1U) product ^= shifted;
    shifted = (shifted << 1) ^ ((shifted & 0x80U) != 0 ? 0x11DU : 0U);
  }
  return static_cast<uint8_t>(product);
}

std::vector<int> jerasure_rows(uint32_t k, uint32_t m) {
  int* rows = reed_sol_vandermonde_coding_matrix(static_cast<int>(k), static_cast<int>(m), 8);
  std::vector<int> out(rows, rows + size_t{k} * m);
  std::free(rows);
  return out;
}

Column random_column(uint64_t seed, size_t size) {
  Column column(size);
  for (size_t i = 0; i < size; ++i) column[i] = static_cast<std::byte>(combine64(seed, i));
  return column;
}

Columns random_columns(uint64_t seed, size_t count, size_t size) {
  Columns columns;
  for (size_t i = 0; i < count; ++i) columns.push_back(random_column(combine64(seed, i), size));
  return columns;
}

std::vector<std::span<const std::byte>> inputs_of(const Columns& columns) {
  return {columns.begin(), columns.end()};
}

std::vector<std::span<std::byte>> outputs_of(Columns& columns) {
  return {columns.begin(), columns.end()};
}

Columns encode(const Codec& codec, const Columns& data, size_t parity_bytes) {
  Columns parity(codec.parity_shards(), Column(parity_bytes, std::byte{0xEE}));
  codec.encode(inputs_of(data), outputs_of(parity));
  return parity;
}

// Parity by the scalar field; data columns are continued by zeros.
Columns slow_encode(uint32_t k, uint32_t m, const Columns& data, size_t parity_bytes) {
  const std::vector<int> rows = jerasure_rows(k, m);
  Columns parity(m, Column(parity_bytes));
  for (size_t row = 0; row < m; ++row) {
    for (size_t i = 0; i < data.size(); ++i) {
      for (size_t x = 0; x < std::min(parity_bytes, data[i].size()); ++x) {
        parity[row][x] ^= static_cast<std::byte>(
            slow_multiply(static_cast<uint8_t>(rows[row * k + i]), static_cast<uint8_t>(data[i][x])));
      }
    }
  }
  return parity;
}

Columns jerasure_encode(uint32_t k, uint32_t m, Columns data, size_t size) {
  std::vector<int> rows = jerasure_rows(k, m);
  Columns parity(m, Column(size));
  std::vector<char*> sources;
  std::vector<char*> targets;
  for (Column& column : data) sources.push_back(reinterpret_cast<char*>(column.data()));
  for (Column& column : parity) targets.push_back(reinterpret_cast<char*>(column.data()));
  jerasure_matrix_encode(static_cast<int>(k), static_cast<int>(m), 8, rows.data(), sources.data(), targets.data(),
                         static_cast<int>(size));
  return parity;
}

// All stored shards of a block in its layout, absent columns left empty.
Columns shards_of_block(const Codec& codec, const BlockLayout& layout, uint64_t seed) {
  Columns shards;
  for (uint32_t i = 0; i < codec.data_shards(); ++i) {
    shards.push_back(random_column(combine64(seed, i), layout.shard_length(ShardIndex(i))));
  }
  const Columns parity = encode(codec, shards, layout.shard_length(ShardIndex(codec.data_shards())));
  shards.insert(shards.end(), parity.begin(), parity.end());
  return shards;
}

std::vector<ShardIndex> indices(std::initializer_list<uint32_t> numbers) {
  std::vector<ShardIndex> out;
  for (const uint32_t number : numbers) out.push_back(ShardIndex(number));
  return out;
}

// Decodes `wanted` from `available` and compares with the truth.
void expect_decodes(Codec& codec, const Columns& truth, Codec::DecodeRequest request) {
  const auto plan = codec.plan(request);
  ASSERT_TRUE(plan.has_value()) << plan.error().to_string();
  Columns sources;
  for (const ShardIndex index : plan.value()->sources()) {
    EXPECT_NE(std::find(request.available.begin(), request.available.end(), index), request.available.end());
    sources.push_back(truth[index.value()]);
  }
  Columns decoded;
  for (const ShardIndex index : plan.value()->wanted()) {
    decoded.emplace_back(truth[index.value()].size(), std::byte{0xEE});
  }
  plan.value()->run(inputs_of(sources), outputs_of(decoded));
  for (size_t i = 0; i < decoded.size(); ++i) {
    EXPECT_EQ(decoded[i], truth[plan.value()->wanted()[i].value()]) << "shard " << plan.value()->wanted()[i].value();
  }
}

// Splits the stored shards by `erased` (bits over their positions) and decodes what is missing from what is left, in
// an order that `seed` permutes.
void expect_pattern_decodes(Codec& codec, const BlockLayout& layout, const Columns& truth, uint64_t erased,
                            uint64_t seed) {
  Codec::DecodeRequest request{.stored_data_shards = layout.stored_data_shards(), .available = {}, .wanted = {}};
  const std::vector<ShardIndex> stored = layout.stored_indices();
  for (size_t i = 0; i < stored.size(); ++i) {
    (erased >> i & 1U ? request.wanted : request.available).push_back(stored[i]);
  }
  for (size_t i = request.available.size(); i > 1; --i) {
    std::swap(request.available[i - 1], request.available[reduce64(combine64(seed, i), i)]);
  }
  expect_decodes(codec, truth, std::move(request));
}

void expect_every_pattern_decodes(uint32_t k, uint32_t m) {
  const Geometry geometry{.data_shards = k, .parity_shards = m, .cell_bytes = 64, .block_bytes = uint64_t{k} * 64 * 3};
  Codec codec(k, m);
  for (const uint64_t length : {geometry.block_bytes, geometry.block_bytes - 70, geometry.stripe_bytes() + 1,
                                geometry.cell_bytes * 2 + 5, uint64_t{1}}) {
    const BlockLayout layout(geometry, length);
    const Columns truth = shards_of_block(codec, layout, length);
    for (uint64_t erased = 0; erased < 1ULL << layout.stored_shards(); ++erased) {
      if (static_cast<uint32_t>(std::popcount(erased)) > m) continue;
      expect_pattern_decodes(codec, layout, truth, erased, length + erased);
    }
  }
}

TEST(Codec, MatrixForRs63IsTheOneThatBlocksAreStoredWith) {
  Codec codec(6, 3);
  const std::vector<std::vector<int>> rows = {
      {1, 1, 1, 1, 1, 1}, {1, 225, 151, 172, 82, 200}, {1, 123, 245, 143, 244, 142}};
  for (size_t i = 0; i < 6; ++i) {
    Columns data(6, Column(1));
    data[i][0] = std::byte{1};
    const Columns parity = encode(codec, data, 1);
    for (size_t row = 0; row < 3; ++row) EXPECT_EQ(static_cast<int>(parity[row][0]), rows[row][i]);
  }
}

TEST(Codec, EncodesByteForByteLikeJerasure) {
  for (const auto& [k, m] : {std::pair{3U, 2U}, {6U, 3U}, {10U, 4U}, {12U, 8U}, {32U, 16U}, {1U, 1U}}) {
    const Codec codec(k, m);
    for (const size_t size : {8U, 64U, 4096U, 65536U}) {
      const Columns data = random_columns(size, k, size);
      EXPECT_EQ(encode(codec, data, size), jerasure_encode(k, m, data, size)) << k << "," << m << " of " << size;
    }
  }
}

TEST(Codec, EncodesEveryShortLengthLikeTheScalarField) {
  const Codec codec(6, 3);
  for (size_t size = 0; size <= 200; ++size) {
    const Columns data = random_columns(size, 6, size);
    EXPECT_EQ(encode(codec, data, size), slow_encode(6, 3, data, size)) << size;
  }
}

RC_GTEST_PROP(Codec, ColumnsOfAnyLengthsAreContinuedByZeros, ()) {
  const auto k = *rc::gen::inRange<uint32_t>(1, 12);
  const auto m = *rc::gen::inRange<uint32_t>(1, 6);
  Columns data;
  const auto present = *rc::gen::inRange<uint32_t>(0, k + 1);
  for (uint32_t i = 0; i < present; ++i) data.push_back(random_column(i, *rc::gen::inRange<size_t>(0, 300)));
  const auto parity_bytes = *rc::gen::inRange<size_t>(0, 300);
  RC_ASSERT(encode(Codec(k, m), data, parity_bytes) == slow_encode(k, m, data, parity_bytes));
}

TEST(Codec, EncodingByStretchesEqualsEncodingTheWhole) {
  const Codec codec(6, 3);
  const Columns data = random_columns(1, 6, 1000);
  Columns parity(3, Column(1000));
  for (size_t at = 0; at < 1000;) {
    const size_t take = std::min<size_t>(1 + at % 170, 1000 - at);
    std::vector<std::span<const std::byte>> in;
    std::vector<std::span<std::byte>> out;
    for (const Column& column : data) in.push_back(std::span(column).subspan(at, take));
    for (Column& column : parity) out.push_back(std::span(column).subspan(at, take));
    codec.encode(in, out);
    at += take;
  }
  EXPECT_EQ(parity, encode(codec, data, 1000));
}

TEST(Codec, DecodesEveryErasurePatternOfRs32) {
  expect_every_pattern_decodes(3, 2);
}

TEST(Codec, DecodesEveryErasurePatternOfRs63) {
  expect_every_pattern_decodes(6, 3);
}

TEST(Codec, DecodesSampledErasurePatternsOfRs104) {
  const Geometry geometry{.data_shards = 10, .parity_shards = 4, .cell_bytes = 64, .block_bytes = 10 * 64 * 2};
  Codec codec(10, 4);
  for (uint64_t sample = 0; sample < 500; ++sample) {
    const BlockLayout layout(geometry, 1 + reduce64(mix64(sample), geometry.block_bytes));
    const Columns truth = shards_of_block(codec, layout, sample);
    uint64_t erased = 0;
    for (uint64_t i = 0; i < 4; ++i) erased |= 1ULL << reduce64(combine64(sample, i), layout.stored_shards());
    expect_pattern_decodes(codec, layout, truth, erased, sample);
  }
}

// HADOOP-19180: where a parity shard stood before a data shard among those to be decoded, both came out wrong.
TEST(Codec, Hadoop19180TheOrderOfTheIndicesIsOfNoMatter) {
  const Geometry geometry{.data_shards = 4, .parity_shards = 3, .cell_bytes = 64, .block_bytes = 4 * 64 * 2};
  const BlockLayout layout(geometry, geometry.block_bytes);
  Codec codec(4, 3);
  const Columns truth = shards_of_block(codec, layout, 1);
  std::vector<ShardIndex> order = layout.stored_indices();
  do {
    expect_decodes(codec, truth,
                   {.stored_data_shards = 4,
                    .available = {order.begin() + 3, order.end()},
                    .wanted = {order.begin(), order.begin() + 3}});
  } while (std::ranges::next_permutation(order).found && !HasFailure());
}

TEST(Codec, DecodesTheWidestCodeFromParityAlone) {
  Codec codec(16, 16);
  const Geometry geometry{.data_shards = 16, .parity_shards = 16, .cell_bytes = 64, .block_bytes = 16 * 64};
  const BlockLayout layout(geometry, geometry.block_bytes);
  expect_pattern_decodes(codec, layout, shards_of_block(codec, layout, 7), 0xFFFF, 7);
}

TEST(Codec, DecodesAStretchInTheMiddleOfAShard) {
  Codec codec(3, 2);
  const Columns data = random_columns(3, 3, 500);
  const Columns parity = encode(codec, data, 500);
  const auto plan = codec.plan({.stored_data_shards = 3, .available = indices({4, 2, 0}), .wanted = indices({1})});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan.value()->sources(), indices({0, 2, 4}));
  const std::vector<std::span<const std::byte>> sources = {std::span(data[0]).subspan(123, 200),
                                                           std::span(data[2]).subspan(123, 200),
                                                           std::span(parity[1]).subspan(123, 200)};
  Column middle(200);
  const std::vector<std::span<std::byte>> wanted = {middle};
  plan.value()->run(sources, wanted);
  EXPECT_TRUE(std::equal(middle.begin(), middle.end(), data[1].begin() + 123));
}

TEST(Codec, MostWelcomeSourcesAreUsed) {
  Codec codec(3, 2);
  const auto plan =
      codec.plan({.stored_data_shards = 3, .available = indices({4, 4, 3, 1, 0}), .wanted = indices({2})});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan.value()->sources(), indices({1, 3, 4}));
}

TEST(Codec, TooFewShardsAreAnError) {
  Codec codec(6, 3);
  const std::vector<Codec::DecodeRequest> requests = {
      {.stored_data_shards = 6, .available = {}, .wanted = indices({0})},
      {.stored_data_shards = 6, .available = indices({1, 2, 3, 4, 5}), .wanted = indices({0})},
      {.stored_data_shards = 6, .available = indices({1, 2, 3, 4, 5, 5, 5}), .wanted = indices({0})},
      {.stored_data_shards = 2, .available = indices({8}), .wanted = indices({0})}};
  for (const Codec::DecodeRequest& request : requests) EXPECT_EQ(code_of(codec.plan(request)), ErrorCode::kDataLoss);
}

TEST(Codec, ShardsThatAreNotStoredAreRefused) {
  Codec codec(6, 3);
  const std::vector<Codec::DecodeRequest> requests = {
      {.stored_data_shards = 0, .available = indices({0}), .wanted = indices({0})},
      {.stored_data_shards = 7, .available = indices({0, 1, 2, 3, 4, 5, 6}), .wanted = indices({8})},
      {.stored_data_shards = 2, .available = indices({2, 6, 7}), .wanted = indices({0})},
      {.stored_data_shards = 2, .available = indices({6, 7}), .wanted = indices({2})},
      {.stored_data_shards = 2, .available = indices({6, 9}), .wanted = indices({0})},
      {.stored_data_shards = 2, .available = indices({6, ~0U}), .wanted = indices({0})},
      {.stored_data_shards = 2, .available = indices({6, 7}), .wanted = indices({~0U})}};
  for (const Codec::DecodeRequest& request : requests) {
    EXPECT_EQ(code_of(codec.plan(request)), ErrorCode::kInvalidArgument);
  }
}

TEST(Codec, PlansAreKeptAndOutliveTheCache) {
  Codec codec(10, 4);
  const Codec::DecodeRequest first{
      .stored_data_shards = 10, .available = indices({0, 1, 2, 3, 4, 5, 6, 7, 8, 10}), .wanted = indices({9})};
  const auto plan = codec.plan(first).value();
  EXPECT_EQ(codec.plan(first).value(), plan);
  for (uint32_t lost = 0; lost < 10; ++lost) {
    for (uint32_t d = lost + 2; d <= 10; ++d) {
      Codec::DecodeRequest other{.stored_data_shards = d, .available = indices({11}), .wanted = indices({lost})};
      for (uint32_t i = 0; i < d; ++i) {
        if (i != lost) other.available.push_back(ShardIndex(i));
      }
      ASSERT_TRUE(codec.plan(other).has_value());
      other.available.front() = ShardIndex(12);
      ASSERT_TRUE(codec.plan(other).has_value());
    }
  }
  const auto again = codec.plan(first).value();
  EXPECT_NE(again, plan) << "the least recently used plan was to go";
  EXPECT_EQ(again->sources(), plan->sources());
}

}  // namespace
}  // namespace dogfs
