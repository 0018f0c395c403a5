// Blocks that lie crowded in a rack are spread by the leader itself, whoever that is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

class RackRepairNode : public ::testing::Test {
 protected:
  // A block of RS(3,2) lies in racks of three and two servers.
  RackRepairNode() : cluster(3) {
    cluster.racks_ = {"/a", "/a", "/a", "/b", "/b", "/c"};
    cluster.open_session();
    cluster.add_servers(5);
    cluster.write_block(cluster.create("/f"));
  }

  wire::RackRepair told() { return cluster.status_of(cluster.leader()).rack_repair(); }

  template <class Until>
  bool run(Until until) {
    for (int i = 0; i < 60 && !until(); ++i) {
      cluster.world_.run_for(milliseconds(500));
      cluster.beat();
    }
    return until();
  }
  bool is_held() {
    return run([this] {
      const wire::RackRepair racks = told();
      return racks.hindrances_size() == 1 && racks.hindrances(0).reason() == wire::RepairHindrance::TOO_FEW_RACKS;
    });
  }
  // What server `i` is asked to rebuild.
  wire::HeartbeatReply ordered(size_t i) {
    return cluster.ask_for<wire::HeartbeatReply>(MessageType::kHeartbeat, cluster.heartbeat_of(cluster.servers_[i]));
  }
  void finish(size_t i, const wire::RepairOrder& order) {
    wire::HeartbeatRequest done = cluster.heartbeat_of(cluster.servers_[i]);
    wire::RepairOutcome& outcome = *done.add_repairs();
    *outcome.mutable_shard() = order.shard();
    outcome.set_length(order.length());
    outcome.set_crc32c(order.crc32c());
    cluster.ask(MessageType::kHeartbeat, done);
  }
  std::vector<std::string> racks_of_block() {
    wire::GetBlocksRequest request;
    request.set_path("/f");
    const auto reply = cluster.ask_for<wire::GetBlocksReply>(MessageType::kGetBlocks, request);
    std::vector<std::string> racks;
    for (const wire::Shard& shard : reply.blocks(0).shards()) racks.push_back(cluster.racks_.at(shard.server() - 1));
    std::ranges::sort(racks);
    return racks;
  }

  MetaCluster cluster;
};

TEST_F(RackRepairNode, ARackThatComesIsUsedWithoutAnOperator) {
  ASSERT_TRUE(is_held()) << told().ShortDebugString();
  EXPECT_EQ(told().hindrances(0).shards(), 1u);
  cluster.add_server(5);
  ASSERT_TRUE(run([this] { return told().moving() == 1; })) << told().ShortDebugString();
  EXPECT_EQ(told().hindrances_size(), 0);
  const wire::HeartbeatReply reply = ordered(5);
  ASSERT_EQ(reply.repairs_size(), 1);
  const wire::RepairOrder& order = reply.repairs(0);
  EXPECT_EQ(order.sources(0).index(), order.shard().index()) << "a copy, not a decoding";
  finish(5, order);
  ASSERT_TRUE(run([this] { return told().moving() == 0; })) << told().ShortDebugString();
  EXPECT_EQ(told().moves(), 1u);
  EXPECT_THAT(racks_of_block(), testing::ElementsAre("/a", "/a", "/b", "/b", "/c"));
}

// The map calls it intact, but its disk may have come up empty since.
TEST_F(RackRepairNode, WhatWasMovedIsDeletedOnceTheServerOfItsSuccessorHasConfirmedThatOne) {
  ASSERT_TRUE(is_held());
  cluster.add_server(5);
  ASSERT_TRUE(run([this] { return told().moving() == 1; }));
  const wire::RepairOrder order = ordered(5).repairs(0);
  finish(5, order);
  ASSERT_TRUE(run([this] { return told().moving() == 0; }));
  const size_t from = order.sources(0).server() - 1;
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(ordered(from).deletions_size(), 0);
    cluster.world_.run_for(seconds(1));
    cluster.beat();
  }
  EXPECT_EQ(ordered(from).deletions_size(), 0) << "asks for the successor";
  wire::HeartbeatRequest whole = cluster.heartbeat_of(cluster.servers_[5]);
  const auto asked = cluster.ask_for<wire::HeartbeatReply>(MessageType::kHeartbeat, whole);
  ASSERT_EQ(asked.confirm_size(), 1);
  EXPECT_EQ(asked.confirm(0).block(), order.shard().block());
  *whole.mutable_whole() = asked.confirm();
  cluster.ask(MessageType::kHeartbeat, whole);
  EXPECT_EQ(ordered(from).deletions_size(), 1);
}

TEST_F(RackRepairNode, ANewLeaderFindsWhatTheOneBeforeHadSeen) {
  ASSERT_TRUE(is_held());
  cluster.metas_[cluster.leader()]->crash(sim::CrashKind::kPower);
  ASSERT_TRUE(is_held()) << told().ShortDebugString();
  cluster.add_server(5);
  EXPECT_TRUE(run([this] { return told().moving() == 1; })) << told().ShortDebugString();
}

// Its shard was put on its rack in want of another, which is told at once, not only after a pass.
TEST_F(RackRepairNode, WhatIsWrittenCrowdedIsSeenWithoutAPass) {
  ASSERT_TRUE(is_held());
  ASSERT_TRUE(run([this] { return !told().passing(); }));
  cluster.write_block(cluster.create("/g"));
  EXPECT_TRUE(run([this] { return told().hindrances_size() == 1 && told().hindrances(0).shards() == 2; }))
      << told().ShortDebugString();
}

TEST_F(RackRepairNode, ABalancingThatIsOnDoesItInstead) {
  ASSERT_TRUE(is_held());
  wire::BalanceRequest request;
  request.set_action(wire::BalanceRequest::START);
  request.set_threshold_percent(10);
  cluster.ask(MessageType::kBalance, request);
  cluster.add_server(5);
  cluster.beat();
  const auto balance = [this] {
    return cluster.ask_for<wire::BalanceReply>(MessageType::kBalance, wire::BalanceRequest());
  };
  ASSERT_TRUE(run([&] { return balance().moves() == 1; })) << balance().ShortDebugString();
  EXPECT_EQ(told().moves(), 0u);
}

}  // namespace
}  // namespace dogfs
