// A cluster that is idle and clean, then something that is left over.
#include "sim/leak_oracle.h"

#include <gtest/gtest.h>

#include "core/chunk/shard_key.h"
#include "core/raft/raft_store.h"

namespace dogfs::sim {
namespace {

class LeakOracleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (Node* node : cluster.all_nodes()) cluster.start(*node);
    ASSERT_TRUE(world.run_until([this] { return cluster.servers_ready(); }, seconds(10)));
    ASSERT_TRUE(world.run_until([this] { return oracle.is_clean(); }, seconds(90))) << oracle.leftover();
  }
  void TearDown() override {
    for (Node* node : cluster.all_nodes()) node->crash(CrashKind::kProcess);
  }

  // What the oracle says once it looks again, however long it is left to itself.
  std::string leftover_after(seconds wait) {
    world.run_for(wait);
    return oracle.is_clean() ? "" : oracle.leftover();
  }
  void put(KvDisk& disk, const std::string& key) {
    WriteBatch batch;
    batch.put(key, "left over");
    disk.apply(batch);
  }
  KvDisk& meta_disk() { return *cluster.meta_nodes()[1]->kv_disk(); }
  KvDisk& records() { return *cluster.chunk_nodes()[2]->kv_disk(cluster.disk_names()[0].records); }

  World world;
  Verdict verdict{world.trace()};
  Cluster cluster{world, verdict, {.chunk_servers = 3, .log_entries = 16}};
  LeakOracle oracle{cluster};
};

TEST_F(LeakOracleTest, AnIdleClusterStaysClean) {
  EXPECT_EQ(leftover_after(seconds(10)), "");
}

TEST_F(LeakOracleTest, ARowOfAStagedSnapshotIsSeen) {
  put(meta_disk(), raft::staged_rows(GroupId(0)).begin + "Mrow");
  EXPECT_EQ(leftover_after(seconds(5)), "1 rows of a snapshot on meta-2");
}

TEST_F(LeakOracleTest, WhatIsSaidOfAStagedSnapshotIsSeen) {
  WriteBatch batch;
  raft::put_staged(batch, GroupId(0), {{NodeId(1), Term(1), 1, {LogIndex(1), Term(1)}}, 2});
  meta_disk().apply(batch);
  EXPECT_EQ(leftover_after(seconds(5)), "1 rows of a snapshot on meta-2");
}

TEST_F(LeakOracleTest, RowsOfAnotherGroupAreSeen) {
  put(meta_disk(), raft::staged_rows(GroupId(3)).begin);
  EXPECT_EQ(leftover_after(seconds(5)), "1 unknown rows of Raft's on meta-2");
}

TEST_F(LeakOracleTest, ARecordOfAShardThatNothingListsIsSeen) {
  put(records(), shard_record_key({BlockId(7), ShardIndex(1), ShardGeneration(9)}));
  EXPECT_TRUE(leftover_after(seconds(5)).starts_with("record shard/")) << oracle.leftover();
}

TEST_F(LeakOracleTest, ARecordThatNamesNoShardIsSeen) {
  put(records(), std::string(kShardRecords) + "nonsense");
  EXPECT_EQ(leftover_after(seconds(5)), "record shard/nonsense on chunk-3 disk");
}

}  // namespace
}  // namespace dogfs::sim
