#include "core/meta/rack_spread.h"

#include <gtest/gtest.h>

#include <vector>

namespace dogfs {
namespace {

// RS(3,2), shard i on servers[i]; servers 1 to 9 stand in racks of three.
wire::BlockRow block_on(const std::vector<uint64_t>& servers) {
  wire::BlockRow block;
  block.set_state(wire::BlockRow::COMMITTED);
  block.mutable_policy()->set_data_shards(3);
  block.mutable_policy()->set_parity_shards(2);
  for (uint32_t index = 0; index < servers.size(); ++index) {
    wire::Shard& shard = *block.add_shards();
    shard.set_index(index);
    shard.set_server(servers[index]);
  }
  return block;
}

RackSpread spread_of(const wire::BlockRow& block) {
  static const std::vector<std::string> kRacks = {"/a", "/b", "/c"};
  return {block,
          [](ServerId id) { return id.value() == 0 || id.value() > 9 ? nullptr : &kRacks[(id.value() - 1) / 3]; }};
}

TEST(RackSpread, ABlockIsCrowdedWhereARackHasMoreThanItCanSpare) {
  EXPECT_EQ(spread_of(block_on({1, 2, 4, 5, 7})).crowded(), nullptr);
  const RackSpread racks = spread_of(block_on({1, 4, 5, 6, 7}));
  ASSERT_NE(racks.crowded(), nullptr);
  EXPECT_EQ(*racks.crowded(), "/b");
  EXPECT_EQ(racks.in("/b"), 3u);
  EXPECT_EQ(racks.in("/d"), 0u);
}

TEST(RackSpread, AMoveHelpsIfNoRackHasAsManyThen) {
  const RackSpread racks = spread_of(block_on({1, 2, 3, 4, 5}));
  EXPECT_TRUE(racks.spreads("/a", "/c"));
  EXPECT_FALSE(racks.spreads("/a", "/a"));
  EXPECT_FALSE(racks.spreads("/a", "/b")) << "which would have three then";
  EXPECT_TRUE(racks.has_place_in("/c"));
  EXPECT_FALSE(racks.has_place_in("/b"));
}

TEST(RackSpread, WhatIsUnderWayCountsWhereItGoes) {
  wire::BlockRow block = block_on({1, 2, 4, 5, 7});
  wire::RepairReservation& repair = *block.add_reservations();
  repair.set_index(4);
  repair.set_target(3);
  const RackSpread racks = spread_of(block);
  ASSERT_NE(racks.crowded(), nullptr);
  EXPECT_EQ(*racks.crowded(), "/a");
  EXPECT_EQ(racks.in("/c"), 0u);
}

TEST(RackSpread, OfSeveralAttemptsTheLastCountsAndWhatIsNowhereDoesNot) {
  wire::BlockRow block = block_on({1, 2, 4, 5, 0});
  wire::Shard& again = *block.add_shards();
  again.set_index(2);
  again.set_server(3);
  const RackSpread racks = spread_of(block);
  EXPECT_EQ(racks.in("/a"), 3u);
  EXPECT_EQ(racks.in("/b"), 1u);
  EXPECT_EQ(racks.in("/c"), 0u);
}

}  // namespace
}  // namespace dogfs
