// Whether a chunk server can be drained, or be away.
#include "core/meta/departure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;

// An RS(3,2) block with shard i on servers[i].
wire::BlockRow make_block(uint64_t id, const std::vector<uint64_t>& servers) {
  wire::BlockRow block;
  block.set_block(id);
  block.mutable_policy()->set_data_shards(3);
  block.mutable_policy()->set_parity_shards(2);
  for (const uint64_t server : servers) {
    wire::Shard& shard = *block.add_shards();
    shard.set_index(static_cast<uint32_t>(block.shards_size() - 1));
    shard.set_server(server);
    shard.set_length(1000);
  }
  return block;
}

class DepartureTest : public ::testing::Test {
 protected:
  // Each in a rack of its own.
  void add_servers(uint64_t count) {
    for (uint64_t id = servers.size() + 1; count > 0; ++id, --count) {
      servers[ServerId(id)] = {.rack = "/r" + std::to_string(id), .is_there = true, .free_bytes = 1'000'000};
    }
  }
  DepartureServer& server(uint64_t id) { return servers.at(ServerId(id)); }

  Status judge(wire::ServerState wanted) const {
    Departure departure(ServerId(1), wanted, servers);
    for (const auto& [server, block] : before) departure.add_before(ServerId(server), block);
    for (const wire::BlockRow& block : blocks) departure.add(block);
    EXPECT_EQ(departure.blocks(), blocks.size());
    return departure.verdict();
  }

  std::map<ServerId, DepartureServer> servers;
  // Those of servers that are being emptied, with which of them.
  std::vector<std::pair<uint64_t, wire::BlockRow>> before;
  std::vector<wire::BlockRow> blocks = {make_block(7, {1, 2, 3, 4, 5}), make_block(8, {5, 4, 3, 2, 1})};
};

TEST_F(DepartureTest, AServerIsDrainedToOneThatHasNoShardOfTheBlock) {
  add_servers(6);
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
}

TEST_F(DepartureTest, WithoutAnotherServerNothingCanBeDrained) {
  add_servers(5);
  const Status verdict = judge(wire::DRAINING);
  ASSERT_EQ(code_of(verdict), ErrorCode::kConflict);
  EXPECT_THAT(verdict.error().detail, HasSubstr("2 have no other server to go to"));
  EXPECT_THAT(verdict.error().detail, HasSubstr("block 7"));
}

TEST_F(DepartureTest, AServerThatTakesNoShardsIsNoPlaceToGoTo) {
  add_servers(6);
  server(6).is_there = false;
  EXPECT_EQ(code_of(judge(wire::DRAINING)), ErrorCode::kConflict);
  server(6).is_there = true;
  for (const wire::ServerState state : {wire::DEAD, wire::DRAINING, wire::MAINTENANCE, wire::REMOVED}) {
    server(6).state = state;
    EXPECT_EQ(code_of(judge(wire::DRAINING)), ErrorCode::kConflict);
  }
}

TEST_F(DepartureTest, ServersThatAreEmptiedAtOnceNeedAsManyOthers) {
  add_servers(6);
  server(2).state = wire::DRAINING;
  EXPECT_THAT(judge(wire::DRAINING).error().detail, HasSubstr("2 have no other server to go to"));
  add_servers(1);
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  server(3).state = wire::DEAD;
  EXPECT_EQ(code_of(judge(wire::DRAINING)), ErrorCode::kConflict) << "what was lost is rebuilt first";
  server(3).state = wire::MAINTENANCE;
  EXPECT_TRUE(judge(wire::DRAINING).has_value()) << "what is on that one comes back";
}

TEST_F(DepartureTest, AServerThatGetsAnotherShardOfTheBlockIsNoPlaceToGoTo) {
  add_servers(6);
  for (wire::BlockRow& block : blocks) {
    wire::RepairReservation& repair = *block.add_reservations();
    repair.set_index(2);
    repair.set_target(6);
  }
  EXPECT_EQ(code_of(judge(wire::DRAINING)), ErrorCode::kConflict);
  for (wire::BlockRow& block : blocks) block.mutable_reservations(0)->set_index(block.shards(0).server() == 1 ? 0 : 4);
  EXPECT_TRUE(judge(wire::DRAINING).has_value()) << "it is this one that gets there";
}

TEST_F(DepartureTest, AnEmptyServerCanAlwaysGo) {
  add_servers(1);
  blocks.clear();
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  EXPECT_TRUE(judge(wire::MAINTENANCE).has_value());
}

// RS(3,2) bears the loss of a rack with two shards.
TEST_F(DepartureTest, ADrainMustNotCrowdARack) {
  add_servers(6);
  server(2).rack = server(3).rack = server(6).rack = "/shared";
  const Status verdict = judge(wire::DRAINING);
  ASSERT_EQ(code_of(verdict), ErrorCode::kConflict);
  EXPECT_THAT(verdict.error().detail, HasSubstr("loss of a rack"));
  add_servers(1);
  EXPECT_TRUE(judge(wire::DRAINING).has_value()) << "the seventh stands in a rack of its own";
}

TEST_F(DepartureTest, WhereAllStandInOneRackThereIsNothingToKeepApart) {
  add_servers(6);
  for (auto& [id, each] : servers) each.rack = "/default";
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  // A short block has one data shard: the three that stay are as many as m, and with the fourth they are one too many.
  wire::BlockRow small = make_block(9, {1, 2, 3});
  blocks = {small};
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
}

TEST_F(DepartureTest, ServersThatAreEmptiedAtOnceMustNotCrowdARackTogether) {
  add_servers(7);
  server(6).rack = server(7).rack = server(5).rack = "/shared";
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  server(2).state = wire::DRAINING;
  EXPECT_THAT(judge(wire::DRAINING).error().detail, HasSubstr("loss of a rack"));
}

// Of the servers there is one alone that has no shard of these blocks.
TEST_F(DepartureTest, ADrainNeedsRoomWhereItsShardsCanGo) {
  add_servers(6);
  const uint64_t each = shard_file_bound(1000);
  server(6).free_bytes = server(6).room = 2 * each - 1;
  const Status verdict = judge(wire::DRAINING);
  ASSERT_EQ(code_of(verdict), ErrorCode::kNoSpace);
  EXPECT_THAT(verdict.error().detail, HasSubstr("1 find no room"));
  server(6).free_bytes = 2 * each;
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  server(6).room = each - 1;
  EXPECT_EQ(code_of(judge(wire::DRAINING)), ErrorCode::kNoSpace) << "no disk of it has room for a shard";
}

TEST_F(DepartureTest, WhatIsEmptiedAlreadyTakesItsRoomFirstAndOnce) {
  add_servers(9);
  for (const uint64_t id : {8, 9}) server(id).state = wire::DRAINING;
  server(7).is_there = false;
  server(6).free_bytes = 3 * shard_file_bound(1000);
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  // One block that has shards on both goes with the first of them, as does one that has a shard on the server itself.
  const wire::BlockRow other = make_block(9, {8, 2, 3, 4, 5});
  before = {{8, other}};
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  before = {{8, other}, {9, make_block(10, {9, 2, 3, 4, 5})}};
  EXPECT_EQ(code_of(judge(wire::DRAINING)), ErrorCode::kNoSpace);
  const wire::BlockRow on_both = make_block(9, {8, 9, 3, 4, 5});
  before = {{8, on_both}, {9, on_both}};
  server(2).free_bytes = shard_file_bound(1000);
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  before = {{8, make_block(9, {8, 1, 3, 4, 5})}, {9, make_block(10, {9, 1, 3, 4, 5})}};
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
}

TEST_F(DepartureTest, TheOnlyPlaceForWhatAnotherLosesStays) {
  add_servers(6);
  blocks.clear();
  before = {{2, make_block(9, {2, 3, 4, 5, 6})}};
  for (const wire::ServerState state : {wire::DRAINING, wire::DEAD}) {
    server(2).state = state;
    const Status verdict = judge(wire::DRAINING);
    ASSERT_EQ(code_of(verdict), ErrorCode::kConflict);
    EXPECT_THAT(verdict.error().detail,
                HasSubstr("1 blocks that others lose have nowhere to go without chunk server 1"));
  }
  server(1).room = 0;
  EXPECT_TRUE(judge(wire::DRAINING).has_value()) << "it could not have gone there";
  server(1).room = 1'000'000;
  add_servers(1);
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
}

// RS(3,2), two of its shards in the rack of the server.
TEST_F(DepartureTest, AShardThatMovesWithinItsRackCountsOnce) {
  add_servers(7);
  blocks = {make_block(7, {1, 2, 3, 4, 5})};
  server(1).rack = server(2).rack = server(6).rack = server(7).rack = "/shared";
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
  wire::RepairReservation& repair = *blocks[0].add_reservations();
  repair.set_index(1);
  repair.set_target(6);
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
}

TEST_F(DepartureTest, AServerMayBeAwayWhileTheOthersSuffice) {
  add_servers(5);
  server(2).is_there = false;
  EXPECT_TRUE(judge(wire::MAINTENANCE).has_value());
  server(3).state = wire::MAINTENANCE;
  const Status verdict = judge(wire::MAINTENANCE);
  ASSERT_EQ(code_of(verdict), ErrorCode::kConflict);
  EXPECT_THAT(verdict.error().detail, HasSubstr("could not be read without it"));
}

TEST_F(DepartureTest, DamagedShardsDoNotSuffice) {
  add_servers(5);
  for (const int index : {1, 2}) blocks[1].mutable_shards(index)->set_condition(wire::Shard::DAMAGED);
  const Status verdict = judge(wire::MAINTENANCE);
  ASSERT_EQ(code_of(verdict), ErrorCode::kConflict);
  EXPECT_THAT(verdict.error().detail, HasSubstr("block 8"));
}

}  // namespace
}  // namespace dogfs
