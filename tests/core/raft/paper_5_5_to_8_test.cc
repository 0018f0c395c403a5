// The Raft paper, rule by rule: crashes and timing (5.5, 5.6), membership (6), snapshots (7, with figure 13) and
// clients (8). paper_5_1_and_5_2_test.cc says which other chapters there are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/raft/member.h"

namespace dogfs::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// --- 5.5: followers and candidates that crash -----------------------------------------------------------------------
// An append whose answer does not come is sent again: 5.3, AFollowerIsSentWhatItLacksUntilItHasIt. What is forgotten in
// a crash, and what is not: thesis, 3.8.

TEST(Section5_5, WhoDoesNotGiveItsVoteIsAskedAgain) {
  Member candidate;
  candidate.become_candidate();
  candidate.sent();
  candidate.wait(seconds(1));
  candidate.tick();
  EXPECT_THAT(of_kind(MessageKind::kPreVote, candidate.sent()), SizeIs(2));
  candidate.step(candidate.message(MessageKind::kPreVoteReply, 2, 2));
  const std::vector<Message> requests = of_kind(MessageKind::kVote, candidate.sent());
  ASSERT_THAT(requests, SizeIs(2));
  for (const Message& each : requests) EXPECT_EQ(each.term, Term(2));
}

TEST(Section5_5, AnAppendThatComesAgainChangesNothing) {
  Member member;
  member.step(append(member, 1, at(0, 0), {1, 1}));
  member.sent();
  for (const std::vector<uint64_t>& entries : {std::vector<uint64_t>{1, 1}, {1}, {}}) {
    member.receive(append(member, 1, at(0, 0), entries));
    EXPECT_FALSE(member.effects().persist.has_value()) << "nothing to write";
    EXPECT_EQ(member.raft().log().last(), at(2, 1)) << "what lies behind an old append is not cut off";
    const std::vector<Message> sent = member.sent();
    ASSERT_THAT(sent, SizeIs(1));
    EXPECT_EQ(sent[0].log.index, LogIndex(entries.size())) << "nor acknowledged by it";
  }
}

// That a vote may be asked for again: 5.2, AVoteIsGrantedOnceATerm.

// --- 5.6: timing ----------------------------------------------------------------------------------------------------
// That nothing wrong happens whatever the timing: random_cluster_test.cc, whose clocks do as they like.

TEST(Section5_6, AnElectionTimeoutSpansSeveralHeartbeats) {
  MemberSetup setup;
  setup.options.heartbeat_interval = milliseconds(100);
  setup.options.election_timeout = milliseconds(300);
  const Member in_time(setup);
  setup.options.heartbeat_interval = milliseconds(101);
  EXPECT_DEATH({ const Member too_late(setup); }, "invariant broken");
}

// --- 6: changes of membership ---------------------------------------------------------------------------------------
// Joint consensus and what surrounds it: membership_test.cc (thesis, chapter 4) and thesis_3_and_4_test.cc, with the
// rules by which one configuration follows another in configuration_test.cc; testdata/joint_*.txt, remove_leader.txt.

// --- 7: figure 13, InstallSnapshot, the receiver --------------------------------------------------------------------
// How a leader comes to send one, and goes on behind it: testdata/snapshot.txt; with stores: replica_snapshot_test.cc.
// When a log is compacted: compaction_test.cc.

TEST(Figure13, ASnapshotOfAnOldTermIsRejectedWithTheNewTerm) {
  Member member({.term = 4});
  member.step(snapshot_part(member, 3, at(5, 3), 0, true));
  EXPECT_FALSE(member.effects().stage.has_value());
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_TRUE(sent[0].reject);
  EXPECT_EQ(sent[0].term, Term(4));
}

TEST(Figure13, ASnapshotIsASignOfLifeOfItsLeader) {
  Member member({.term = 2});
  member.wait(member.until_deadline());
  member.step(snapshot_part(member, 2, at(5, 2), 0, false));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(member.raft().leader(), NodeId(2));
}

// Which part the member asks for; none where it says nothing.
std::optional<uint64_t> wanted(Member& member) {
  const std::vector<Message> replies = of_kind(MessageKind::kSnapshotReply, member.sent());
  return replies.empty() ? std::nullopt : std::optional(replies.back().next_chunk);
}

TEST(Figure13, PartsAreTakenInTheirOrderAndEachIsAnsweredWhenItIsDurable) {
  Member member;
  member.step(snapshot_part(member, 1, at(5, 1), 1, false));
  EXPECT_EQ(wanted(member), 0U) << "the first part is missing";
  member.step(snapshot_part(member, 1, at(5, 1), 0, false));
  EXPECT_EQ(wanted(member), std::nullopt);
  member.stage();
  EXPECT_EQ(wanted(member), 1U);
  member.step(snapshot_part(member, 1, at(5, 1), 2, true));
  EXPECT_EQ(wanted(member), 1U);
  EXPECT_FALSE(member.effects().stage.has_value());
  member.step(snapshot_part(member, 1, at(5, 1), 0, false));
  EXPECT_EQ(wanted(member), 1U) << "a part that comes again is not taken again";
  EXPECT_FALSE(member.effects().stage.has_value());
  member.step(snapshot_part(member, 1, at(5, 1), 1, false));
  EXPECT_TRUE(member.effects().stage.has_value());
}

TEST(Figure13, ALaterSnapshotTakesThePlaceOfAnEarlierAndNotTheOtherWayRound) {
  Member member;
  const Message earlier = snapshot_part(member, 1, at(5, 1), 0, false);
  Message later = snapshot_part(member, 1, at(8, 1), 0, false);
  later.snapshot = 2;
  member.step(earlier);
  member.step(later);
  ASSERT_TRUE(member.effects().stage.has_value());
  EXPECT_EQ(member.effects().stage->snapshot.position, at(8, 1));
  member.stage();
  member.step(earlier);
  EXPECT_FALSE(member.effects().stage.has_value());
  later.chunk = snapshot_part(member, 1, at(8, 1), 1, true).chunk;
  member.step(later);
  EXPECT_TRUE(member.effects().stage.has_value()) << "what it had of the later one is still there";
}

TEST(Figure13, ALogThatHasTheLastIncludedEntryIsKeptWithWhatFollows) {
  Member member({.log = {1, 1, 1}});
  member.step(snapshot_part(member, 1, at(2, 1), 0, true));
  EXPECT_FALSE(member.effects().stage.has_value());
  EXPECT_EQ(member.raft().log().last(), at(3, 1));
  EXPECT_EQ(member.raft().commit(), LogIndex(2)) << "what is in a snapshot is committed";
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].kind, MessageKind::kAppendReply);
  EXPECT_EQ(sent[0].log.index, LogIndex(2));
}

// A follower with a log of `terms` that is sent a snapshot up to `position` in term 3, which is not in place yet.
class Sent : public Member {
 public:
  Sent(const std::vector<uint64_t>& terms, LogPosition position) : Member({.log = terms, .term = 3}) {
    step(snapshot_part(*this, 3, position, 0, true));
    stage();
  }
};

TEST(Figure13, ALogWithoutTheLastIncludedEntryIsDiscardedAsAWhole) {
  const std::vector<uint64_t> contradicting = {1, 1, 1, 1, 1};
  const std::vector<uint64_t> too_short = {1, 1};
  for (const std::vector<uint64_t>& terms : {contradicting, too_short}) {
    Sent member(terms, at(3, 2));
    EXPECT_EQ(member.raft().log().last(), at(3, 2)) << "also what lay behind (hashicorp/raft #697)";
    EXPECT_EQ(member.raft().log().first_index(), LogIndex(4));
    EXPECT_EQ(member.raft().commit(), LogIndex(3));
    ASSERT_TRUE(member.effects().persist.has_value());
    EXPECT_EQ(member.effects().persist->truncate_from, LogIndex(1));
    EXPECT_EQ(member.effects().persist->install, at(3, 2));
    EXPECT_THAT(of_kind(MessageKind::kAppendReply, member.sent()), IsEmpty());
    member.persist();
    EXPECT_THAT(of_kind(MessageKind::kAppendReply, member.sent()), SizeIs(1));
  }
}

TEST(Figure13, TheSnapshotsStateTakesThePlaceOfTheMachinesBeforeAnythingIsApplied) {
  Sent member({1, 1}, at(3, 2));
  member.persist();
  member.step(append(member, 3, at(3, 2), {3}, 4));
  EXPECT_EQ(member.raft().commit(), LogIndex(4));
  EXPECT_THAT(member.effects().committed, IsEmpty());
  member.install();
  EXPECT_EQ(member.raft().applied(), LogIndex(3));
  ASSERT_THAT(member.effects().committed, SizeIs(1));
  EXPECT_EQ(member.effects().committed[0].index, LogIndex(4));
}

TEST(Figure13, TheSnapshotsConfigurationIsInEffect) {
  Sent member({1, 1}, at(3, 2));
  EXPECT_THAT(member.raft().configuration().voters, SizeIs(5));
  member.persist();
  member.install();
  member.wait(seconds(1));
  member.sent();
  member.tick();
  EXPECT_THAT(of_kind(MessageKind::kPreVote, member.sent()), SizeIs(4));
}

// The term of the last included entry is kept for this.
TEST(Section7, AppendsAndVotesAreJudgedBehindASnapshotAsBehindAnEntry) {
  Sent member({1}, at(3, 2));
  member.persist();
  member.install();
  member.sent();
  member.step(append(member, 3, at(3, 1), {3}));
  EXPECT_TRUE(member.sent().back().reject);
  member.step(append(member, 3, at(3, 2), {3}));
  EXPECT_EQ(member.sent().back().log.index, LogIndex(4));

  Sent voter({1}, at(3, 2));
  voter.persist();
  voter.install();
  voter.wait(milliseconds(300));
  for (const auto& [log, granted] : {std::pair(at(2, 2), false), {at(9, 1), false}, {at(3, 2), true}}) {
    voter.step(vote_request(voter, 3, 4, log));
    EXPECT_EQ(!voter.sent().back().reject, granted);
  }
}

// --- 8: clients -----------------------------------------------------------------------------------------------------
// That a command runs once however often it is sent: tests/core/meta/session_test.cc, session_failover_test.cc. How a
// client finds its leader: tests/core/client/leader_finder_test.cc; replica_test.cc, AFollowerSendsCallersAway.

TEST(Section8, OnlyTheLeaderTakesCommandsAndReads) {
  Member member;
  member.step(heartbeat(member, 1));
  EXPECT_EQ(code_of(member.raft().propose({command_of("a")})), ErrorCode::kNotLeader);
  EXPECT_EQ(code_of(member.read(1)), ErrorCode::kNotLeader);
  EXPECT_EQ(member.raft().leader(), NodeId(2)) << "who to ask instead";
}

// Without it a leader does not know what its forerunners committed, and nothing of theirs ever commits (5.4.2).
TEST(Section8, ALeaderBeginsItsTermWithANoOp) {
  Member leader({.log = {1}});
  leader.become_leader();
  EXPECT_EQ(leader.raft().log().last(), at(2, 2));
  for (const Message& each : of_kind(MessageKind::kAppend, leader.sent())) {
    ASSERT_THAT(each.entries, SizeIs(1));
    EXPECT_EQ(each.entries[0].type, EntryType::kNoop);
    EXPECT_EQ(each.entries[0].term, Term(2));
  }
}

// The other precaution for reads, an exchange with a majority: thesis, 6.4.

}  // namespace
}  // namespace dogfs::raft
