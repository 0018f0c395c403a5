// Each oracle is shown a cluster that is broken on purpose.
#include "sim/oracles.h"

#include <gtest/gtest.h>

#include "core/meta/keys.h"
#include "sim/content.h"

namespace dogfs::sim {
namespace {

Task<Status> write_file(Client& client) {
  DOGFS_CO_TRY(const std::unique_ptr<FileWriter> writer, co_await client.create("/f", {}));
  DOGFS_CO_TRYV(co_await writer->write(make_content(1, 0, 20'000)));
  DOGFS_CO_TRYV(co_await writer->close());
  co_return ok();
}

class OracleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (Node* node : cluster.all_nodes()) cluster.start(*node);
    ASSERT_TRUE(world.run_until([this] { return cluster.servers_ready(); }, seconds(10)));
    Node& node = *cluster.client_nodes()[0];
    const auto written = world.run(node, write_file(*cluster.client(node)), seconds(10));
    ASSERT_TRUE(written && written->has_value());
    world.run_for(seconds(1));
    ASSERT_FALSE(verdict.failed()) << *verdict.failure();
  }
  void TearDown() override {
    for (Node* node : cluster.all_nodes()) node->crash(CrashKind::kProcess);
  }
  void verify_shards(std::vector<Node*> damaged) {
    ASSERT_TRUE(world.run(auditor, shards.verify(auditor, std::move(damaged)), seconds(10)));
  }

  World world;
  Verdict verdict{world.trace()};
  Cluster cluster{world, verdict, {.chunk_servers = 9}};
  Node& auditor = world.add_node("auditor");
  StateOracle state{cluster, verdict};
  MetaOracle meta{cluster, verdict};
  ShardOracle shards{cluster, verdict};
};

TEST_F(OracleTest, AWholeClusterPasses) {
  verify_shards({});
  meta.check_all();
  EXPECT_TRUE(state.agree());
  EXPECT_GT(state.compared(), 0U);
  EXPECT_GT(shards.shards_checked(), 3U);
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
}

TEST_F(OracleTest, AStateThatDiffersIsSeen) {
  WriteBatch row;
  row.put(MetaKeys(GroupId(0)).inode(InodeId(99)), "only here");
  cluster.meta_nodes()[1]->kv_disk()->apply(row);
  EXPECT_TRUE(verdict.failed());
}

TEST_F(OracleTest, RowsThatDoNotAgreeAreSeen) {
  for (Node* node : cluster.meta_nodes()) node->kv_disk()->watch("nothing", [] {});
  WriteBatch row;
  const KeyRange entries = MetaKeys(GroupId(0)).all_entries();
  row.erase_range(entries.begin, entries.end);
  cluster.meta_nodes()[1]->kv_disk()->apply(row);
  EXPECT_FALSE(verdict.failed());
  meta.check_all();
  EXPECT_TRUE(verdict.failed());
}

TEST_F(OracleTest, ARottenShardIsSeenUnlessItsServerIsKnownAsDamaged) {
  RandomStream draws{StreamKey(1)};
  Node* victim = nullptr;
  for (Node* node : cluster.chunk_nodes()) {
    if (victim == nullptr && node->shard_disk()->rot(draws)) victim = node;
  }
  ASSERT_NE(victim, nullptr);
  for (int bit = 0; bit < 200; ++bit) victim->shard_disk()->rot(draws);
  verify_shards({victim});
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
  verify_shards({});
  EXPECT_TRUE(verdict.failed());
}

}  // namespace
}  // namespace dogfs::sim
