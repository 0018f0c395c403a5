#include "core/raft/replica.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/env/sync.h"
#include "core/raft/raft.h"
#include "tests/core/raft/replica_world.h"

namespace dogfs {
namespace {

using testing::ElementsAre;
using testing::Lt;

TEST(Replica, AGroupOfThreeElectsALeaderAndAnswersACommand) {
  ReplicaWorld group(3, 1);
  group.start_all();
  const size_t leader = group.elect();
  ASSERT_NE(leader, 0U);
  EXPECT_EQ(group.propose(leader, "a").value(), "3:a");
  EXPECT_EQ(group.propose(leader, "b").value(), "4:b");
  EXPECT_TRUE(group.converge());
  EXPECT_THAT(group.program(leader)->machine().commands(), ElementsAre("", "", "a", "b"));
}

TEST(Replica, AGroupOfOneNeedsNobody) {
  ReplicaWorld group(1, 1);
  group.start_all();
  ASSERT_EQ(group.elect(), 1U);
  EXPECT_EQ(group.propose(1, "a").value(), "3:a");
  EXPECT_EQ(group.read(1).value(), LogIndex(3));
  group.crash(1);
  group.start_all();
  ASSERT_EQ(group.elect(), 1U);
  EXPECT_EQ(group.propose(1, "b").value(), "5:b");
}

TEST(Replica, AFollowerLetsCommandsGatherBeforeItAppliesThem) {
  ReplicaWorld group(3, 1);
  group.start_all();
  const size_t leader = group.elect();
  constexpr size_t kCommands = 100;
  for (size_t i = 0; i < kCommands; ++i) ASSERT_TRUE(group.propose(leader, "a").has_value());
  EXPECT_TRUE(group.converge());
  EXPECT_GE(group.program(leader)->machine().batches(), kCommands);
  EXPECT_LT(group.program(leader % 3 + 1)->machine().batches(), kCommands / 2);
}

TEST(Replica, ANewLeaderAppliesWhatHasGatheredAtOnce) {
  ReplicaWorld group(3, 1);
  group.follower_apply_interval = seconds(3600);
  group.start_all();
  const size_t old_leader = group.elect();
  for (size_t i = 0; i < 10; ++i) ASSERT_TRUE(group.propose(old_leader, "a").has_value());
  group.crash(old_leader);
  const size_t new_leader = group.elect();
  ASSERT_NE(new_leader, old_leader);
  EXPECT_EQ(group.propose(new_leader, "b").value(), "14:b");
  EXPECT_EQ(group.read(new_leader).value(), LogIndex(14));
}

TEST(Replica, AFollowerSendsCallersAway) {
  ReplicaWorld group(3, 1);
  group.start_all();
  const size_t leader = group.elect();
  const size_t follower = leader % 3 + 1;
  EXPECT_EQ(code_of(group.propose(follower, "a")), ErrorCode::kNotLeader);
  EXPECT_EQ(code_of(group.read(follower)), ErrorCode::kNotLeader);
  ASSERT_TRUE(group.converge());
  EXPECT_EQ(group.program(follower)->replica().status().leader, NodeId(leader));
}

TEST(Replica, AnOversizedCommandIsRefused) {
  ReplicaWorld group(1, 1);
  group.start_all();
  group.elect();
  EXPECT_EQ(code_of(group.propose(1, std::string(kMaxCommandBytes + 1, 'x'))), ErrorCode::kLimitExceeded);
  EXPECT_TRUE(group.propose(1, std::string(kMaxCommandBytes, 'x')).has_value());
}

TEST(Replica, ACutOffLeaderAnswersNeitherReadsNorCommands) {
  ReplicaWorld group(3, 1);
  group.start_all();
  const size_t old_leader = group.elect();
  ASSERT_TRUE(group.propose(old_leader, "a").has_value());
  group.isolate(old_leader);
  EXPECT_EQ(code_of(group.read(old_leader, milliseconds(100))), ErrorCode::kTimeout);
  EXPECT_EQ(code_of(group.propose(old_leader, "lost")), ErrorCode::kOutcomeUnknown);
  EXPECT_NE(group.program(old_leader)->replica().status().role, RaftRole::kLeader) << "no quorum: it steps down";

  const size_t new_leader = group.elect();
  ASSERT_NE(new_leader, old_leader);
  ASSERT_TRUE(group.propose(new_leader, "b").has_value());
  group.reconnect(old_leader);
  EXPECT_TRUE(group.converge());
  EXPECT_THAT(group.program(old_leader)->machine().commands(), ElementsAre("", "", "a", "", "b"));
}

TEST(Replica, ACommandIsAnsweredBeforeItsEffectIsInTheStoreAndAReaderCanWaitForIt) {
  ReplicaWorld group(1, 1);
  group.start_all();
  group.elect();
  ListNode& node = *group.program(1);
  size_t answers_ahead_of_the_store = 0;
  for (size_t i = 3; i < 30; ++i) {
    ASSERT_TRUE(group.propose(1, "a").has_value());
    if (node.machine().commands().size() < i) ++answers_ahead_of_the_store;
    ASSERT_TRUE(group.world().run(group.node(1), node.replica().answers_visible(), seconds(5)));
    ASSERT_EQ(node.machine().commands().size(), i);
  }
  EXPECT_GT(answers_ahead_of_the_store, 0U);
}

TEST(Replica, AReadSeesWhatWasAcknowledgedBeforeIt) {
  ReplicaWorld group(3, 2);
  group.start_all();
  const size_t leader = group.elect();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(group.propose(leader, "x").has_value());
    const LogIndex index = group.read(leader).value();
    EXPECT_GE(index, LogIndex(static_cast<uint64_t>(i) + 2));
    EXPECT_GE(group.program(leader)->machine().commands().size(), index.value());
  }
}

Task<void> propose_into(Replica& replica, std::string command, MonoTime deadline, std::vector<ErrorCode>& outcomes) {
  outcomes.push_back(code_of(co_await replica.propose(std::move(command), deadline)));
}

TEST(Replica, ConcurrentCommandsShareWritesAndFrames) {
  ReplicaWorld group(3, 3);
  group.start_all();
  const size_t leader = group.elect();
  ASSERT_TRUE(group.propose(leader, "warm").has_value());
  const uint64_t batches_before = group.node(leader).kv_disk()->sequence();
  const uint64_t messages_before = group.world().network().messages();
  std::vector<ErrorCode> outcomes;
  Replica& replica = group.program(leader)->replica();
  for (int i = 0; i < 256; ++i) {
    group.world().spawn(group.node(leader), propose_into(replica, "c", group.deadline(leader, seconds(5)), outcomes));
  }
  ASSERT_TRUE(group.world().run_until([&] { return outcomes.size() == 256; }, seconds(10)));
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), ErrorCode::kOk), 256);
  EXPECT_THAT(group.node(leader).kv_disk()->sequence() - batches_before, Lt(64U));
  EXPECT_THAT(group.world().network().messages() - messages_before, Lt(128U));
}

Task<void> stop_and_note(Replica& replica, bool& stopped) {
  co_await replica.stop();
  stopped = true;
}

TEST(Replica, StopEndsEveryWait) {
  ReplicaWorld group(3, 4);
  group.start_all();
  const size_t leader = group.elect();
  Replica& replica = group.program(leader)->replica();
  group.isolate(leader);
  std::vector<ErrorCode> outcomes;
  for (int i = 0; i < 10; ++i) {
    group.world().spawn(group.node(leader), propose_into(replica, "c", kNever, outcomes));
  }
  group.world().run_for(milliseconds(20));
  EXPECT_TRUE(outcomes.empty());
  bool stopped = false;
  group.world().spawn(group.node(leader), stop_and_note(replica, stopped));
  ASSERT_TRUE(group.world().run_until([&] { return stopped; }, seconds(10)));
  EXPECT_EQ(outcomes, std::vector<ErrorCode>(10, ErrorCode::kShuttingDown));
  EXPECT_EQ(code_of(group.propose(leader, "late")), ErrorCode::kShuttingDown);
}

TEST(Replica, AFailedSyncEndsTheNode) {
  ReplicaWorld group(3, 5);
  group.start_all();
  const size_t leader = group.elect();
  ASSERT_TRUE(group.propose(leader, "a").has_value());
  group.node(leader).kv_disk()->fail_next_sync();
  std::vector<ErrorCode> outcomes;
  Replica& replica = group.program(leader)->replica();
  group.world().spawn(group.node(leader), propose_into(replica, "b", group.deadline(leader, seconds(5)), outcomes));
  ASSERT_TRUE(group.world().run_until([&] { return !group.node(leader).up(); }, seconds(10)));
  EXPECT_TRUE(group.node(leader).fatal().has_value());
  ASSERT_TRUE(group.start(leader).has_value());
  EXPECT_TRUE(group.converge());
}

TEST(Replica, ObserversHearOfEachLeader) {
  ReplicaWorld group(3, 6);
  group.start_all();
  std::vector<NodeId> leaders;
  group.program(1)->replica().on_change([&](const ReplicaStatus& status) {
    if (!status.leader.is_none()) leaders.push_back(status.leader);
  });
  const size_t leader = group.elect();
  ASSERT_TRUE(group.converge());
  ASSERT_FALSE(leaders.empty());
  EXPECT_EQ(leaders.back(), NodeId(leader));
}

TEST(Replica, AFollowerThatMissedMoreThanTheCacheHoldsIsServedFromTheStore) {
  ReplicaWorld group(3, 7);
  group.start_all();
  const size_t leader = group.elect();
  const size_t follower = leader % 3 + 1;
  group.crash(follower);
  const std::string large(kMaxCommandBytes - 10, 'x');
  for (size_t i = 0; i < kMaxLogCacheBytes / kMaxCommandBytes + 8; ++i) {
    ASSERT_TRUE(group.propose(leader, large + std::to_string(i), seconds(30)).has_value());
  }
  EXPECT_LE(group.program(leader)->replica().raft()->log().cached_bytes(), kMaxLogCacheBytes);
  EXPECT_GT(group.program(leader)->replica().raft()->log().first_cached(), LogIndex(1));
  ASSERT_TRUE(group.start(follower).has_value());
  EXPECT_TRUE(group.converge());
}

TEST(Replica, AnotherNodesStoreIsRefused) {
  ReplicaWorld group(3, 8);
  group.start_all();
  ASSERT_NE(group.elect(), 0U);
  sim::Node& node = group.node(1);
  ReplicaOptions options;
  options.group = GroupId(7);
  options.self = NodeId(2);
  for (size_t i = 1; i <= 3; ++i) options.voters.emplace(NodeId(i), group.node(i).address());
  node.crash(sim::CrashKind::kPower);
  node.boot();
  auto& intruder = node.make<ListNode>(node.env(), node.kv(), options, node.on_fatal());
  EXPECT_EQ(code_of(*group.world().run(node, intruder.start(), seconds(5))), ErrorCode::kConflict);
}

TEST(Replica, AnEmptyStoreIsRefusedUnlessItIsSaidToBeNew) {
  ReplicaWorld group(1, 10);
  group.empty_store = EmptyStore::kRefused;
  EXPECT_EQ(code_of(group.start(1)), ErrorCode::kConflict);
  group.crash(1);
  group.empty_store = EmptyStore::kForms;
  ASSERT_TRUE(group.start(1).has_value());
  ASSERT_EQ(group.elect(), 1U);
  ASSERT_TRUE(group.propose(1, "a").has_value());
  const raft::StoreId store = group.program(1)->replica().raft()->store();
  EXPECT_FALSE(store.is_none());
  // What is there already is not empty.
  group.crash(1);
  group.empty_store = EmptyStore::kRefused;
  ASSERT_TRUE(group.start(1).has_value());
  EXPECT_EQ(group.program(1)->replica().raft()->store(), store);
}

TEST(Replica, AMemberThatLostItsDiskIsNamed) {
  ReplicaWorld group(3, 11);
  group.start_all();
  const size_t leader = group.elect();
  ASSERT_TRUE(group.propose(leader, "a").has_value());
  const size_t lost = leader % 3 + 1;
  group.crash(lost);
  group.node(lost).kv_disk()->wipe();
  ASSERT_TRUE(group.start(lost).has_value());
  const auto named = [&] { return group.program(leader)->replica().status().lost_stores; };
  group.world().run_until([&] { return !named().empty(); }, seconds(10));
  EXPECT_EQ(named(), std::set<NodeId>{NodeId(lost)});
  ASSERT_TRUE(group.propose(leader, "b").has_value());
  EXPECT_FALSE(group.program(lost)->replica().raft()->is_counted());
  EXPECT_EQ(group.program(lost)->replica().status().last, LogIndex());
}

TEST(Replica, AStateAheadOfItsLogIsRefused) {
  ReplicaWorld group(1, 9);
  WriteBatch batch;
  batch.put("m00000000000000000001", "from nowhere");
  group.node(1).kv_disk()->apply(batch);
  EXPECT_EQ(code_of(group.start(1)), ErrorCode::kCorrupt);
}

// --- Under faults ---------------------------------------------------------------------------------------------------

Task<void> write_steadily(Replica& replica, Clock& clock, std::string prefix, std::set<std::string>& acknowledged) {
  for (int i = 0;; ++i) {
    const std::string command = prefix + "-" + std::to_string(i);
    const MonoTime deadline = clock.now() + seconds(2);
    const Result<std::string> reply = co_await replica.propose(command, deadline);
    if (reply) acknowledged.insert(command);
    co_await sleep_for(clock, reply ? milliseconds(3) : milliseconds(20));
  }
}

class FaultyGroup {
 public:
  explicit FaultyGroup(uint64_t seed) : seed_(seed), group_(seed % 2 == 0 ? 3 : 5, seed) {
    if (seed % 3 == 0) group_.max_append_bytes = 1;
    for (size_t i = 1; i <= group_.size(); ++i) start(i);
  }

  // Nodes lose power, some at once, all at once, or are cut off; then all is well again.
  void run() {
    for (int fault = 0; fault < 12; ++fault) {
      group_.world().run_for(milliseconds(static_cast<int64_t>(draw(1500))));
      if (draw(8) == 0) {
        for (size_t i = 1; i <= group_.size(); ++i) group_.crash(i);
      } else if (draw(3) == 0) {
        const size_t victim = 1 + draw(group_.size());
        group_.isolate(victim);
        group_.world().run_for(milliseconds(static_cast<int64_t>(draw(2000))));
        group_.reconnect(victim);
      } else {
        group_.crash(1 + draw(group_.size()), draw(2) == 0 ? sim::CrashKind::kPower : sim::CrashKind::kProcess);
      }
      group_.world().run_for(milliseconds(static_cast<int64_t>(draw(600))));
      for (size_t i = 1; i <= group_.size(); ++i) {
        if (!group_.node(i).up()) start(i);
      }
    }
  }

  void check() {
    // The writers of this life end with it.
    for (size_t i = 1; i <= group_.size(); ++i) group_.crash(i, sim::CrashKind::kPower);
    for (size_t i = 1; i <= group_.size(); ++i) ASSERT_TRUE(group_.start(i).has_value());
    ASSERT_TRUE(group_.converge()) << "seed " << seed_;
    const auto commands = group_.program(1)->machine().commands();
    const std::set<std::string> held(commands.begin(), commands.end());
    for (const std::string& command : acknowledged_) {
      EXPECT_TRUE(held.contains(command)) << command << " was acknowledged and is lost, seed " << seed_;
    }
    EXPECT_FALSE(acknowledged_.empty()) << "seed " << seed_;
  }

 private:
  uint64_t draw(uint64_t bound) { return reduce64(combine64(seed_, ++draws_), bound); }

  void start(size_t i) {
    const Status started = group_.start(i);
    ASSERT_TRUE(started.has_value()) << started.error().to_string() << ", seed " << seed_;
    const std::string prefix = std::to_string(i) + "." + std::to_string(++lives_);
    group_.world().spawn(group_.node(i), write_steadily(group_.program(i)->replica(), group_.node(i).env().clock,
                                                        prefix, acknowledged_));
  }

  uint64_t seed_;
  uint64_t draws_ = 0;
  int lives_ = 0;
  std::set<std::string> acknowledged_;
  ReplicaWorld group_;
};

TEST(Replica, WhatWasAcknowledgedSurvivesCrashesAndPartitions) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    FaultyGroup group(seed);
    group.run();
    group.check();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace dogfs
