// The oracles that look at a whole run, shown a cluster that is broken on purpose.
#include "sim/history_oracle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/meta/keys.h"
#include "sim/content.h"
#include "sim/leak_oracle.h"
#include "sim/oracles.h"

namespace dogfs::sim {
namespace {

using testing::HasSubstr;

constexpr Duration kLongest = std::chrono::minutes(4);

Task<Status> work(Client& client, bool leave_open) {
  DOGFS_CO_TRYV(co_await client.make_directory("/d", {}));
  DOGFS_CO_TRY(const std::unique_ptr<FileWriter> writer, co_await client.create("/d/f", {}));
  DOGFS_CO_TRYV(co_await writer->write(make_content(1, 0, 20'000)));
  if (leave_open) co_return ok();
  DOGFS_CO_TRYV(co_await writer->close());
  DOGFS_CO_TRYV(co_await client.rename("/d", "/e", false));
  DOGFS_CO_TRYV(co_await client.stat("/e/f"));
  DOGFS_CO_TRYV(co_await client.remove("/e/f", {}));
  co_return ok();
}

class HistoryOracleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (Node* node : cluster.all_nodes()) cluster.start(*node);
    ASSERT_TRUE(run_until([this] { return cluster.servers_ready(); }, seconds(10)));
  }
  void TearDown() override {
    for (Node* node : cluster.all_nodes()) node->crash(CrashKind::kProcess);
  }

  template <class Predicate>
  bool run_until(Predicate done, Duration limit) {
    return world.run_until(
        [&] {
          for (const Node* node : cluster.meta_nodes()) history.after_event(*node);
          return done();
        },
        limit);
  }
  bool becomes_clean() {
    return run_until([this] { return leaks.is_clean(); }, kLongest);
  }

  void do_work(bool leave_open) {
    Node& node = *cluster.client_nodes()[0];
    const auto done = world.run(node, work(*cluster.client(node), leave_open), seconds(10));
    ASSERT_TRUE(done && done->has_value());
    ASSERT_TRUE(run_until([this] { return state.agree(); }, seconds(10)));
  }

  World world;
  Verdict verdict{world.trace()};
  Cluster cluster{world, verdict, {.chunk_servers = 9}};
  StateOracle state{cluster, verdict};
  HistoryOracle history{cluster, verdict};
  LeakOracle leaks{cluster};
};

TEST_F(HistoryOracleTest, AGoodRunPasses) {
  do_work(false);
  history.check();
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
  EXPECT_GE(history.checked(), 8u);
}

TEST_F(HistoryOracleTest, AChangeThatOneNodeHasLostIsSeen) {
  do_work(false);
  WriteBatch batch;
  const KeyRange entries = MetaKeys(GroupId(0)).all_entries();
  batch.erase_range(entries.begin, entries.end);
  for (Node* node : cluster.meta_nodes()) node->kv_disk()->watch("nothing", [] {});
  cluster.meta_nodes()[1]->kv_disk()->apply(batch);
  history.check();
  ASSERT_TRUE(verdict.failed());
  EXPECT_THAT(*verdict.failure(), HasSubstr("meta-2 has nothing instead of \"/e/"));
}

TEST_F(HistoryOracleTest, AnIdleClusterBecomesClean) {
  do_work(false);
  EXPECT_FALSE(leaks.is_clean()) << "there is a session at least";
  EXPECT_TRUE(becomes_clean()) << leaks.leftover();
}

TEST_F(HistoryOracleTest, WhatACrashedWriterLeavesIsCleanedUp) {
  do_work(true);
  Node& client = *cluster.client_nodes()[0];
  cluster.crash(client, CrashKind::kPower);
  EXPECT_FALSE(leaks.is_clean());
  EXPECT_TRUE(becomes_clean()) << leaks.leftover();
}

TEST_F(HistoryOracleTest, AShardThatNobodyListsIsALeak) {
  ASSERT_TRUE(cluster.chunk_nodes()[3]->shard_disk()->create("0000").has_value());
  EXPECT_FALSE(becomes_clean());
  EXPECT_EQ(leaks.leftover(), "shard file 0000 on chunk-4 disk");
}

TEST_F(HistoryOracleTest, ALeaseThatStaysIsALeak) {
  Node& node = *cluster.client_nodes()[0];
  // Kept by the client, which goes on to renew it.
  const auto create = [](Client& client, std::unique_ptr<FileWriter>& kept) -> Task<Status> {
    DOGFS_CO_TRY(kept, co_await client.create("/f", {}));
    co_return ok();
  };
  std::unique_ptr<FileWriter> writer;
  const auto done = world.run(node, create(*cluster.client(node), writer), seconds(10));
  ASSERT_TRUE(done && done->has_value());
  EXPECT_FALSE(becomes_clean());
  EXPECT_EQ(leaks.leftover(), "1 leases");
  writer.reset();
}

}  // namespace
}  // namespace dogfs::sim
