#include "sim/meta_operator.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace dogfs::sim {
namespace {

class MetaOperatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (Node* node : cluster.all_nodes()) {
      if (!cluster.is_spare(*node)) cluster.start(*node);
    }
    ASSERT_TRUE(world.run_until([this] { return cluster.servers_ready(); }, seconds(10)));
  }
  void TearDown() override {
    for (const auto& node : world.nodes()) node->crash(CrashKind::kProcess);
  }

  // How many of `nodes` were replaced within a virtual minute.
  size_t replace(std::vector<Node*> nodes, bool dead = false) {
    std::optional<size_t> replaced;
    proto::Fault what;
    what.mutable_replace_meta()->set_dead(dead);
    who.take({.nodes = std::move(nodes), .what = what, .done = [&replaced](size_t count) { replaced = count; }});
    EXPECT_TRUE(world.run_until([&replaced] { return replaced.has_value(); }, seconds(60)));
    EXPECT_FALSE(verdict.failed()) << *verdict.failure();
    return replaced.value_or(0);
  }
  std::set<std::string> members() {
    std::set<std::string> names;
    for (const Node* node : cluster.members()) names.insert(node->name());
    return names;
  }
  Node* meta(size_t number) { return cluster.meta_nodes().at(number - 1); }

  World world;
  Verdict verdict{world.trace()};
  Cluster cluster{world, verdict, {.meta_nodes = 3, .spare_meta_nodes = 4, .chunk_servers = 2}};
  MetaOperator who{cluster, verdict};
};

TEST_F(MetaOperatorTest, ReplacesOneAfterTheOtherByTheNextSpareNode) {
  EXPECT_FALSE(meta(4)->up());
  EXPECT_EQ(replace({meta(1), meta(3)}), 2U);
  EXPECT_EQ(members(), (std::set<std::string>{"meta-2", "meta-4", "meta-5"}));
  EXPECT_TRUE(meta(1)->up()) << "who was removed runs on";
  EXPECT_EQ(cluster.meta_id(*meta(5)), NodeId(5));
  EXPECT_TRUE(world.run_until([this] { return cluster.servers_ready(); }, seconds(10)));
}

TEST_F(MetaOperatorTest, WhoIsNoMemberAndWhoHasNoSuccessorStays) {
  EXPECT_EQ(replace({meta(1)}), 1U);
  EXPECT_EQ(replace({meta(1), meta(7)}), 0U) << "one has left, one was never there";
  EXPECT_TRUE(cluster.is_spare(*meta(5)));
  EXPECT_EQ(replace({meta(2), meta(3), meta(4), meta(5)}), 3U);
  EXPECT_EQ(members(), (std::set<std::string>{"meta-5", "meta-6", "meta-7"}));
}

TEST_F(MetaOperatorTest, TheDeadDoNotComeBack) {
  Node* leader = cluster.leader();
  EXPECT_EQ(replace({leader}, true), 1U);
  EXPECT_FALSE(leader->up());
  EXPECT_TRUE(cluster.is_retired(*leader));
  EXPECT_FALSE(members().contains(leader->name()));
  ASSERT_TRUE(world.run_until([this] { return cluster.servers_ready(); }, seconds(10)));
}

// What no majority would be left of is not killed, but replaced as it is.
TEST_F(MetaOperatorTest, NoMoreDieThanTheGroupCanLose) {
  cluster.crash(*meta(1), CrashKind::kPower);
  cluster.retire(*meta(1));
  EXPECT_EQ(replace({meta(2)}, true), 1U);
  EXPECT_TRUE(meta(2)->up());
}

TEST_F(MetaOperatorTest, ClientsAreOutOfTouchWhenAllThatTheyWereToldOfHaveLeft) {
  const Node& client = *cluster.client_nodes().front();
  EXPECT_EQ(replace({meta(1), meta(2)}), 2U);
  EXPECT_FALSE(cluster.is_out_of_touch(client));
  EXPECT_EQ(replace({meta(3)}), 1U);
  EXPECT_TRUE(cluster.is_out_of_touch(client));
  EXPECT_EQ(cluster.client_options().meta_nodes,
            (std::vector<Address>{Address{"meta-4"}, Address{"meta-5"}, Address{"meta-6"}}));
}

}  // namespace
}  // namespace dogfs::sim
