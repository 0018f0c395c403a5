// The trash of a group of metadata nodes: what the leader does about it, and what it answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/meta/trash.h"
#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

class TrashOfANode : public ::testing::Test {
 protected:
  TrashOfANode() { cluster.open_session(); }

  wire::AdministerTrashReply keep(int64_t period_ms) {
    wire::AdministerTrashRequest request;
    request.set_set(true);
    request.set_period_ms(period_ms);
    return cluster.ask_for<wire::AdministerTrashReply>(MessageType::kAdministerTrash, request);
  }
  wire::ListTrashReply list() {
    return cluster.ask_for<wire::ListTrashReply>(MessageType::kListTrash, wire::ListTrashRequest());
  }
  void remove(const std::string& path) {
    const Reply reply =
        cluster.change([&path](wire::Mutation& mutation) { mutation.mutable_delete_()->set_path(path); });
    ASSERT_EQ(reply.error.code, ErrorCode::kOk) << reply.error.to_string();
  }

  MetaCluster cluster{3};
};

TEST_F(TrashOfANode, IsOffUntilAnOperatorSaysForHowLong) {
  const auto status = [this] {
    return cluster.ask_for<wire::AdministerTrashReply>(MessageType::kAdministerTrash, wire::AdministerTrashRequest());
  };
  EXPECT_EQ(status().period_ms(), 0);
  EXPECT_EQ(keep(60'000).period_ms(), 60'000);
  EXPECT_EQ(status().period_ms(), 60'000);
  cluster.mkdir("/a");
  remove("/a");
  EXPECT_EQ(status().entries(), 1u);
  EXPECT_EQ(cluster.status_of(cluster.leader()).trash_entries(), 1u);
  wire::AdministerTrashRequest wrong;
  wrong.set_set(true);
  wrong.set_period_ms(kMaxTrashPeriodMs + 1);
  EXPECT_EQ(cluster.ask(MessageType::kAdministerTrash, wrong).error.code, ErrorCode::kInvalidArgument);
}

// Nobody asks for anything meanwhile: the leader's own clock moves the log's time.
TEST_F(TrashOfANode, ExpiresThoughTheClusterIsIdle) {
  keep(20'000);
  cluster.mkdir("/a");
  remove("/a");
  cluster.world_.run_for(seconds(15));
  ASSERT_EQ(list().entries_size(), 1);
  const int64_t left_ms = list().entries(0).expires_ms() - list().log_time_ms();
  EXPECT_GT(left_ms, 3000);
  EXPECT_LT(left_ms, 5100);
  cluster.world_.run_for(seconds(7));
  EXPECT_EQ(list().entries_size(), 0);
  EXPECT_EQ(cluster.status_of(cluster.leader()).directories(), 1u) << "reclaimed at once";
}

TEST_F(TrashOfANode, AnotherLeaderEndsWhatIsDue) {
  keep(10'000);
  cluster.mkdir("/a");
  remove("/a");
  cluster.metas_[cluster.leader()]->crash(sim::CrashKind::kPower);
  cluster.world_.run_for(seconds(5));
  EXPECT_EQ(list().entries_size(), 1);
  cluster.world_.run_for(seconds(15));
  EXPECT_EQ(list().entries_size(), 0);
}

TEST_F(TrashOfANode, APurgeIsReclaimedAtOnce) {
  keep(1'000'000);
  cluster.mkdir("/a");
  remove("/a");
  cluster.change([](wire::Mutation& mutation) { mutation.mutable_purge_trash()->set_all(true); });
  cluster.world_.run_for(milliseconds(300));
  EXPECT_EQ(cluster.status_of(cluster.leader()).directories(), 1u);
}

}  // namespace
}  // namespace dogfs
