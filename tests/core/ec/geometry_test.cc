#include "core/ec/geometry.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/ec/policy_wire.h"

namespace dogfs {
namespace {

// The definition: deal the bytes out one by one. column[i] holds the block offsets of data shard i's bytes.
struct Model {
  Model(const Geometry& geometry, uint64_t length) : column(geometry.data_shards) {
    for (uint64_t at = 0; at < length; ++at) column[at / geometry.cell_bytes % geometry.data_shards].push_back(at);
  }
  std::vector<std::vector<uint64_t>> column;
};

// A geometry too small to be valid, so that the model can walk whole blocks.
Geometry tiny(uint32_t k, uint32_t m, uint64_t cell, uint64_t stripes) {
  return Geometry{.data_shards = k, .parity_shards = m, .cell_bytes = cell, .block_bytes = k * cell * stripes};
}

std::vector<uint64_t> boundaries(const Geometry& geometry) {
  std::vector<uint64_t> out = {0, 1};
  for (const uint64_t edge : {geometry.cell_bytes, 2 * geometry.cell_bytes, geometry.stripe_bytes(),
                              geometry.stripe_bytes() + geometry.cell_bytes, geometry.block_bytes}) {
    for (const uint64_t at : {edge - 1, edge, edge + 1}) {
      if (at <= geometry.block_bytes) out.push_back(at);
    }
  }
  return out;
}

const std::vector<Geometry> kShapes = {tiny(1, 1, 4, 3), tiny(3, 2, 4, 3), tiny(6, 3, 5, 2), tiny(10, 4, 3, 3)};

TEST(BlockLayout, ShardLengthsEqualTheModelAtEveryBoundary) {
  for (const Geometry& geometry : kShapes) {
    for (const uint64_t length : boundaries(geometry)) {
      const BlockLayout layout(geometry, length);
      const Model model(geometry, length);
      uint32_t stored = 0;
      for (uint32_t index = 0; index < geometry.data_shards; ++index) {
        EXPECT_EQ(layout.shard_length(ShardIndex(index)), model.column[index].size());
        EXPECT_EQ(layout.is_stored(ShardIndex(index)), !model.column[index].empty());
        stored += !model.column[index].empty();
      }
      for (uint32_t index = geometry.data_shards; index < geometry.total_shards(); ++index) {
        EXPECT_EQ(layout.shard_length(ShardIndex(index)), model.column[0].size());
        EXPECT_EQ(layout.is_stored(ShardIndex(index)), length > 0);
      }
      EXPECT_EQ(layout.stored_data_shards(), stored);
      EXPECT_EQ(layout.stored_indices().size(), layout.stored_shards());
      EXPECT_EQ(layout.stored_shards(), length == 0 ? 0 : stored + geometry.parity_shards);
    }
  }
}

TEST(BlockLayout, CellLengthsAddUpToShardLengths) {
  for (const Geometry& geometry : kShapes) {
    for (uint64_t length = 0; length <= geometry.block_bytes; ++length) {
      const BlockLayout layout(geometry, length);
      for (uint32_t index = 0; index < geometry.total_shards(); ++index) {
        uint64_t sum = 0;
        for (uint64_t stripe = 0; stripe < layout.stripes(); ++stripe) {
          const uint64_t cell = layout.cell_length(stripe, ShardIndex(index));
          EXPECT_LE(cell, layout.cell_length(stripe, ShardIndex(0)));
          if (stripe + 1 < layout.stripes()) EXPECT_EQ(cell, geometry.cell_bytes);
          sum += cell;
        }
        EXPECT_EQ(sum, layout.shard_length(ShardIndex(index)));
      }
    }
  }
}

void expect_range_equals_model(const BlockLayout& layout, const Model& model, BlockRange range) {
  uint64_t next = range.offset;
  for (const CellPiece& piece : layout.pieces(range)) {
    EXPECT_EQ(piece.block_offset, next);
    EXPECT_GT(piece.length, 0U);
    for (uint64_t i = 0; i < piece.length; ++i) {
      EXPECT_EQ(model.column[piece.index.value()].at(piece.shard_offset + i), next + i);
      EXPECT_EQ(layout.block_offset(piece.index, piece.shard_offset + i), next + i);
    }
    next += piece.length;
  }
  EXPECT_EQ(next, range.end());
}

void expect_shard_ranges_equal_model(const BlockLayout& layout, const Model& model, BlockRange range) {
  uint64_t lowest = ~0ULL;
  uint64_t highest = 0;
  for (uint32_t index = 0; index < layout.geometry().data_shards; ++index) {
    const std::vector<uint64_t>& column = model.column[index];
    const auto begin = std::lower_bound(column.begin(), column.end(), range.offset);
    const auto end = std::lower_bound(column.begin(), column.end(), range.end());
    const ShardRange got = layout.shard_range(range, ShardIndex(index));
    EXPECT_EQ(got.length, static_cast<uint64_t>(end - begin));
    if (got.length == 0) continue;
    EXPECT_EQ(got.offset, static_cast<uint64_t>(begin - column.begin()));
    lowest = std::min(lowest, got.offset);
    highest = std::max(highest, got.end());
  }
  const ShardRange parity = layout.shard_range(range, ShardIndex(layout.geometry().data_shards));
  EXPECT_EQ(parity, range.length == 0 ? ShardRange{} : (ShardRange{lowest, highest - lowest}));
}

TEST(BlockLayout, RangesEqualTheModelBetweenAllBoundaries) {
  for (const Geometry& geometry : kShapes) {
    for (const uint64_t length : boundaries(geometry)) {
      const BlockLayout layout(geometry, length);
      const Model model(geometry, length);
      for (const uint64_t begin : boundaries(geometry)) {
        for (const uint64_t end : boundaries(geometry)) {
          if (begin > end || end > length) continue;
          expect_range_equals_model(layout, model, BlockRange{begin, end - begin});
          expect_shard_ranges_equal_model(layout, model, BlockRange{begin, end - begin});
        }
      }
    }
  }
}

RC_GTEST_PROP(BlockLayout, RangesEqualTheModelAnywhere, ()) {
  const Geometry geometry =
      tiny(*rc::gen::inRange(1, 12), *rc::gen::inRange(1, 5), *rc::gen::inRange(1, 9), *rc::gen::inRange(1, 6));
  const uint64_t length = *rc::gen::inRange<uint64_t>(0, geometry.block_bytes + 1);
  const uint64_t offset = *rc::gen::inRange<uint64_t>(0, length + 1);
  const BlockRange range{offset, *rc::gen::inRange<uint64_t>(0, length - offset + 1)};
  const BlockLayout layout(geometry, length);
  const Model model(geometry, length);
  expect_range_equals_model(layout, model, range);
  expect_shard_ranges_equal_model(layout, model, range);
}

// Beyond 2^31 the model cannot walk; the layout must be its own inverse instead, and shift by whole stripes.
TEST(BlockLayout, OffsetsAroundTwoToThe31And32AreExact) {
  const Geometry geometry{.data_shards = 6, .parity_shards = 3, .cell_bytes = 256 * kKiB, .block_bytes = 1ULL << 43};
  for (const uint64_t edge : {1ULL << 31, 1ULL << 32, 6ULL << 31, 6ULL << 32}) {
    for (const uint64_t length : {edge - 1, edge, edge + 1}) {
      const BlockLayout layout(geometry, length);
      uint64_t sum = 0;
      for (uint32_t index = 0; index < 6; ++index) sum += layout.shard_length(ShardIndex(index));
      EXPECT_EQ(sum, length);
      EXPECT_EQ(layout.shard_length(ShardIndex(8)), layout.shard_length(ShardIndex(0)));
      const CellPiece last = layout.pieces(BlockRange{length - 1, 1}).at(0);
      EXPECT_EQ(layout.block_offset(last.index, last.shard_offset), length - 1);
      EXPECT_EQ(layout.shard_length(last.index), last.shard_offset + 1);
    }
    for (const uint64_t offset : {edge - 1, edge, edge + 1}) {
      const BlockLayout layout(geometry, 1ULL << 40);
      const CellPiece far = layout.pieces(BlockRange{offset, 1}).at(0);
      const CellPiece near = layout.pieces(BlockRange{offset % geometry.stripe_bytes(), 1}).at(0);
      EXPECT_EQ(far.index, near.index);
      EXPECT_EQ(far.shard_offset, near.shard_offset + offset / geometry.stripe_bytes() * geometry.cell_bytes);
      EXPECT_EQ(layout.block_offset(far.index, far.shard_offset), offset);
    }
  }
}

TEST(BlockLayout, ShortBlockStoresOnlyTheShardsThatItNeeds) {
  const Geometry& geometry = kDefaultGeometry;
  const BlockLayout one_byte(geometry, 1);
  EXPECT_EQ(one_byte.stored_indices(),
            (std::vector<ShardIndex>{ShardIndex(0), ShardIndex(6), ShardIndex(7), ShardIndex(8)}));
  EXPECT_EQ(one_byte.shard_length(ShardIndex(7)), 1U);
  const BlockLayout cell_and_byte(geometry, geometry.cell_bytes + 1);
  EXPECT_EQ(cell_and_byte.stored_data_shards(), 2U);
  EXPECT_EQ(cell_and_byte.shard_length(ShardIndex(1)), 1U);
  EXPECT_EQ(cell_and_byte.shard_length(ShardIndex(6)), geometry.cell_bytes);
}

TEST(BlockLayout, LongerThanTheBlockDies) {
  EXPECT_DEATH(BlockLayout(kDefaultGeometry, kDefaultGeometry.block_bytes + 1), "invariant broken");
}

TEST(BlockLayout, RangeBeyondTheEndDies) {
  EXPECT_DEATH(BlockLayout(kDefaultGeometry, 10).pieces(BlockRange{1, ~0ULL}), "invariant broken");
}

TEST(Geometry, DefaultIsValidAndEndsWithAWholeStripe) {
  EXPECT_TRUE(validate(kDefaultGeometry).has_value());
  EXPECT_EQ(kDefaultGeometry.block_bytes, 63 * kMiB);
}

struct BrokenRule {
  Geometry geometry;
  std::string says;
};

TEST(Geometry, EachBrokenRuleIsNamed) {
  const Geometry good = kDefaultGeometry;
  const auto with = [&](auto change) {
    Geometry bad = good;
    change(bad);
    return bad;
  };
  const std::vector<BrokenRule> cases = {
      {with([](Geometry& g) { g.data_shards = 0; }), "0 data shards"},
      {with([](Geometry& g) { g.data_shards = kMaxDataShards + 1; }), "33 data shards"},
      {with([](Geometry& g) { g.data_shards = ~0U; }), "data shards"},
      {with([](Geometry& g) { g.parity_shards = 0; }), "0 parity shards"},
      {with([](Geometry& g) { g.parity_shards = kMaxParityShards + 1; }), "17 parity shards"},
      {with([](Geometry& g) { g.cell_bytes = 0; }), "a cell of 0 bytes"},
      {with([](Geometry& g) { g.cell_bytes = kMinCellBytes - 1; }), "a cell of 4095 bytes"},
      {with([](Geometry& g) { g.cell_bytes = kMaxCellBytes + kChecksumPieceBytes; }), "a cell of"},
      {with([](Geometry& g) { g.cell_bytes = 12 * kKiB; }), "neither divides"},
      {with([](Geometry& g) { g.cell_bytes = 96 * kKiB; }), "neither divides"},
      {with([](Geometry& g) { g.block_bytes = 0; }), "a block of 0 bytes"},
      {with([](Geometry& g) { g.block_bytes = ~0ULL; }), "a block of"},
      {with([](Geometry& g) { g.block_bytes = 64 * kMiB; }), "no multiple of the stripe"},
  };
  for (const BrokenRule& broken : cases) {
    const Status status = validate(broken.geometry);
    ASSERT_FALSE(status.has_value()) << broken.says;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(status.error().detail.find(broken.says), std::string::npos) << status.error().detail;
  }
}

TEST(Geometry, TravelsTheWireUnchanged) {
  const Result<Geometry> back = geometry_from_wire(geometry_to_wire(kDefaultGeometry));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back.value(), kDefaultGeometry);
}

TEST(Geometry, UnknownMatrixIsRefused) {
  wire::EcPolicy policy = geometry_to_wire(kDefaultGeometry);
  for (const uint32_t matrix : {0U, 2U}) {
    policy.set_matrix(matrix);
    EXPECT_EQ(code_of(geometry_from_wire(policy)), ErrorCode::kInvalidArgument);
  }
}

// HDFS-16272: the length of a block group, as a product of ints, overflowed.
TEST(BlockLayoutTest, Hdfs16272LengthsBeyondFourGibibytesAddUp) {
  Geometry geometry = kDefaultGeometry;
  geometry.block_bytes = geometry.stripe_bytes() * 10'000;
  const uint64_t length = geometry.block_bytes - geometry.cell_bytes - 5;
  ASSERT_GT(length, uint64_t{1} << 33);
  const BlockLayout layout(geometry, length);
  uint64_t sum = 0;
  for (uint32_t index = 0; index < geometry.data_shards; ++index) sum += layout.shard_length(ShardIndex(index));
  EXPECT_EQ(sum, length);
  EXPECT_EQ(layout.shard_length(ShardIndex(geometry.data_shards)), layout.shard_length(ShardIndex(0)));
  EXPECT_EQ(layout.block_offset(ShardIndex(0), geometry.cell_bytes * 9'999), geometry.stripe_bytes() * 9'999);
}

}  // namespace
}  // namespace dogfs
