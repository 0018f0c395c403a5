// Whether a chunk server can be drained, or be away.
#include "core/meta/departure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
      servers[ServerId(id)] = {
          .rack = "/r" + std::to_string(id), .takes_shards = true, .can_be_read = true, .free_bytes = 1'000'000};
    }
  }
  DepartureServer& server(uint64_t id) { return servers.at(ServerId(id)); }

  Status judge(wire::ServerState wanted) const {
    Departure departure(ServerId(1), wanted, servers);
    for (const wire::BlockRow& block : blocks) departure.add(block);
    EXPECT_EQ(departure.blocks(), blocks.size());
    return departure.verdict();
  }

  std::map<ServerId, DepartureServer> servers;
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
  server(6).takes_shards = false;
  EXPECT_EQ(code_of(judge(wire::DRAINING)), ErrorCode::kConflict);
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

TEST_F(DepartureTest, ADrainNeedsRoomOnTheOthers) {
  add_servers(6);
  for (auto& [id, each] : servers) each.free_bytes = id == ServerId(1) ? 1'000'000 : 300;
  EXPECT_EQ(code_of(judge(wire::DRAINING)), ErrorCode::kNoSpace);
  server(6).free_bytes = 800;
  EXPECT_TRUE(judge(wire::DRAINING).has_value());
}

TEST_F(DepartureTest, AServerMayBeAwayWhileTheOthersSuffice) {
  add_servers(5);
  server(2).can_be_read = false;
  EXPECT_TRUE(judge(wire::MAINTENANCE).has_value());
  server(3).can_be_read = false;
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
