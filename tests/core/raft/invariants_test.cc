// The checks themselves: each is shown a history that breaks what it guards.
#include "core/raft/invariants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dogfs::raft {
namespace {

using testing::HasSubstr;
using testing::Optional;

Log log_of(const std::vector<uint64_t>& terms, const std::string& command = "c", bool durable = true) {
  const Configuration voters =
      initial_configuration({{NodeId(1), {}}, {NodeId(2), {}}, {NodeId(3), {}}, {NodeId(4), {}}, {NodeId(5), {}}});
  Log log(TermRuns(), LogSizes(), {}, SIZE_MAX, ConfigurationHistory({LogIndex(), voters}));
  for (const uint64_t term : terms) {
    log.append(
        Entry{log.last_index().next(), Term(term), EntryType::kCommand, std::make_shared<const std::string>(command)});
  }
  if (durable && log.has_unstable()) {
    log.take_unstable(1);
    log.persisted(1);
  }
  return log;
}

NodeView follower(uint64_t node, uint64_t term, const Log& log, uint64_t commit = 0) {
  NodeView view;
  view.node = NodeId(node);
  view.term = Term(term);
  view.commit = LogIndex(commit);
  view.log = &log;
  return view;
}

NodeView leader(uint64_t node, uint64_t term, const Log& log, uint64_t commit = 0) {
  NodeView view = follower(node, term, log, commit);
  view.role = RaftRole::kLeader;
  view.leader = view.node;
  view.voted_for = view.node;
  return view;
}

TEST(Invariants, AHealthyGroupPasses) {
  const Log a = log_of({1, 1, 2});
  const Log b = log_of({1, 1});
  SafetyHistory history;
  EXPECT_EQ(history.observe({leader(1, 2, a, 3), follower(2, 2, b, 1)}), std::nullopt);
  EXPECT_EQ(history.committed(), LogIndex(3));
}

TEST(Invariants, NodesThatContradictThemselvesAreFound) {
  const Log log = log_of({1, 2});
  const Log unsynced = log_of({1, 2}, "c", false);
  EXPECT_THAT(check_node(follower(1, 1, log)), Optional(HasSubstr("later term")));
  EXPECT_THAT(check_node(follower(1, 2, log, 3)), Optional(HasSubstr("committed beyond the log")));
  NodeView view = follower(1, 2, log, 1);
  view.applied = LogIndex(2);
  EXPECT_THAT(check_node(view), Optional(HasSubstr("beyond what is committed")));
  view = follower(1, 2, unsynced, 2);
  view.applied = LogIndex(1);
  EXPECT_THAT(check_node(view), Optional(HasSubstr("beyond what is durable")));
  view = leader(1, 2, log);
  view.voted_for = NodeId(2);
  EXPECT_THAT(check_node(view), Optional(HasSubstr("voted for another")));
}

TEST(Invariants, TwoLeadersOfATermAreFoundAlsoOverTime) {
  const Log log = log_of({1});
  SafetyHistory history;
  EXPECT_EQ(history.observe({leader(1, 3, log)}), std::nullopt);
  EXPECT_THAT(history.observe({leader(2, 3, log)}), Optional(HasSubstr("both led term 3")));
}

TEST(Invariants, LogsThatShareAnEntryButNotItsPastAreFound) {
  const auto matching = [](const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
    const Log log_a = log_of(a);
    const Log log_b = log_of(b);
    return !check_log_matching(follower(1, 9, log_a), follower(2, 9, log_b)) &&
           !check_log_matching(follower(2, 9, log_b), follower(1, 9, log_a));
  };
  EXPECT_TRUE(matching({1, 1, 2}, {1, 1, 2, 3}));
  EXPECT_TRUE(matching({1, 1, 2, 2}, {1, 1, 3, 3}));
  EXPECT_TRUE(matching({1, 2, 2}, {1, 1, 1}));
  EXPECT_TRUE(matching({}, {1}));
  EXPECT_FALSE(matching({1, 1, 3}, {1, 2, 3}));
  EXPECT_FALSE(matching({1, 3, 3}, {2, 2, 3}));
  EXPECT_FALSE(matching({1, 1, 1, 4}, {1, 2, 2, 4}));
}

TEST(Invariants, CompactedLogsAreComparedWhereBothAreKnown) {
  const auto compacted = [](const std::vector<uint64_t>& terms, uint64_t to) {
    Log log = log_of(terms);
    log.compact_to(LogIndex(to));
    return log;
  };
  const Log whole = log_of({1, 1, 2, 3});
  const Log other = log_of({1, 1, 3, 3});
  for (uint64_t to = 0; to <= 4; ++to) {
    const Log same = compacted({1, 1, 2, 3}, to);
    EXPECT_EQ(check_log_matching(follower(1, 9, whole), follower(2, 9, same)), std::nullopt);
    EXPECT_EQ(check_log_matching(follower(1, 9, same), follower(2, 9, whole)), std::nullopt);
    const bool difference_is_known = to <= 3;
    EXPECT_EQ(check_log_matching(follower(1, 9, other), follower(2, 9, same)).has_value(), difference_is_known);
  }
}

TEST(Invariants, CompactionOfWhatIsStillNeededIsFound) {
  Log log = log_of({1, 1, 1});
  log.compact_to(LogIndex(2));
  NodeView view = follower(1, 1, log, 1);
  EXPECT_THAT(check_node(view), Optional(HasSubstr("compacted beyond what is committed")));
  view.commit = LogIndex(3);
  view.durable_state = LogIndex(1);
  EXPECT_THAT(check_node(view), Optional(HasSubstr("compacted beyond the durable state")));
  view.durable_state = LogIndex(2);
  EXPECT_EQ(check_node(view), std::nullopt);
  EXPECT_THAT(SafetyHistory().observe({view}), Optional(HasSubstr("begins behind 2/1 uncommitted")));
}

TEST(Invariants, StepsBackAreFound) {
  const Log before = log_of({1, 1});
  const Log replaced = log_of({1, 2});
  NodeView view = follower(1, 2, before, 2);
  view.voted_for = NodeId(3);
  const NodeSnapshot snapshot = snapshot_of(view);
  EXPECT_EQ(check_step(snapshot, view), std::nullopt);
  EXPECT_THAT(check_step(snapshot, follower(1, 1, before, 2)), Optional(HasSubstr("term went back")));
  EXPECT_THAT(check_step(snapshot, follower(1, 3, before, 1)), Optional(HasSubstr("commit index went back")));
  EXPECT_THAT(check_step(snapshot, follower(1, 3, replaced, 2)), Optional(HasSubstr("truncated")));
  NodeView other_vote = view;
  other_vote.voted_for = NodeId(2);
  EXPECT_THAT(check_step(snapshot, other_vote), Optional(HasSubstr("vote changed")));
  EXPECT_THAT(check_step(snapshot_of(leader(1, 2, before)), leader(1, 2, replaced)),
              Optional(HasSubstr("leader truncated")));
}

TEST(Invariants, WhatADiskMustHaveKeptOverARestartIsMissed) {
  const Log log = log_of({1, 2});
  const Log shorter = log_of({1});
  const NodeSnapshot led = snapshot_of(leader(1, 2, log));
  NodeView again = follower(1, 2, log);
  again.voted_for = NodeId(1);
  EXPECT_EQ(check_restart(led, again), std::nullopt);
  EXPECT_EQ(check_restart(led, follower(1, 3, log)), std::nullopt);
  EXPECT_THAT(check_restart(led, follower(1, 1, log)), Optional(HasSubstr("term that it led is forgotten")));
  EXPECT_THAT(check_restart(led, follower(1, 2, log)), Optional(HasSubstr("vote for itself is forgotten")));
  EXPECT_THAT(check_restart(snapshot_of(follower(1, 2, log)), follower(1, 2, shorter)),
              Optional(HasSubstr("durable entries are gone")));
  EXPECT_EQ(check_restart(snapshot_of(follower(1, 2, log_of({1, 2}, "c", false))), follower(1, 2, shorter)),
            std::nullopt)
      << "what was never synced may be gone";
  NodeView other_disk = follower(1, 0, log_of({}));
  other_disk.store = StoreId(7);
  EXPECT_EQ(check_restart(led, other_disk), std::nullopt);
}

TEST(Invariants, ARestartIsComparedOnce) {
  const Log log = log_of({1, 2});
  SafetyHistory history;
  ASSERT_EQ(history.observe({leader(1, 2, log)}), std::nullopt);
  history.restarted(NodeId(1));
  EXPECT_THAT(history.observe({follower(1, 1, log_of({1}))}), Optional(HasSubstr("durable entries are gone")));
}

TEST(Invariants, ALeaderThatCountsAnOlderTermIsFound) {
  const Log log = log_of({1, 1, 2});
  NodeView view = leader(1, 2, log);
  const NodeSnapshot before = snapshot_of(view);
  view.commit = LogIndex(3);
  EXPECT_EQ(check_step(before, view), std::nullopt);
  view.commit = LogIndex(2);
  EXPECT_THAT(check_step(before, view), Optional(HasSubstr("older term")));
}

TEST(Invariants, DifferentCommitsAtAnIndexAreFound) {
  const Log a = log_of({1, 1});
  const Log b = log_of({1, 2});
  const Log other_command = log_of({1, 1}, "other");
  SafetyHistory by_term;
  EXPECT_EQ(by_term.observe({follower(1, 2, a, 2)}), std::nullopt);
  EXPECT_THAT(by_term.observe({follower(2, 2, b, 2)}), Optional(HasSubstr("committed an entry of term 1")));
  SafetyHistory by_command;
  EXPECT_EQ(by_command.observe({follower(1, 2, a, 2)}), std::nullopt);
  EXPECT_THAT(by_command.observe({follower(2, 2, other_command, 2)}), Optional(HasSubstr("another entry")));
}

TEST(Invariants, ALeaderWithoutACommittedEntryIsFound) {
  const Log full = log_of({1, 1});
  const Log lacking = log_of({1});
  SafetyHistory history;
  EXPECT_EQ(history.observe({leader(1, 1, full, 2)}), std::nullopt);
  EXPECT_THAT(history.observe({leader(2, 2, lacking)}), Optional(HasSubstr("leads term 2 without entry 2/1")));
}

}  // namespace
}  // namespace dogfs::raft
