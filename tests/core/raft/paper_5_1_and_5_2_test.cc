// The Raft paper, rule by rule: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
// Version)", 2014. (After etcd's raft_paper_test.go.) This chapter: terms (5.1), elections (5.2), and what figure 2
// says of them. The next are paper_5_3_and_5_4_test.cc and paper_5_5_to_8_test.cc; Ongaro's thesis is
// thesis_3_and_4_test.cc, thesis_5_and_6_test.cc and thesis_9_and_10_test.cc. A section that is held elsewhere says
// where.
//
// The same rules as stories of whole groups are in testdata/*.txt. That figure 3's properties (election safety, leader
// append-only, log matching, leader completeness, state machine safety) hold of all of them together is for
// random_cluster_test.cc, over schedules of every kind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/core/raft/member.h"

namespace dogfs::raft {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// --- 5.1: terms -----------------------------------------------------------------------------------------------------

TEST(Section5_1, EveryMessageCarriesItsSendersTerm) {
  Member leader({.term = 4});
  leader.become_leader();
  leader.acknowledge(2, 1);
  leader.wait(milliseconds(50));
  leader.tick();
  std::set<MessageKind> kinds;
  for (const Message& each : leader.sent()) {
    EXPECT_EQ(each.term, Term(5)) << "a PreVote carries the term that it asks for";
    kinds.insert(each.kind);
  }
  EXPECT_THAT(kinds, SizeIs(4)) << "PreVote, Vote, Append, Heartbeat";

  Member follower;
  follower.step(vote_request(follower, 2, 6, at(0, 0)));
  follower.step(append(follower, 6, at(0, 0), {6}));
  follower.step(append(follower, 6, at(5, 6), {6}));
  follower.step(heartbeat(follower, 6));
  const std::vector<Message> replies = follower.sent();
  EXPECT_THAT(replies, SizeIs(4));
  for (const Message& each : replies) EXPECT_EQ(each.term, Term(6));
}

// Figure 2, all servers: if a request or an answer has a higher term, adopt it and become follower.

TEST(Section5_1, AnyRoleFollowsAHigherTerm) {
  Member candidate({.term = 1});
  candidate.become_pre_candidate();
  candidate.step(append(candidate, 5, at(0, 0), {}));
  EXPECT_EQ(candidate.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(candidate.raft().term(), Term(5));
  EXPECT_EQ(candidate.raft().leader(), NodeId(2));

  Member leader;
  leader.become_leader();
  leader.step(append(leader, 9, at(0, 0), {}));
  EXPECT_EQ(leader.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(leader.raft().term(), Term(9));
}

TEST(Section5_1, AnAnswerOfAHigherTermEndsACandidacyAndALeadership) {
  Member candidate({.term = 1});
  candidate.become_candidate();
  candidate.step(candidate.message(MessageKind::kVoteReply, 3, 7));
  EXPECT_EQ(candidate.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(candidate.raft().term(), Term(7));

  for (const MessageKind kind :
       {MessageKind::kAppendReply, MessageKind::kHeartbeatReply, MessageKind::kSnapshotReply}) {
    Member leader;
    leader.become_leader();
    leader.step(leader.message(kind, 3, 7));
    EXPECT_EQ(leader.raft().role(), RaftRole::kFollower);
    EXPECT_EQ(leader.raft().term(), Term(7));
    EXPECT_TRUE(leader.raft().leader().is_none()) << "who answers does not lead";
    EXPECT_TRUE(leader.raft().voted_for().is_none()) << "nobody has its vote in the new term";
  }
}

// A request of a stale term is rejected: appends in 5.3, snapshots in figure 13.

TEST(Section5_1, AVoteOfAnOldTermIsNotGiven) {
  Member member({.term = 4});
  member.step(vote_request(member, 2, 3, at(0, 0)));
  EXPECT_TRUE(member.raft().voted_for().is_none());
  EXPECT_EQ(member.raft().term(), Term(4));
  EXPECT_THAT(member.sent(), IsEmpty()) << "it learns of term 4 with its next PreVote (thesis, 9.6)";
}

// --- 5.2: votes, and figure 2, RequestVote --------------------------------------------------------------------------

TEST(Section5_2, AVoteIsGrantedOnceATerm) {
  Member member({.term = 1});
  member.step(vote_request(member, 2, 2, at(0, 0)));
  EXPECT_FALSE(member.sent().back().reject);
  member.step(vote_request(member, 3, 2, at(0, 0)));
  EXPECT_TRUE(member.sent().back().reject);
  member.step(vote_request(member, 2, 2, at(0, 0)));
  EXPECT_FALSE(member.sent().back().reject) << "the same candidate may ask again";
}

TEST(Section5_2, AVoteIsRememberedOverARestart) {
  Member member({.term = 2, .vote = 3});
  member.step(vote_request(member, 2, 2, at(0, 0)));
  EXPECT_TRUE(member.sent().back().reject);
}

TEST(Section5_2, ACandidateKeepsItsVoteForItself) {
  Member candidate;
  candidate.become_candidate();
  candidate.sent();
  candidate.step(vote_request(candidate, 3, 1, at(9, 0)));
  EXPECT_TRUE(candidate.sent().back().reject);
}

TEST(Section5_2, VotesAndAppendsAreAnsweredAfterTheDiskHasThem) {
  Member member;
  member.receive(vote_request(member, 2, 1, at(0, 0)));
  EXPECT_THAT(member.sent(), IsEmpty());
  EXPECT_EQ(member.effects().persist->hard_state.voted_for, NodeId(2));
  member.persist();
  EXPECT_THAT(member.sent(), SizeIs(1));

  member.receive(append(member, 1, at(0, 0), {1}));
  EXPECT_THAT(member.sent(), IsEmpty());
  member.persist();
  EXPECT_THAT(member.sent(), SizeIs(1));
}

// --- 5.2: followers -------------------------------------------------------------------------------------------------

TEST(Section5_2, AServerBeginsAsAFollower) {
  Member new_one;
  EXPECT_EQ(new_one.raft().role(), RaftRole::kFollower);
  Member led_before_it_stopped({.log = {1, 2}, .term = 2, .vote = 1});
  EXPECT_EQ(led_before_it_stopped.raft().role(), RaftRole::kFollower);
  EXPECT_TRUE(led_before_it_stopped.raft().leader().is_none());
}

TEST(Section5_2, AFollowerStandsWhenItHearsNothingForItsTimeout) {
  Member member;
  member.wait(milliseconds(299));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
  member.wait(milliseconds(301));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

TEST(Section5_2, HeartbeatsKeepAFollowerQuiet) {
  Member member({.term = 1});
  for (int i = 0; i < 50; ++i) {
    member.step(heartbeat(member, 1));
    member.wait(milliseconds(250));
    member.tick();
    ASSERT_EQ(member.raft().role(), RaftRole::kFollower);
  }
}

TEST(Section5_2, AFollowerThatGivesItsVoteWaitsAnew) {
  Member member({.log = {1}, .term = 2});
  member.wait(member.until_deadline());
  member.step(vote_request(member, 2, 2, at(1, 1)));
  ASSERT_EQ(member.raft().voted_for(), NodeId(2));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
}

TEST(Section5_2, NeitherARefusedCandidateNorADeposedLeaderMakesAFollowerWait) {
  Member member({.log = {1}, .term = 2});
  member.wait(member.until_deadline());
  member.step(vote_request(member, 3, 2, at(0, 0)));
  ASSERT_TRUE(member.raft().voted_for().is_none());
  member.step(heartbeat(member, 1));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

// --- 5.2: candidates ------------------------------------------------------------------------------------------------

TEST(Section5_2, ACandidateIncrementsItsTermVotesForItselfAndAsksAll) {
  Member member({.log = {1}, .term = 4});
  member.become_pre_candidate();
  member.sent();
  member.step(member.message(MessageKind::kPreVoteReply, 2, 5));
  EXPECT_EQ(member.raft().role(), RaftRole::kCandidate);
  EXPECT_EQ(member.raft().term(), Term(5));
  EXPECT_EQ(member.raft().voted_for(), NodeId(1));
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(2));
  for (const Message& request : sent) {
    EXPECT_EQ(request.kind, MessageKind::kVote);
    EXPECT_EQ(request.log, at(1, 1));
  }
}

// What a majority is, of any number and of joint configurations: quorum_test.cc, configuration_test.cc.
TEST(Section5_2, AMajorityOfVotesWinsAndALeaderAnnouncesItself) {
  Member member({.size = 5});
  member.become_candidate();
  member.step(member.message(MessageKind::kVoteReply, 2, 1));
  member.step(member.message(MessageKind::kVoteReply, 2, 1));
  EXPECT_EQ(member.raft().role(), RaftRole::kCandidate) << "a vote that comes twice counts once";
  member.sent();
  member.step(member.message(MessageKind::kVoteReply, 3, 1));
  EXPECT_EQ(member.raft().role(), RaftRole::kLeader);
  const std::vector<Message> sent = member.sent();
  EXPECT_THAT(sent, SizeIs(4));
  for (const Message& each : sent) EXPECT_EQ(each.kind, MessageKind::kAppend);
}

TEST(Section5_2, ACandidateThatAMajorityRefusesIsAFollowerAgain) {
  Member member({.size = 5});
  member.become_candidate();
  Message refusal = member.message(MessageKind::kVoteReply, 2, 1);
  refusal.reject = true;
  for (const uint64_t voter : {2, 3, 4}) {
    EXPECT_EQ(member.raft().role(), RaftRole::kCandidate);
    refusal.from = NodeId(voter);
    member.step(refusal);
  }
  EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(member.raft().term(), Term(1));
}

TEST(Section5_2, ACandidateYieldsToALeaderOfItsTerm) {
  Member member;
  member.become_candidate();
  member.step(member.message(MessageKind::kHeartbeat, 3, 1));
  EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(member.raft().leader(), NodeId(3));
}

TEST(Section5_2, ACandidateDoesNotYieldToALeaderOfAnOlderTerm) {
  Member member({.term = 4});
  member.become_candidate();
  member.step(member.message(MessageKind::kHeartbeat, 3, 4));
  EXPECT_EQ(member.raft().role(), RaftRole::kCandidate);
  EXPECT_EQ(member.raft().term(), Term(5));
}

TEST(Section5_2, TimeoutsAreSpreadOverTheirRange) {
  std::map<int64_t, int> seen;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    MemberSetup setup;
    setup.options.election_seed = seed;
    const Member member(setup);
    const Duration timeout = setup.options.election_timeout;
    const Duration wait = member.until_deadline();
    ASSERT_GE(wait, timeout);
    ASSERT_LT(wait, 2 * timeout);
    ++seen[(wait - timeout) * 10 / timeout];
  }
  EXPECT_THAT(seen, SizeIs(10));
  for (const auto& [tenth, count] : seen) EXPECT_GT(count, 50) << tenth;
}

// Two that once drew the same wait would go on splitting the votes for ever.
TEST(Section5_2, EachElectionDrawsItsWaitAnew) {
  Member member;
  std::set<Duration> waits;
  for (int i = 0; i < 10; ++i) {
    member.wait(member.until_deadline());
    member.tick();
    waits.insert(member.until_deadline());
  }
  EXPECT_GT(waits.size(), 5U);
}

// --- 5.2: leaders ---------------------------------------------------------------------------------------------------

TEST(Section5_2, ALeaderSendsHeartbeatsToAllAgainAndAgain) {
  Member leader({.size = 5});
  leader.become_leader();
  for (int i = 0; i < 5; ++i) {
    leader.sent();
    leader.wait(milliseconds(50));
    leader.tick();
    EXPECT_THAT(of_kind(MessageKind::kHeartbeat, leader.sent()), SizeIs(4));
  }
}

// --- Elections on slow disks (no section: the paper takes a disk to be fast) ----------------------------------------

// Follower to candidate, with the PreVote of node 2.
void stand(Member& member) {
  member.wait(seconds(1));
  member.tick();
  ASSERT_EQ(member.raft().role(), RaftRole::kPreCandidate);
  member.step(member.message(MessageKind::kPreVoteReply, 2, member.raft().term().value() + 1));
  ASSERT_EQ(member.raft().role(), RaftRole::kCandidate);
}

TEST(SlowDisks, ACandidacyAfterOneThatExpiredHasTwiceTheTime) {
  Member member;
  Duration least = milliseconds(300);
  for (int i = 0; i < 4; ++i, least *= 2) {
    stand(member);
    member.wait(least - milliseconds(1));
    member.tick();
    EXPECT_EQ(member.raft().role(), RaftRole::kCandidate);
    member.wait(least + milliseconds(1));
    member.tick();
    EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
  }
  // Until somebody leads.
  member.step(heartbeat(member, member.raft().term().value()));
  stand(member);
  member.wait(milliseconds(600));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

TEST(SlowDisks, WhoHasNotWrittenItsVoteYetDoesNotStand) {
  Member member;
  member.receive(vote_request(member, 2, 1, at(0, 0)));
  for (int i = 0; i < 10; ++i) {
    member.wait(seconds(1));
    member.tick();
    EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
  }
  member.persist();
  member.wait(seconds(1));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

}  // namespace
}  // namespace dogfs::raft
