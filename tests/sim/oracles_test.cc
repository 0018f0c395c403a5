// Each oracle is shown a cluster that is broken on purpose.
#include "sim/oracles.h"

#include <gtest/gtest.h>

#include "core/meta/keys.h"
#include "sim/content.h"
#include "sim/leader_oracle.h"

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
  void verify_shards() { ASSERT_TRUE(world.run(auditor, shards.verify(auditor), seconds(10))); }

  World world;
  Verdict verdict{world.trace()};
  Cluster cluster{world, verdict, {.chunk_servers = 9}};
  Node& auditor = world.add_node("auditor");
  StateOracle state{cluster, verdict};
  MetaOracle meta{cluster, verdict};
  Atlas atlas{cluster};
  ShardOracle shards{cluster, atlas, verdict};
};

TEST_F(OracleTest, AWholeClusterPasses) {
  verify_shards();
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

TEST_F(OracleTest, ALeaderThatFallsIsSeenUnlessAFaultHasStruck) {
  for (const size_t faults : {1, 0}) {
    LeaderOracle leaders{cluster, verdict, seconds(2)};
    const auto look = [&] {
      for (const Node* node : cluster.meta_nodes()) leaders.after_event(*node, faults);
      return false;
    };
    world.run_until(look, seconds(3));
    Node* fallen = cluster.leader();
    cluster.crash(*fallen, CrashKind::kProcess);
    world.run_until(look, seconds(3));
    EXPECT_EQ(verdict.failed(), faults == 0);
    cluster.start(*fallen);
    world.run_for(seconds(1));
  }
}

// The server and the name of the first stored shard.
std::pair<Node*, std::string> first_shard(Cluster& cluster) {
  for (Node* node : cluster.chunk_nodes()) {
    const std::vector<std::string> files = node->shard_disk()->stored_files();
    if (!files.empty()) return {node, files.front()};
  }
  return {nullptr, ""};
}

TEST_F(OracleTest, ARottenShardIsSeenUnlessItIsKnownAsDamaged) {
  RandomStream draws{StreamKey(1)};
  const auto [server, file] = first_shard(cluster);
  ASSERT_NE(server, nullptr);
  for (int bit = 0; bit < 200; ++bit) server->shard_disk()->rot(file, draws);
  atlas.damaged(*server, file);
  verify_shards();
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
  const Atlas knows_nothing{cluster};
  ShardOracle strict{cluster, knows_nothing, verdict};
  ASSERT_TRUE(world.run(auditor, strict.verify(auditor), seconds(10)));
  EXPECT_TRUE(verdict.failed());
}

TEST_F(OracleTest, TheAtlasCountsWhatIsWholeAndWithinReach) {
  const auto health = [this](VirtualTime since) { return atlas.blocks_of("/f", since).at(0); };
  const BlockHealth whole = health(world.now());
  EXPECT_GT(whole.needed, 0U);
  EXPECT_EQ(whole.intact, whole.reachable);
  const auto [server, file] = first_shard(cluster);
  atlas.damaged(*server, file);
  EXPECT_EQ(health(world.now()).intact, whole.intact - 1);
  EXPECT_EQ(health(world.now()).reachable, whole.intact - 1);
  atlas.disturb(*server);
  for (Node* node : cluster.chunk_nodes()) atlas.disturb(*node);
  EXPECT_EQ(health(world.now()).reachable, 0U);
  for (Node* node : cluster.chunk_nodes()) atlas.calm(*node);
  EXPECT_EQ(health(world.now()).reachable, 0U) << "it takes the servers a while";
  world.run_for(seconds(10));
  EXPECT_EQ(health(world.now() - seconds(1)).reachable, whole.intact - 1);
  EXPECT_TRUE(atlas.blocks_of("/none", world.now()).empty());
}

TEST_F(OracleTest, TheAtlasLetsABlockLoseItsSparesAndNoMore) {
  uint32_t lost = 0;
  const BlockHealth whole = atlas.blocks_of("/f", world.now()).at(0);
  for (Node* node : cluster.chunk_nodes()) {
    for (const std::string& file : node->shard_disk()->stored_files()) {
      if (!atlas.may_damage(*node, file)) continue;
      atlas.damaged(*node, file);
      ++lost;
      EXPECT_TRUE(atlas.may_damage(*node, file)) << "it is damaged already";
    }
  }
  EXPECT_EQ(lost, whole.intact - whole.needed);
  EXPECT_EQ(atlas.blocks_of("/f", world.now()).at(0).intact, whole.needed);
}

}  // namespace
}  // namespace dogfs::sim
