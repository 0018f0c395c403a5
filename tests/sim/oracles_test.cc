// Each oracle is shown a cluster that is broken on purpose.
#include "sim/oracles.h"

#include <gtest/gtest.h>

#include "core/chunk/shard_format.h"
#include "core/meta/keys.h"
#include "core/meta/tables.h"
#include "sim/block_oracle.h"
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
  // The block that was written, by the rows of the first metadata node.
  wire::BlockRow block() {
    wire::BlockRow found;
    const KeyRange range = MetaKeys(GroupId(0)).blocks();
    const Status scanned =
        cluster.meta_nodes()[0]->kv_disk()->scan(range.begin, range.end, [&](std::string_view, std::string_view row) {
          return !found.ParseFromArray(row.data(), static_cast<int>(row.size()));
        });
    EXPECT_TRUE(scanned.has_value());
    return found;
  }
  // The file of one of its shards, and the server that has it.
  std::pair<std::string, Node*> stored_shard() {
    const wire::BlockRow row = block();
    for (const wire::Shard& shard : row.shards()) {
      const std::string file =
          shard_file_name({BlockId(row.block()), ShardIndex(shard.index()), ShardGeneration(shard.generation())});
      for (Node* node : cluster.chunk_nodes()) {
        if (shard.length() > 0 && node->shard_disk()->open(file).has_value()) return {file, node};
      }
    }
    return {};
  }
  // As a command would that makes the block what `row` says.
  void apply(const wire::BlockRow& row) {
    KvDisk& disk = *cluster.meta_nodes()[0]->kv_disk();
    KvOverlay overlay(disk);
    MutableTables tables(overlay, GroupId(0));
    tables.put(row);
    tables.put_applied(LogIndex(tables.applied().value().value() + 1));
    disk.apply(overlay.take());
  }
  // Takes what the atlas lets it, of what is not damaged already. How many shards that were.
  uint32_t damage_what_may_be() {
    uint32_t damaged = 0;
    for (Node* node : cluster.chunk_nodes()) {
      for (const std::string& file : node->shard_disk()->stored_files()) {
        if (atlas.is_damaged(*node, *parse_shard_file_name(file))) {
          EXPECT_TRUE(atlas.may_damage(*node, file));
        } else if (atlas.may_damage(*node, file)) {
          atlas.damaged(*node, file);
          EXPECT_TRUE(atlas.may_damage(*node, file)) << "it is damaged already";
          ++damaged;
        }
      }
    }
    return damaged;
  }
  // The oracles that watch disks are told.
  void remove_all_shards() {
    for (Node* node : cluster.chunk_nodes()) {
      for (const std::string& file : node->shard_disk()->list()) {
        ASSERT_TRUE(node->shard_disk()->remove(file).has_value());
      }
    }
  }
  void verify_shards() { ASSERT_TRUE(world.run(auditor, shards.verify(auditor), seconds(10))); }

  World world;
  Verdict verdict{world.trace()};
  Cluster cluster{world, verdict, {.chunk_servers = 9}};
  Node& auditor = world.add_node("auditor");
  StateOracle state{cluster, verdict};
  MetaOracle meta{cluster, verdict};
  Atlas atlas{cluster};
  BlockOracle blocks{cluster, atlas, verdict};
  ShardOracle shards{cluster, atlas, verdict};
};

TEST_F(OracleTest, AWholeClusterPasses) {
  verify_shards();
  meta.check_all();
  blocks.check_all();
  EXPECT_GT(blocks.shards_checked(), 3U);
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

TEST_F(OracleTest, AListedShardThatIsNotOnItsDiskIsSeenUnlessAFaultExcusesIt) {
  const auto [file, server] = stored_shard();
  ASSERT_NE(server, nullptr);
  server->shard_disk()->open(file).value()->durable.flip(kShardHeaderBytes, 1);
  atlas.damaged(*server, file);
  blocks.check_all();
  EXPECT_FALSE(verdict.failed());
  atlas.created(*server, file);
  blocks.check_all();
  EXPECT_TRUE(verdict.failed());
}

TEST_F(OracleTest, WhatLiesOnADiskThatHangsIsMissing) {
  const auto [file, server] = stored_shard();
  ASSERT_NE(server, nullptr);
  const HealOracle heal(cluster);
  EXPECT_TRUE(heal.is_whole()) << heal.missing();
  server->shard_disk()->begin_to_hang();
  EXPECT_FALSE(heal.is_whole());
}

TEST_F(OracleTest, TheRemovalOfAGoodShardIsSeenAtOnce) {
  const auto [file, server] = stored_shard();
  ASSERT_NE(server, nullptr);
  ASSERT_TRUE(server->shard_disk()->remove(file).has_value());
  EXPECT_TRUE(verdict.failed());
}

TEST_F(OracleTest, ARowThatGivesUpAGoodShardIsSeen) {
  wire::BlockRow row = block();
  row.mutable_shards(0)->set_condition(wire::Shard::DAMAGED);
  apply(row);
  EXPECT_FALSE(verdict.failed()) << "it is listed still";
  row.mutable_shards(0)->set_server(0);
  apply(row);
  EXPECT_TRUE(verdict.failed());
}

TEST_F(OracleTest, ARowWithANewShardThatIsNowhereIsSeen) {
  wire::BlockRow row = block();
  row.mutable_shards(0)->set_generation(row.shards(0).generation() + 1000);
  apply(row);
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

TEST_F(OracleTest, AShardThatIsGivenUpWhileItIsReadIsNotMissed) {
  Verdict own{world.trace()};
  ShardOracle audit{cluster, atlas, own};
  world.spawn(auditor, audit.verify(auditor));
  world.run_for(microseconds(50));
  wire::BlockRow row = block();
  for (wire::Shard& shard : *row.mutable_shards()) shard.set_condition(wire::Shard::DAMAGED);
  apply(row);
  remove_all_shards();
  world.run_for(seconds(5));
  EXPECT_FALSE(own.failed()) << *own.failure();
}

TEST_F(OracleTest, AShardThatMovesWhileItIsReadMustBeWhereItIsListedThen) {
  Verdict own{world.trace()};
  ShardOracle audit{cluster, atlas, own};
  world.spawn(auditor, audit.verify(auditor));
  world.run_for(microseconds(50));
  wire::BlockRow row = block();
  for (wire::Shard& shard : *row.mutable_shards()) shard.set_generation(shard.generation() + 1000);
  apply(row);
  remove_all_shards();
  world.run_for(seconds(5));
  ASSERT_TRUE(own.failed());
  const std::string listed = fmt::format("generation {}", row.shards(0).generation());
  EXPECT_NE(own.failure()->find(listed), std::string::npos) << *own.failure();
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
  const BlockHealth whole = atlas.blocks_of("/f", world.now()).at(0);
  EXPECT_EQ(damage_what_may_be(), whole.intact - whole.needed);
  EXPECT_EQ(atlas.blocks_of("/f", world.now()).at(0).intact, whole.needed);
}

// By the map another shard has taken the place of one that its server still has, and takes for whole.
TEST_F(OracleTest, TheAtlasKeepsASpareForAShardThatMayBeListedAgain) {
  wire::BlockRow row = block();
  wire::Shard& replaced = *row.mutable_shards(0);
  const std::string file = shard_file_name(key_of(row, replaced));
  Node* const server = cluster.chunk_node_at(
      MetaTables(atlas.newest_metadata(), GroupId(0)).server(ServerId(replaced.server())).value()->address());
  replaced.set_generation(replaced.generation() + 1000);
  apply(row);
  const BlockHealth whole = atlas.blocks_of("/f", world.now()).at(0);
  ASSERT_TRUE(atlas.may_damage(*server, file));
  atlas.damaged(*server, file);
  EXPECT_EQ(damage_what_may_be() + 1, whole.intact - whole.needed);
  server->kv_disk(cluster.disk_names()[0].records)->wipe();
  EXPECT_EQ(damage_what_may_be(), 1U) << "its server does not vouch for it any more";
  EXPECT_EQ(damage_what_may_be(), 0U);
}

}  // namespace
}  // namespace dogfs::sim
