// Lease reads: Ongaro's thesis, 6.4.1.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/raft/group.h"

namespace dogfs::raft {
namespace {

Options with_lease(Duration drift_bound) {
  Options options;
  options.lease_drift_bound = drift_bound;
  return options;
}

class LeasedGroup : public Group {
 public:
  explicit LeasedGroup(Duration drift_bound = milliseconds(50)) : Group(3, with_lease(drift_bound)) {
    live(milliseconds(200));
    for (auto& [id, each] : nodes()) each.reads.clear();
  }
  // Whether node 1 answers a read without a word to anybody.
  bool reads_at_once() {
    const size_t sent = network().size();
    const size_t answered = node(NodeId(1)).reads.size();
    read(NodeId(1), ++context_);
    return network().size() == sent && node(NodeId(1)).reads.size() == answered + 1;
  }

 private:
  uint64_t context_ = 0;
};

TEST(Thesis6_4_1, AReadUnderALeaseAsksNobody) {
  LeasedGroup group;
  ASSERT_EQ(group.leader(), NodeId(1));
  EXPECT_TRUE(group.reads_at_once());
  EXPECT_EQ(group.node(NodeId(1)).reads.back().index, group.raft(1).commit());
}

// The leader that it has outlived may have a lease still.
TEST(Thesis6_4_1, ASoleVoterThatStartsStandsAtOnceOnlyWithoutLeases) {
  for (const bool leases : {false, true}) {
    Group group(1, leases ? with_lease(milliseconds(50)) : Options());
    group.crash(NodeId(1), 0, group.raft(1).applied());
    group.restart(NodeId(1));
    group.tick(NodeId(1));
    group.settle();
    EXPECT_EQ(group.raft(1).role() == RaftRole::kLeader, !leases);
    group.live(seconds(1));
    EXPECT_EQ(group.leader(), NodeId(1));
  }
}

TEST(Thesis6_4_1, WithoutADriftBoundThereIsNoLease) {
  Group group(3);
  group.live(milliseconds(500));
  EXPECT_FALSE(group.raft(1).holds_lease());
  group.read(NodeId(1), 1);
  EXPECT_FALSE(group.network().empty());
}

TEST(Thesis6_4_1, TheLeaseEndsADriftBoundBeforeAVoterMayVoteForAnother) {
  LeasedGroup group(milliseconds(50));
  // The last heartbeat that was answered went out at most one interval ago: make it now.
  group.advance(milliseconds(50));
  group.tick(NodeId(1));
  group.settle();
  group.advance(milliseconds(249));
  group.raft(1).tick(group.now());
  EXPECT_TRUE(group.raft(1).holds_lease());
  group.advance(milliseconds(1));
  group.raft(1).tick(group.now());
  EXPECT_FALSE(group.raft(1).holds_lease());
}

TEST(Thesis6_4_1, NoLeaseBeforeTheTermHasCommitted) {
  LeasedGroup group;
  ASSERT_TRUE(group.raft(1).transfer_leadership(NodeId(2)).has_value());
  group.collect(NodeId(1));
  while (group.raft(2).role() != RaftRole::kLeader) {
    const Message message = group.network().front();
    group.network().pop_front();
    group.deliver(message);
    for (const uint64_t id : {1, 2, 3}) group.persist_all(NodeId(id));
  }
  // Heartbeats are answered, but no append.
  group.advance(milliseconds(60));
  group.tick(NodeId(2));
  const auto is_append = [](const Message& m) {
    return m.kind == MessageKind::kAppend || m.kind == MessageKind::kAppendReply;
  };
  while (!group.network().empty()) {
    const Message message = group.network().front();
    group.network().pop_front();
    if (!is_append(message)) group.deliver(message);
  }
  EXPECT_FALSE(group.raft(2).holds_lease());
  group.live(milliseconds(200));
  EXPECT_TRUE(group.raft(2).holds_lease());
}

TEST(Thesis6_4_1, ATransferEndsTheLeaseForTheWholeTermEvenWhenItIsGivenUp) {
  LeasedGroup group;
  ASSERT_TRUE(group.raft(1).transfer_leadership(NodeId(2)).has_value());
  group.collect(NodeId(1));
  Message word;
  for (const Message& message : group.network()) {
    if (message.kind == MessageKind::kTimeoutNow) word = message;
  }
  ASSERT_EQ(word.to, NodeId(2));
  const auto lose_the_word = [&] {
    std::erase_if(group.network(), [](const Message& m) { return m.kind == MessageKind::kTimeoutNow; });
  };
  for (int i = 0; i < 7; ++i) {
    lose_the_word();
    group.settle();
    group.advance(milliseconds(50));
    group.tick(NodeId(1));
  }
  lose_the_word();
  group.settle();
  ASSERT_EQ(group.raft(1).transfer_target(), NodeId());
  EXPECT_FALSE(group.raft(1).holds_lease()) << "the word may arrive yet";
  // It does, and the others follow node 2 while node 1 does not hear of it.
  group.deliver(word);
  std::erase_if(group.network(), [](const Message& m) { return m.to == NodeId(1); });
  group.settle();
  ASSERT_EQ(group.leader(), NodeId(2));
}

TEST(Thesis6_4_1, AVoterThatRestartedKeepsAPromiseThatItForgot) {
  LeasedGroup group;
  for (const uint64_t id : {2, 3}) {
    const LogIndex applied = group.raft(id).applied();
    group.crash(NodeId(id), 0, applied);
    group.restart(NodeId(id));
  }
  group.network().clear();
  ASSERT_TRUE(group.raft(1).holds_lease());
  group.campaign(NodeId(2));
  std::erase_if(group.network(), [](const Message& m) { return m.to == NodeId(1); });
  group.settle();
  EXPECT_NE(group.raft(2).role(), RaftRole::kLeader);
}

// Node 2 has heard the leader, then an old message tells it of a higher term, in which nobody has asked for its vote.
// Whether node 3, which asks for it in that term or `terms_later`, gets it.
bool votes_for_another(MessageKind kind, uint64_t terms_later) {
  LeasedGroup group;
  Message late;
  late.kind = MessageKind::kVoteReply;
  late.from = NodeId(3);
  late.to = NodeId(2);
  late.term = group.raft(2).term().next();
  late.reject = true;
  group.deliver(late);
  Message request;
  request.kind = kind;
  request.from = NodeId(3);
  request.to = NodeId(2);
  request.term = Term(late.term.value() + terms_later);
  request.log = LogPosition{LogIndex(99), late.term};
  group.persist_all(NodeId(2));
  group.network().clear();
  group.deliver(request);
  group.persist_all(NodeId(2));
  return std::ranges::any_of(group.network(), [](const Message& reply) { return !reply.reject; });
}

TEST(Thesis6_4_1, AVoterThatLearnsOfAHigherTermKeepsItsPromise) {
  for (const MessageKind kind : {MessageKind::kPreVote, MessageKind::kVote}) {
    EXPECT_FALSE(votes_for_another(kind, 1));
    // It is in that term already.
    EXPECT_FALSE(votes_for_another(kind, 0));
  }
}

// --- Clocks ---------------------------------------------------------------------------------------------------------

// A leader is cut off right after its heartbeat was answered. Its own clock stands still for `slow`, in comparison with
// those of the others. Whether it still answers a read when another leader has committed something that it lacks.
bool reads_stale(Duration drift_bound, Duration slow) {
  LeasedGroup group(drift_bound);
  group.advance(milliseconds(50));
  group.tick(NodeId(1));
  group.settle();
  const MonoTime heard = group.now();
  // The first moment at which the others may vote for another.
  group.advance(milliseconds(300));
  group.campaign(NodeId(2));
  const auto cut_off = [](const Message& m) { return m.to == NodeId(1) || m.from == NodeId(1); };
  for (int i = 0; i < 100; ++i) {
    std::erase_if(group.network(), cut_off);
    if (group.network().empty()) break;
    const Message message = group.network().front();
    group.network().pop_front();
    group.deliver(message);
    for (const uint64_t id : {2, 3}) group.persist_all(NodeId(id));
  }
  DOGFS_CHECK(group.raft(2).role() == RaftRole::kLeader && group.raft(2).commit() > group.raft(1).commit());
  group.raft(1).tick(heard + milliseconds(300) - slow);
  return group.raft(1).holds_lease();
}

TEST(Thesis6_4_1, AClockThatDriftsWithinTheBoundReadsNothingStale) {
  EXPECT_FALSE(reads_stale(milliseconds(50), milliseconds(0)));
  EXPECT_FALSE(reads_stale(milliseconds(50), milliseconds(50)));
  EXPECT_FALSE(reads_stale(milliseconds(0), milliseconds(0)));
}

// Not a feature: it shows what the bound is for, and that the test above would see it.
TEST(Thesis6_4_1, AClockThatDriftsBeyondTheBoundMayReadWhatIsStale) {
  EXPECT_TRUE(reads_stale(milliseconds(50), milliseconds(51)));
}

}  // namespace
}  // namespace dogfs::raft
