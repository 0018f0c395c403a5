// Ongaro's thesis, rule by rule: compaction (chapter 5) and clients (chapter 6). paper_5_1_and_5_2_test.cc says which
// other chapters there are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/raft/group.h"
#include "tests/core/raft/member.h"

namespace dogfs::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// --- 5: compaction --------------------------------------------------------------------------------------------------
// The follower's side is figure 13 of the paper: paper_5_5_to_8_test.cc. Parts that outlive a restart:
// snapshot_test.cc, testdata/snapshot_resumed.txt. Commands go on meanwhile (5.1.2): replica_snapshot_test.cc,
// testdata/snapshot.txt. When to compact (5.1.3), and what stays for slow followers: compaction_test.cc. Sessions in
// the state (5.1): tests/core/meta/session_failover_test.cc.

// A leader of six entries which are applied, and of the first of its term, which is not. It keeps two.
class Compacted : public Member {
 public:
  Compacted() : Member(setup()) { become_leader(); }
  // Follower 3 has nothing at all.
  void lacks_everything() {
    Message reply = message(MessageKind::kAppendReply, 3, raft().term().value());
    reply.reject = true;
    reply.log.index = LogIndex(6);
    step(reply);
  }

 private:
  static MemberSetup setup() {
    MemberSetup setup{.log = {1, 1, 1, 1, 1, 1}, .applied = 6};
    setup.options.compaction.keep.max_entries = 2;
    setup.options.compaction.hold.max_entries = 2;
    return setup;
  }
};

TEST(Thesis5, OnlyWhatTheStateMachineHasIsDroppedFromTheLog) {
  Compacted leader;
  EXPECT_EQ(leader.raft().log().base(), at(5, 1)) << "a tail of two stays";
  leader.acknowledge(2, 7);
  for (const char* command : {"a", "b", "c"}) leader.propose(command);
  ASSERT_EQ(leader.raft().log().last_index(), LogIndex(10));
  EXPECT_EQ(leader.raft().log().base(), at(6, 1)) << "entry 7 is committed, but not applied";
}

TEST(Thesis5, WhoLacksWhatWasDroppedIsSentTheState) {
  Compacted leader;
  leader.lacks_everything();
  ASSERT_THAT(leader.effects().snapshot_reads, SizeIs(1));
  EXPECT_EQ(leader.effects().snapshot_reads[0].peer, NodeId(3));
  leader.sent();
  leader.propose("a");
  for (const Message& each : leader.sent()) EXPECT_NE(each.to, NodeId(3)) << "no appends meanwhile";
}

// The state at the moment when its first part is read is what all of it is of, and what it says that it is of.
TEST(Thesis5, ASnapshotNamesTheLastEntryAndTheConfigurationThatAreInIt) {
  Compacted leader;
  leader.acknowledge(2, 7);
  ASSERT_TRUE(leader.raft().change_membership(add(4)).has_value());
  leader.gather();
  leader.persist();
  leader.lacks_everything();
  ASSERT_THAT(leader.effects().snapshot_reads, SizeIs(1));
  const SnapshotRead read = leader.effects().snapshot_reads[0];
  ASSERT_TRUE(leader.raft().snapshot_opened(read));
  leader.raft().applied(LogIndex(7));
  leader.sent();
  leader.raft().snapshot_read(read, "rows", false);
  leader.gather();
  const std::vector<Message> sent = leader.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].log, at(6, 1)) << "not entry 7, which was applied meanwhile";
  EXPECT_FALSE(sent[0].chunk->configuration.configuration.is_member(NodeId(4))) << "entry 8 is not in it";
}

// --- 6.1, 6.2: finding the leader -----------------------------------------------------------------------------------
// tests/core/client/leader_finder_test.cc; replica_test.cc, AFollowerSendsCallersAway; the paper's section 8.

TEST(Thesis6_2, ALeaderStepsDownWhenAMajorityIsSilent) {
  Member leader({.size = 5});
  leader.become_leader();
  for (int i = 0; i < 20; ++i) {
    leader.wait(milliseconds(50));
    for (const uint64_t voter : {2, 3}) leader.answer_heartbeat(voter);
    leader.tick();
  }
  EXPECT_EQ(leader.raft().role(), RaftRole::kLeader);
  for (int i = 0; i < 8; ++i) {
    leader.wait(milliseconds(50));
    leader.answer_heartbeat(2);
    leader.tick();
  }
  EXPECT_EQ(leader.raft().role(), RaftRole::kFollower) << "two of five are not enough";
}

// --- 6.3: sessions --------------------------------------------------------------------------------------------------
// tests/core/meta/session_test.cc, session_failover_test.cc; the client's side: tests/core/client/session_test.cc.

// --- 6.4: reads -----------------------------------------------------------------------------------------------------
// Rounds that many reads share: read_queue_test.cc, testdata/read_index.txt. That a read waits until its index is
// applied (step 4): replica_test.cc, AReadSeesWhatWasAcknowledgedBeforeIt. In a joint configuration:
// thesis_3_and_4_test.cc. Leases (6.4.1): lease_test.cc.

TEST(Thesis6_4, AReadWaitsForAnEntryOfTheLeadersTermAndForAMajority) {
  Member leader({.log = {1}});
  leader.become_leader();
  ASSERT_TRUE(leader.read(77).has_value());
  leader.answer_heartbeat(2);
  EXPECT_THAT(leader.effects().reads, IsEmpty()) << "nothing of term 2 is committed (etcd #7331)";
  leader.acknowledge(2, 2);
  EXPECT_THAT(leader.effects().reads, IsEmpty()) << "no round has been answered";
  leader.answer_heartbeat(2, 1);
  ASSERT_THAT(leader.effects().reads, SizeIs(1));
  EXPECT_EQ(leader.effects().reads[0].index, LogIndex(2));
  EXPECT_THAT(leader.effects().reads[0].contexts, ElementsAre(77));
}

TEST(Thesis6_4, AReadIsProvedByAMajorityOfAllVoters) {
  Member leader({.size = 5});
  leader.become_leader();
  for (const uint64_t follower : {2, 3}) leader.acknowledge(follower, 1);
  ASSERT_TRUE(leader.read(1).has_value());
  leader.answer_heartbeat(4, 1);
  leader.answer_heartbeat(4, 1);
  EXPECT_THAT(leader.effects().reads, IsEmpty()) << "an answer that comes twice counts once";
  leader.answer_heartbeat(5, 1);
  EXPECT_THAT(leader.effects().reads, SizeIs(1));
}

TEST(Thesis6_4, AnAnswerToARoundThatWasNotBegunProvesNothing) {
  Member leader;
  leader.become_leader();
  leader.acknowledge(2, 1);
  leader.answer_heartbeat(2, 9);
  ASSERT_TRUE(leader.read(1).has_value());
  EXPECT_THAT(leader.effects().reads, IsEmpty());
}

TEST(Thesis6_4, ALearnersAnswerProvesNothing) {
  Member leader;
  leader.become_leader();
  leader.acknowledge(2, 1);
  ASSERT_TRUE(leader.raft().change_membership(add(4)).has_value());
  leader.gather();
  leader.persist();
  leader.acknowledge(2, 2);
  ASSERT_TRUE(leader.read(1).has_value());
  leader.answer_heartbeat(4, 1);
  EXPECT_THAT(leader.effects().reads, IsEmpty());
  leader.answer_heartbeat(2, 1);
  EXPECT_THAT(leader.effects().reads, SizeIs(1));
}

TEST(Thesis6_4, ALoneVoterNeedsNobodysAnswer) {
  Member leader({.size = 1});
  leader.tick();
  leader.persist();
  ASSERT_EQ(leader.raft().role(), RaftRole::kLeader);
  ASSERT_TRUE(leader.read(1).has_value());
  EXPECT_THAT(leader.effects().reads, SizeIs(1));
}

TEST(Thesis6_4, ADeposedLeaderFailsItsReads) {
  Member leader;
  leader.become_leader();
  leader.acknowledge(2, 1);
  ASSERT_TRUE(leader.read(1).has_value());
  leader.step(append(leader, 9, at(0, 0), {}));
  EXPECT_THAT(leader.effects().failed_reads, ElementsAre(1));
  EXPECT_EQ(code_of(leader.read(2)), ErrorCode::kNotLeader);
}

}  // namespace
}  // namespace dogfs::raft
