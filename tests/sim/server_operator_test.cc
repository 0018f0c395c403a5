#include "sim/server_operator.h"

#include <gtest/gtest.h>

#include <string>

#include "core/base/limits.h"
#include "core/chunk/shard_format.h"
#include "core/meta/keys.h"
#include "core/meta/tables.h"
#include "sim/content.h"

namespace dogfs::sim {
namespace {

constexpr GroupId kGroup{0};
constexpr size_t kBlockBytes = 24 * kMinCellBytes;

// Blocks of nine shards.
Task<Status> write_files(Client& client, int files) {
  wire::EcPolicy policy;
  policy.set_data_shards(6);
  policy.set_parity_shards(3);
  policy.set_cell_bytes(kMinCellBytes);
  policy.set_block_bytes(kBlockBytes);
  policy.set_matrix(1);
  DOGFS_CO_TRYV(co_await client.set_policy("/", policy));
  for (int i = 0; i < files; ++i) {
    DOGFS_CO_TRY(const std::unique_ptr<FileWriter> writer, co_await client.create(fmt::format("/f{}", i), {}));
    DOGFS_CO_TRYV(co_await writer->write(make_content(static_cast<uint64_t>(i), 0, kBlockBytes)));
    DOGFS_CO_TRYV(co_await writer->close());
  }
  co_return ok();
}

Task<Status> begin_file(Client& client, std::unique_ptr<FileWriter>& writer) {
  DOGFS_CO_TRY(writer, co_await client.create("/open", {}));
  DOGFS_CO_TRYV(co_await writer->write(make_content(1, 0, kBlockBytes / 2)));
  co_return ok();
}

class ServerOperatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (Node* node : cluster.all_nodes()) cluster.start(*node);
    ASSERT_TRUE(world.run_until([this] { return cluster.servers_ready(); }, seconds(10)));
    // So that every server is heard of, and gets shards.
    world.run_for(seconds(2));
    const auto written = world.run(client_node(), write_files(client(), 8), seconds(60));
    ASSERT_TRUE(written && written->has_value());
  }
  void TearDown() override {
    for (const auto& node : world.nodes()) node->crash(CrashKind::kProcess);
  }

  Node& client_node() { return *cluster.client_nodes()[0]; }
  Client& client() { return *cluster.client(client_node()); }
  Node* chunk(size_t number) { return cluster.chunk_nodes().at(number - 1); }
  MetaTables tables() { return MetaTables(*cluster.leader()->kv_disk(), kGroup); }
  wire::ChunkServerRow row_of(const Node& server) {
    const auto rows = tables().servers();
    EXPECT_TRUE(rows.has_value());
    for (const wire::ChunkServerRow& row : rows.value()) {
      if (row.address() == server.name()) return row;
    }
    return {};
  }
  size_t blocks_on(const Node& server) {
    size_t found = 0;
    const KeyRange range = MetaKeys(kGroup).listed_of(ServerId(row_of(server).server()), BlockId());
    const Status scanned = tables().reader().scan(range.begin, range.end, [&](std::string_view, std::string_view) {
      ++found;
      return true;
    });
    EXPECT_TRUE(scanned.has_value());
    return found;
  }
  // How many it was done to, within `limit`; none while it goes on.
  std::optional<size_t> order(const proto::Fault& what, std::vector<Node*> nodes, Duration limit = seconds(100)) {
    std::optional<size_t> done;
    who.take({.nodes = std::move(nodes), .what = what, .done = [&done](size_t count) { done = count; }});
    world.run_until([&] { return done.has_value() || verdict.failed(); }, limit);
    return done;
  }
  std::optional<size_t> drain(std::vector<Node*> nodes, bool remove) {
    proto::Fault what;
    what.mutable_drain_server()->set_remove(remove);
    return order(what, std::move(nodes));
  }

  World world;
  Verdict verdict{world.trace()};
  Cluster cluster{world, verdict, {.chunk_servers = 11}};
  Atlas atlas{cluster};
  BlockOracle blocks{cluster, atlas, verdict};
  ServerOperator who{cluster, verdict, atlas, blocks};
};

TEST_F(ServerOperatorTest, ADrainedServerIsEmptyAndReturns) {
  ASSERT_GT(blocks_on(*chunk(1)), 0U);
  EXPECT_EQ(drain({chunk(1)}, false), 1U);
  EXPECT_EQ(blocks_on(*chunk(1)), 0U);
  EXPECT_EQ(row_of(*chunk(1)).state(), wire::LIVE);
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
}

TEST_F(ServerOperatorTest, ARemovedServerEndsByItselfAndIsGone) {
  EXPECT_EQ(drain({chunk(1), chunk(2)}, true), 2U);
  for (Node* server : {chunk(1), chunk(2)}) {
    EXPECT_FALSE(server->up());
    EXPECT_TRUE(cluster.is_retired(*server));
    EXPECT_EQ(row_of(*server).state(), wire::REMOVED);
  }
  EXPECT_EQ(drain({chunk(1)}, true), 0U) << "it has been";
  EXPECT_TRUE(world.run_until([this] { return cluster.servers_ready(); }, seconds(10)));
  who.check_removed();
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
}

TEST_F(ServerOperatorTest, OneThatIsDownWhenItIsRemovedEndsWhenItIsBack) {
  cluster.crash(*chunk(1), CrashKind::kPower);
  std::optional<size_t> removed;
  proto::Fault what;
  what.mutable_drain_server()->set_remove(true);
  who.take({.nodes = {chunk(1)}, .what = what, .done = [&removed](size_t count) { removed = count; }});
  ASSERT_TRUE(world.run_until([&] { return row_of(*chunk(1)).state() == wire::REMOVED; }, seconds(100)));
  EXPECT_EQ(removed, std::nullopt);
  cluster.start(*chunk(1));
  EXPECT_TRUE(world.run_until([&] { return removed == 1; }, seconds(20)));
  EXPECT_FALSE(chunk(1)->up());
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
}

// Eleven servers, and blocks of nine shards: two can be done without.
TEST_F(ServerOperatorTest, WhatTheBlocksCannotBearIsRefusedAndNoFailure) {
  EXPECT_EQ(drain({chunk(1), chunk(2), chunk(3)}, true), 2U);
  EXPECT_EQ(row_of(*chunk(3)).wanted(), wire::LIVE);
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
}

TEST_F(ServerOperatorTest, ADrainThatBecomesImpossibleIsGivenUp) {
  cluster.crash(*chunk(11), CrashKind::kPower);
  cluster.retire(*chunk(11));
  EXPECT_EQ(drain({chunk(1)}, true), 1U);
  proto::Fault what;
  what.mutable_drain_server();
  std::optional<size_t> drained;
  // It is judged by servers that are heard of: those that die at once are not missed yet.
  for (const size_t dead : {9UL, 10UL}) {
    cluster.crash(*chunk(dead), CrashKind::kPower);
    cluster.retire(*chunk(dead));
  }
  who.take({.nodes = {chunk(2)}, .what = what, .done = [&drained](size_t count) { drained = count; }});
  EXPECT_TRUE(world.run_until([&] { return drained.has_value(); }, seconds(60)));
  EXPECT_EQ(drained, 0U);
  EXPECT_EQ(row_of(*chunk(2)).wanted(), wire::LIVE);
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
}

TEST_F(ServerOperatorTest, AMaintainedServerIsNotDeclaredDeadInItsTime) {
  proto::Fault what;
  what.mutable_maintain_server()->set_announced_ms(20'000);
  what.mutable_maintain_server()->set_away_ms(12'000);
  bool was_dead = false;
  std::optional<size_t> done;
  who.take({.nodes = {chunk(1)}, .what = what, .done = [&done](size_t count) { done = count; }});
  ASSERT_TRUE(world.run_until([this] { return !chunk(1)->up(); }, seconds(5)));
  EXPECT_TRUE(world.run_until(
      [&] {
        was_dead = was_dead || row_of(*chunk(1)).state() == wire::DEAD;
        return done.has_value();
      },
      seconds(30)));
  EXPECT_EQ(done, 1U);
  EXPECT_FALSE(was_dead);
  EXPECT_TRUE(chunk(1)->up());
  EXPECT_EQ(row_of(*chunk(1)).state(), wire::LIVE);
  EXPECT_FALSE(verdict.failed()) << *verdict.failure();
}

TEST_F(ServerOperatorTest, AMaintenanceThatNobodyEndsRunsOut) {
  proto::Fault what;
  what.mutable_maintain_server()->set_announced_ms(3000);
  what.mutable_maintain_server()->set_away_ms(1000);
  what.mutable_maintain_server()->set_runs_out(true);
  EXPECT_EQ(order(what, {chunk(1)}, seconds(20)), 1U);
  EXPECT_EQ(row_of(*chunk(1)).wanted(), wire::LIVE);
}

TEST_F(ServerOperatorTest, AServerThatOnlySeemsEmptyIsSeen) {
  blocks.said_empty(*chunk(1), LogIndex(0));
  EXPECT_FALSE(verdict.failed()) << "what is listed later does not count: " << *verdict.failure();
  blocks.said_empty(*chunk(1), blocks.applied());
  ASSERT_TRUE(verdict.failed());
  EXPECT_NE(verdict.failure()->find("is listed, although the server is empty"), std::string::npos);
}

TEST_F(ServerOperatorTest, ABlockThatIsBeingWrittenToAnEmptyServerIsSeen) {
  for (const Node* server : cluster.chunk_nodes()) blocks.said_empty(*server, LogIndex(0));
  ASSERT_FALSE(verdict.failed()) << *verdict.failure();
  std::unique_ptr<FileWriter> writer;
  const auto begun = world.run(client_node(), begin_file(client(), writer), seconds(10));
  ASSERT_TRUE(begun && begun->has_value());
  world.run_for(milliseconds(100));
  for (const Node* server : cluster.chunk_nodes()) blocks.said_empty(*server, LogIndex(0));
  ASSERT_TRUE(verdict.failed());
  EXPECT_NE(verdict.failure()->find("may be written to an empty server"), std::string::npos) << *verdict.failure();
  ASSERT_TRUE(world.run(client_node(), writer->abort(), seconds(10)));
}

TEST_F(ServerOperatorTest, AShardThatWasMovedAndIsNotThereIsSeen) {
  EXPECT_EQ(drain({chunk(1)}, false), 1U);
  const std::vector<std::string> left = chunk(1)->shard_disk()->list();
  ASSERT_FALSE(left.empty()) << "its files go after a grace";
  for (Node* server : cluster.chunk_nodes()) {
    if (server == chunk(1)) continue;
    for (const std::string& file : server->shard_disk()->list()) {
      server->shard_disk()->open(file).value()->durable.flip(kShardHeaderBytes, 1);
    }
  }
  blocks.said_empty(*chunk(1), blocks.applied());
  ASSERT_TRUE(verdict.failed());
  EXPECT_NE(verdict.failure()->find("was moved, and is not good there"), std::string::npos) << *verdict.failure();
}

// Whoever the client took for the leader may have been one once.
TEST_F(ServerOperatorTest, TheStatusIsTheLeadersAlsoAfterAnother) {
  for (Node* successor : cluster.meta_nodes()) {
    if (successor != cluster.leader()) cluster.hand_leadership_over({successor});
    ASSERT_TRUE(world.run_until([&] { return cluster.leader() == successor; }, seconds(5)));
    world.run_for(seconds(1));
    const auto status = world.run(client_node(), client().status(), seconds(10));
    ASSERT_TRUE(status && status->has_value());
    EXPECT_TRUE(status->value().from_leader()) << successor->name();
  }
}

}  // namespace
}  // namespace dogfs::sim
