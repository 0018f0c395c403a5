// Members that come and go, leadership that is handed over, and members that are slow, on replicas in the simulated world.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/raft/replica_world.h"

namespace dogfs {
namespace {

using testing::HasSubstr;

std::vector<NodeId> nodes(std::initializer_list<uint64_t> ids) {
  std::vector<NodeId> result;
  for (const uint64_t id : ids) result.emplace_back(id);
  return result;
}

size_t other_than(const ReplicaWorld& group, size_t i) {
  return i == group.size() ? 1 : i + 1;
}

// Repeats the change until it is done or refused for good.
Status change_when_ready(ReplicaWorld& group, const raft::MembershipChange& change) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const Status done = group.change(group.elect(), change);
    if (done || (done.error().code != ErrorCode::kBusy && done.error().code != ErrorCode::kConflict)) return done;
    group.world().run_until([] { return false; }, milliseconds(50));
  }
  return Error(ErrorCode::kTimeout);
}

TEST(ReplicaMembership, ADeadNodeIsReplacedByANewOne) {
  ReplicaWorld group(3, 21);
  group.start_all();
  const size_t leader = group.elect();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(group.propose(leader, "before").has_value());
  const size_t dead = other_than(group, leader);
  group.crash(dead);
  const size_t fresh = group.join();
  ASSERT_EQ(fresh, 4U);
  EXPECT_FALSE(group.configuration(fresh).is_member(NodeId(fresh)));

  ASSERT_TRUE(change_when_ready(group, {.add = {{NodeId(fresh), group.address_of(fresh)}}}).has_value());
  ASSERT_TRUE(change_when_ready(group, {.promote = nodes({fresh})}).has_value());
  ASSERT_TRUE(change_when_ready(group, {.remove = nodes({dead})}).has_value());
  EXPECT_TRUE(group.configuration(group.leader()).is_voter(NodeId(fresh)));
  EXPECT_FALSE(group.configuration(group.leader()).is_member(NodeId(dead)));

  // Of three voters the new one is now one: with it, one of the old ones suffices.
  const size_t lost = 6 - leader - dead;
  group.crash(lost);
  ASSERT_TRUE(group.propose(group.elect(), "after").has_value());
  ASSERT_TRUE(group.start(lost).has_value());
  EXPECT_TRUE(group.converge());
  EXPECT_EQ(group.program(fresh)->machine().commands().front(), "") << "the no-op of the first leader";
}

TEST(ReplicaMembership, AMemberKnowsTheOthersFromItsLogWhenItStartsAgain) {
  ReplicaWorld group(1, 22);
  group.start_all();
  ASSERT_EQ(group.elect(), 1U);
  for (size_t i = 0; i < 2; ++i) {
    const size_t fresh = group.join();
    ASSERT_TRUE(change_when_ready(group, {.add = {{NodeId(fresh), group.address_of(fresh)}}}).has_value());
    ASSERT_TRUE(change_when_ready(group, {.promote = nodes({fresh})}).has_value());
  }
  // Node 1 is told of itself only, nodes 2 and 3 of node 1 only: the rest is in their logs.
  for (const size_t i : {1, 2, 3}) group.crash(i);
  for (const size_t i : {2, 3}) ASSERT_TRUE(group.start(i).has_value());
  ASSERT_NE(group.elect(), 0U);
  EXPECT_EQ(group.configuration(2).voters, nodes({1, 2, 3}));
  EXPECT_TRUE(group.propose(group.leader(), "without node 1").has_value());
  ASSERT_TRUE(group.start(1).has_value());
  EXPECT_TRUE(group.converge());
}

// It finds nobody in its log who is left, so it can only answer those who say where they are. (Found by the simulator,
// members_change with seed 118: the group had lost its majority for ever.)
TEST(ReplicaMembership, AMemberThatWasAwayWhileAllOthersWereReplacedTakesPartAgain) {
  ReplicaWorld group(3, 29);
  group.start_all();
  const size_t away = other_than(group, group.elect());
  group.crash(away);
  for (const size_t old : {1, 2, 3}) {
    if (old == away) continue;
    const size_t fresh = group.join();
    ASSERT_TRUE(change_when_ready(group, {.add = {{NodeId(fresh), group.address_of(fresh)}}}).has_value());
    ASSERT_TRUE(change_when_ready(group, {.promote = nodes({fresh}), .remove = nodes({old})}).has_value());
    group.crash(old);
  }
  ASSERT_TRUE(group.start(away).has_value());
  EXPECT_TRUE(group.converge());
  // Without its vote and its log there is no majority.
  group.crash(group.elect());
  ASSERT_NE(group.elect(), 0U);
  EXPECT_TRUE(group.propose(group.leader(), "with the one who was away").has_value());
}

TEST(ReplicaMembership, ANodeThatIsAddedNeedNotKnowTheLeader) {
  ReplicaWorld group(1, 30);
  group.start_all();
  for (int i = 0; i < 3; ++i) {
    // Started with the address of node 1 alone, which the second change removes.
    const size_t fresh = group.join();
    ASSERT_TRUE(change_when_ready(group, {.add = {{NodeId(fresh), group.address_of(fresh)}}}).has_value());
    ASSERT_TRUE(change_when_ready(group, {.promote = nodes({fresh})}).has_value());
    if (i == 1) {
      ASSERT_TRUE(change_when_ready(group, {.remove = nodes({1})}).has_value());
      group.crash(1);
    }
  }
  EXPECT_TRUE(group.converge());
}

TEST(ReplicaMembership, AChangeIsTheSameWhenItIsAskedForAgain) {
  ReplicaWorld group(3, 23);
  group.start_all();
  const size_t leader = group.elect();
  const size_t fresh = group.join();
  const raft::MembershipChange add{.add = {{NodeId(fresh), group.address_of(fresh)}}};
  ASSERT_TRUE(change_when_ready(group, add).has_value());
  EXPECT_TRUE(group.change(leader, add).has_value());
  const Status elsewhere = group.change(leader, {.add = {{NodeId(leader), Address{"another"}}}});
  EXPECT_EQ(code_of(elsewhere), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(group.change(other_than(group, leader), add)), ErrorCode::kNotLeader);
}

TEST(ReplicaMembership, ALearnerThatWasAddedAtAWrongAddressIsFoundAtTheRightOne) {
  ReplicaWorld group(3, 26);
  group.start_all();
  group.elect();
  const size_t fresh = group.join();
  ASSERT_TRUE(change_when_ready(group, {.add = {{NodeId(fresh), Address{"another"}}}}).has_value());
  ASSERT_TRUE(change_when_ready(group, {.add = {{NodeId(fresh), group.address_of(fresh)}}}).has_value());
  EXPECT_TRUE(change_when_ready(group, {.promote = nodes({fresh})}).has_value());
  EXPECT_TRUE(group.converge());
}

TEST(ReplicaMembership, AChangeThatCannotBeCommittedHasAnUnknownOutcome) {
  ReplicaWorld group(3, 24);
  group.start_all();
  const size_t leader = group.elect();
  ASSERT_TRUE(group.propose(leader, "x").has_value());
  group.isolate(leader);
  const Status status = group.change(leader, {.demote = nodes({other_than(group, leader)})}, milliseconds(200));
  EXPECT_EQ(code_of(status), ErrorCode::kOutcomeUnknown);
  group.reconnect(leader);
  EXPECT_TRUE(group.converge());
}

// The commit index is behind its entry then, but another entry has its place. (Found by the simulator, members_change with
// seed 326: the operator was told that it was done.)
TEST(ReplicaMembership, AChangeThatASnapshotReplacesIsNotAcknowledged) {
  ReplicaWorld group(3, 31);
  group.log = {{SIZE_MAX, 10}, {SIZE_MAX, 20}};
  group.start_all();
  const size_t deposed = group.elect();
  const size_t demoted = other_than(group, deposed);
  ASSERT_TRUE(group.propose(deposed, "before").has_value());
  group.isolate(deposed);
  std::optional<Status> outcome;
  const auto ask = [](Replica& replica, NodeId whom, MonoTime deadline, std::optional<Status>& status) -> Task<void> {
    raft::MembershipChange change{.demote = {whom}};
    status = co_await replica.change_membership(std::move(change), deadline);
  };
  group.world().spawn(group.node(deposed), ask(group.program(deposed)->replica(), NodeId(demoted),
                                               group.deadline(deposed, seconds(60)), outcome));
  ASSERT_TRUE(group.world().run_until([&] { return group.leader() != 0 && group.leader() != deposed; }, seconds(30)));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(group.propose(group.leader(), "meanwhile").has_value());
  EXPECT_FALSE(outcome.has_value());
  group.reconnect(deposed);
  ASSERT_TRUE(group.converge());
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(code_of(*outcome), ErrorCode::kOutcomeUnknown);
  EXPECT_TRUE(group.configuration(deposed).is_voter(NodeId(demoted)));
}

TEST(ReplicaTransfer, LeadershipIsHandedOverWithoutLosingAnAnswer) {
  ReplicaWorld group(3, 25);
  group.start_all();
  const size_t leader = group.elect();
  const size_t target = other_than(group, leader);
  const Term term = group.program(leader)->replica().status().term;
  // Commands that are under way when the transfer begins are committed first, and answered.
  std::vector<std::string> answers;
  const auto ask = [](Replica& replica, MonoTime deadline, std::vector<std::string>& to) -> Task<void> {
    const Result<std::string> reply = co_await replica.propose("x", deadline);
    to.push_back(reply ? "answered" : reply.error().to_string());
  };
  for (int i = 0; i < 20; ++i) {
    group.world().spawn(group.node(leader),
                        ask(group.program(leader)->replica(), group.deadline(leader, seconds(5)), answers));
  }
  group.world().run_until([] { return false; }, microseconds(10));
  ASSERT_TRUE(group.transfer(leader, NodeId(target)).has_value());
  ASSERT_TRUE(group.world().run_until([&] { return group.leader() == target; }, seconds(5)));
  EXPECT_EQ(group.program(target)->replica().status().term, term.next());
  ASSERT_TRUE(group.world().run_until([&] { return answers.size() == 20; }, seconds(5)));
  for (const std::string& answer : answers) EXPECT_THAT(answer, testing::AnyOf("answered", HasSubstr("busy")));
  EXPECT_TRUE(group.converge());
}

TEST(ReplicaTransfer, WithoutATargetTheBestVoterIsChosen) {
  ReplicaWorld group(3, 26);
  group.start_all();
  const size_t leader = group.elect();
  const size_t behind = other_than(group, leader);
  group.crash(behind);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(group.propose(leader, "x").has_value());
  group.world().run_until([] { return false; }, seconds(1));
  ASSERT_TRUE(group.transfer(leader, NodeId()).has_value());
  EXPECT_EQ(group.elect(), 6 - leader - behind);
}

// --- Slow members ---------------------------------------------------------------------------------------------------

// How long 50 commands, one after the other, take in a group of which node `slow` (0: none) has a slow disk.
Duration time_of_commands(size_t slow) {
  ReplicaWorld group(3, 27);
  if (slow != 0) group.slow_disks[slow] = milliseconds(200);
  group.start_all();
  group.elect();
  // Not the slow one, which would lead no better than it writes.
  for (int i = 0; i < 20 && group.leader() == slow; ++i) {
    (void)group.transfer(slow, NodeId());
    group.world().run_until([&] { return group.leader() != slow; }, seconds(5));
  }
  const size_t leader = group.elect();
  DOGFS_CHECK(group.propose(leader, "warm").has_value());
  const auto begin = group.world().now();
  for (int i = 0; i < 50; ++i) DOGFS_CHECK(group.propose(leader, "x").has_value());
  return group.world().now() - begin;
}

TEST(ReplicaLimits, AFollowerWithASlowDiskDoesNotSlowTheGroup) {
  const Duration alone = time_of_commands(0);
  EXPECT_LT(time_of_commands(3), 2 * alone) << "virtual time";
}

TEST(ReplicaLimits, ALeaderWhoseDiskHangsIsReplaced) {
  ReplicaWorld group(3, 29);
  group.start_all();
  const size_t first = group.elect();
  ASSERT_TRUE(group.propose(first, "before").has_value());
  const sim::DiskTrouble hangs{.delay_min = seconds(1000), .delay_max = seconds(1000)};
  group.node(first).kv_disk()->begin_trouble(hangs);
  EXPECT_FALSE(group.propose(first, "hangs", seconds(2)).has_value());
  const auto replaced = [&] { return group.leader() != 0 && group.leader() != first; };
  ASSERT_TRUE(group.world().run_until(replaced, seconds(10)));
  EXPECT_TRUE(group.propose(group.elect(), "behind").has_value());
  EXPECT_NE(group.leader(), first);
}

TEST(ReplicaLimits, CommandsThatExceedWhatMayBeUncommittedAreRefusedAtOnceAndSucceedWhenAskedAgain) {
  ReplicaWorld group(3, 28);
  group.start_all();
  const size_t leader = group.elect();
  for (size_t i = 1; i <= 3; ++i) {
    if (i != leader) group.isolate(i);
  }
  std::map<ErrorCode, int> answers;
  const auto ask = [](Replica& replica, MonoTime deadline, std::map<ErrorCode, int>& to) -> Task<void> {
    ++to[code_of(co_await replica.propose(std::string(kMaxCommandBytes, 'x'), deadline))];
  };
  constexpr int kCommands = 80;
  for (int i = 0; i < kCommands; ++i) {
    group.world().spawn(group.node(leader),
                        ask(group.program(leader)->replica(), group.deadline(leader, milliseconds(150)), answers));
  }
  group.world().run_until([] { return false; }, milliseconds(20));
  const int refused = answers[ErrorCode::kOverloaded];
  EXPECT_GE(refused, kCommands - static_cast<int>(kMaxUncommittedBytes / kMaxCommandBytes));
  EXPECT_LT(refused, kCommands) << "only what is too much";
  for (size_t i = 1; i <= 3; ++i) {
    if (i != leader) group.reconnect(i);
  }
  ASSERT_TRUE(group.world().run_until(
      [&] {
        int ended = 0;
        for (const auto& [code, count] : answers) ended += count;
        return ended == kCommands;
      },
      seconds(10)));
  EXPECT_TRUE(group.propose(group.elect(), "again").has_value());
}

}  // namespace
}  // namespace dogfs
