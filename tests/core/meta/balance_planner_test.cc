// Which whole shards are moved, and where.
#include "core/meta/balance_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

namespace dogfs {
namespace {

constexpr uint32_t kParity = 2;
constexpr uint64_t kShardBytes = 1000;

// An RS(3,2) block with shard i on servers[i].
wire::BlockRow make_block(uint64_t id, const std::vector<uint64_t>& servers) {
  wire::BlockRow block;
  block.set_block(id);
  block.set_state(wire::BlockRow::COMMITTED);
  block.mutable_policy()->set_data_shards(3);
  block.mutable_policy()->set_parity_shards(kParity);
  for (const uint64_t server : servers) {
    wire::Shard& shard = *block.add_shards();
    shard.set_index(static_cast<uint32_t>(block.shards_size() - 1));
    shard.set_server(server);
    shard.set_generation(id * 100 + shard.index());
    shard.set_length(kShardBytes);
  }
  return block;
}

class BalancePlannerTest : public ::testing::Test {
 protected:
  // `count` servers with racks of their own, each with `used` bytes of a hundred shards.
  void add_servers(uint64_t count, uint64_t used) {
    for (uint64_t id = servers.size() + 1; count > 0; ++id, --count) {
      servers[ServerId(id)] = {
          .rack = "/r" + std::to_string(id), .takes_shards = true, .capacity = 100 * kShardBytes, .used = used};
    }
  }
  std::optional<PlannedRepair> plan(const wire::BlockRow& of) const { return BalancePlanner(servers, 10).plan(of); }

  std::map<ServerId, BalanceServer> servers;
  wire::BlockRow block = make_block(7, {1, 2, 3, 4, 5});
};

TEST_F(BalancePlannerTest, EquallyFullServersAreLeftAlone) {
  add_servers(8, 50 * kShardBytes);
  EXPECT_EQ(plan(block), std::nullopt);
}

TEST_F(BalancePlannerTest, TheFullestServerGivesToTheEmptiestThatHasNoShardOfTheBlock) {
  add_servers(8, 50 * kShardBytes);
  servers[ServerId(2)].used = 90 * kShardBytes;
  servers[ServerId(3)].used = 80 * kShardBytes;
  servers[ServerId(1)].used = 0;  // has a shard of it
  servers[ServerId(7)].used = 20 * kShardBytes;
  servers[ServerId(8)].used = 30 * kShardBytes;
  const auto move = plan(block);
  ASSERT_TRUE(move);
  EXPECT_EQ(move->index, ShardIndex(1));
  EXPECT_EQ(move->replaced_server, ServerId(2));
  EXPECT_EQ(move->replaced_generation, ShardGeneration(701));
  EXPECT_EQ(move->target, ServerId(7));
}

TEST_F(BalancePlannerTest, WithinTheThresholdNothingIsMoved) {
  add_servers(8, 50 * kShardBytes);
  servers[ServerId(2)].used = 59 * kShardBytes;
  EXPECT_EQ(plan(block), std::nullopt);
}

TEST_F(BalancePlannerTest, AServerThatTakesNoShardsGetsNone) {
  add_servers(6, 50 * kShardBytes);
  servers[ServerId(2)].used = 90 * kShardBytes;
  servers[ServerId(6)].used = 10 * kShardBytes;
  EXPECT_TRUE(plan(block));
  servers[ServerId(6)].takes_shards = false;
  EXPECT_EQ(plan(block), std::nullopt);
}

TEST_F(BalancePlannerTest, AServerThatIsAwayForAWhileIsNotEmptied) {
  add_servers(8, 50 * kShardBytes);
  servers[ServerId(2)].takes_shards = false;
  servers[ServerId(2)].capacity = 0;  // not heard of by this leader
  servers[ServerId(7)].used = 20 * kShardBytes;
  EXPECT_EQ(plan(block), std::nullopt) << "though another could take it";
  for (const uint64_t id : {1, 2, 3}) servers[ServerId(id)].rack = "/crowded";
  const auto move = plan(block);
  ASSERT_TRUE(move);
  EXPECT_NE(move->replaced_server, ServerId(2)) << "one that can be read leaves the rack";
  for (const uint64_t id : {1, 3}) servers[ServerId(id)].takes_shards = false;
  EXPECT_EQ(plan(block), std::nullopt) << "the whole rack is away";
}

TEST_F(BalancePlannerTest, AServerWithoutRoomGetsNone) {
  add_servers(8, 50 * kShardBytes);
  servers[ServerId(2)].used = 90 * kShardBytes;
  servers[ServerId(7)].used = 20 * kShardBytes;
  servers[ServerId(7)].roomy = false;
  servers[ServerId(8)].used = 30 * kShardBytes;
  const auto move = plan(block);
  ASSERT_TRUE(move);
  EXPECT_EQ(move->target, ServerId(8));
}

TEST_F(BalancePlannerTest, WhatNeedsRepairIsLeftToThat) {
  add_servers(8, 50 * kShardBytes);
  servers[ServerId(2)].used = 90 * kShardBytes;
  servers[ServerId(7)].used = 20 * kShardBytes;
  block.mutable_shards(0)->set_condition(wire::Shard::UNREACHABLE);
  EXPECT_EQ(plan(block), std::nullopt);
  block.mutable_shards(0)->set_condition(wire::Shard::INTACT);
  block.add_reservations()->set_index(3);
  EXPECT_EQ(plan(block), std::nullopt);
}

TEST_F(BalancePlannerTest, ARackWithMoreThanTheParityGivesOneAway) {
  add_servers(7, 50 * kShardBytes);
  for (const uint64_t id : {1, 2, 3}) servers[ServerId(id)].rack = "/crowded";
  servers[ServerId(2)].used = 51 * kShardBytes;
  const auto move = plan(block);
  ASSERT_TRUE(move) << "although no server is too full";
  EXPECT_EQ(move->replaced_server, ServerId(2));
  EXPECT_GE(move->target, ServerId(6));
}

TEST_F(BalancePlannerTest, ACrowdedRackWithoutAnotherToGoToIsStuck) {
  using Spread = BalancePlanner::Spread;
  const auto spread = [this] { return BalancePlanner(servers, 10).spread(block); };
  add_servers(7, 50 * kShardBytes);
  EXPECT_EQ(spread(), Spread::kFine);
  for (const uint64_t id : {1, 2, 3}) servers[ServerId(id)].rack = "/crowded";
  EXPECT_EQ(spread(), Spread::kCrowded);
  for (const uint64_t id : {6, 7}) servers[ServerId(id)].takes_shards = false;
  EXPECT_EQ(spread(), Spread::kStuck);
  for (const uint64_t id : {6, 7}) servers[ServerId(id)] = {.rack = "/crowded", .takes_shards = true};
  EXPECT_EQ(spread(), Spread::kStuck) << "more servers in the same rack are of no use";
  servers[ServerId(1)].rack = "/r1";
  EXPECT_EQ(spread(), Spread::kFine) << "as many as the code can spare";
}

TEST_F(BalancePlannerTest, WhatIsTooMuchForServersIsCounted) {
  add_servers(4, 50 * kShardBytes);
  EXPECT_EQ(BalancePlanner(servers, 10).excess().servers, 0u);
  EXPECT_EQ(BalancePlanner(servers, 10).excess().bytes, 0u);
  servers[ServerId(1)].used = 90 * kShardBytes;
  servers[ServerId(2)].used = 10 * kShardBytes;
  EXPECT_EQ(BalancePlanner(servers, 10).excess().servers, 1u);
  EXPECT_EQ(BalancePlanner(servers, 10).excess().bytes, 30 * kShardBytes);
  servers[ServerId(1)].takes_shards = false;
  EXPECT_EQ(BalancePlanner(servers, 10).excess().servers, 2u) << "the mean is that of the others: 36";
}

TEST_F(BalancePlannerTest, ARackIsNotCrowdedForTheSakeOfSpace) {
  add_servers(6, 50 * kShardBytes);
  servers[ServerId(1)].used = 90 * kShardBytes;
  servers[ServerId(6)].used = 10 * kShardBytes;
  for (const uint64_t id : {2, 3, 6}) servers[ServerId(id)].rack = "/full";
  EXPECT_EQ(plan(block), std::nullopt);
}

// Whatever the beginning: it ends, and then no server that could give to another is too full, no rack more crowded than
// before.
RC_GTEST_PROP(BalancePlanner, ComesToAnEndAndMakesNothingWorse, ()) {
  std::map<ServerId, BalanceServer> servers;
  const auto count = *rc::gen::inRange<uint64_t>(6, 14);
  const auto racks = *rc::gen::inRange<uint64_t>(1, 6);
  for (uint64_t id = 1; id <= count; ++id) {
    servers[ServerId(id)] = {.rack = "/r" + std::to_string(*rc::gen::inRange<uint64_t>(0, racks)),
                             .takes_shards = *rc::gen::weightedElement<bool>({{5, true}, {1, false}}),
                             .capacity = 100 * kShardBytes};
  }
  std::vector<wire::BlockRow> blocks;
  for (uint64_t id = 1; id <= 60; ++id) {
    std::vector<uint64_t> order;
    for (uint64_t server = 1; server <= count; ++server) order.push_back(server);
    // The first servers are loved more.
    for (size_t i = 0; i < 5; ++i)
      std::swap(order[i], order[i + *rc::gen::inRange<size_t>(0, (order.size() - i + 1) / 2)]);
    blocks.push_back(make_block(id, {order.begin(), order.begin() + 5}));
    for (const wire::Shard& shard : blocks.back().shards()) servers[ServerId(shard.server())].used += kShardBytes;
  }
  const auto most_in_a_rack = [&](const wire::BlockRow& block) {
    std::map<std::string, uint32_t> in_rack;
    uint32_t most = 0;
    for (const wire::Shard& shard : block.shards()) {
      most = std::max(most, ++in_rack[servers[ServerId(shard.server())].rack]);
    }
    return most;
  };
  BalancePlanner planner(servers, 5);
  bool moved = true;
  int passes = 0;
  while (moved) {
    RC_ASSERT(++passes < 100);
    moved = false;
    for (wire::BlockRow& block : blocks) {
      const auto move = planner.plan(block);
      if (!move) continue;
      moved = true;
      const uint32_t before = most_in_a_rack(block);
      wire::Shard& shard = *block.mutable_shards(static_cast<int>(move->index.value()));
      RC_ASSERT(shard.server() == move->replaced_server.value());
      RC_ASSERT(servers[move->target].takes_shards);
      shard.set_server(move->target.value());
      planner.note(*move, shard.length());
      RC_ASSERT(most_in_a_rack(block) <= std::max(before, kParity));
      std::set<uint64_t> distinct;
      for (const wire::Shard& each : block.shards()) distinct.insert(each.server());
      RC_ASSERT(distinct.size() == 5u);
    }
  }
}

}  // namespace
}  // namespace dogfs
