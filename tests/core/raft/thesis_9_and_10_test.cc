// Ongaro's thesis, rule by rule: elections without disruption (9.6) and speed (10.2). paper_5_1_and_5_2_test.cc says
// which other chapters there are. (The rest of chapters 9 and 10 measures; of 9.4 the draw of timeouts is the paper's
// section 5.2.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/raft/member.h"

namespace dogfs::raft {
namespace {

using testing::SizeIs;

// --- 9.6: PreVote ---------------------------------------------------------------------------------------------------
// That who hears from a leader grants none: thesis, 4.2.3. A node that comes back disrupts nobody:
// testdata/prevote_partition.txt.

Message pre_vote_request(const Member& member, uint64_t from, uint64_t term, LogPosition log) {
  Message message = vote_request(member, from, term, log);
  message.kind = MessageKind::kPreVote;
  return message;
}

TEST(Thesis9_6, ANodeThatCouldNotWinStaysInItsTerm) {
  Member member({.term = 3});
  for (int i = 0; i < 10; ++i) {
    member.wait(seconds(1));
    member.tick();
    EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
    EXPECT_EQ(member.raft().term(), Term(3));
  }
}

TEST(Thesis9_6, APreVoteChangesNoTermAndBindsNobody) {
  Member member({.log = {1}});
  member.step(pre_vote_request(member, 2, 2, at(1, 1)));
  EXPECT_FALSE(member.sent().back().reject);
  EXPECT_EQ(member.raft().term(), Term(1));
  member.step(pre_vote_request(member, 3, 2, at(1, 1)));
  EXPECT_FALSE(member.sent().back().reject);
}

TEST(Thesis9_6, APreVoteIsRefusedToACandidateWithALesserLog) {
  Member member({.log = {1, 2}});
  member.step(pre_vote_request(member, 2, 9, at(5, 1)));
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_TRUE(sent[0].reject);
  EXPECT_EQ(member.raft().term(), Term(2)) << "nor does it follow to a term that nobody may ever enter";
}

TEST(Thesis9_6, APreCandidateOfAnOldTermLearnsOfTheNewOne) {
  Member member({.term = 5});
  member.step(member.message(MessageKind::kPreVote, 2, 3));
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_TRUE(sent[0].reject);
  EXPECT_EQ(sent[0].term, Term(5)) << "or the group might stay without a leader (etcd #8501)";
}

TEST(Thesis9_6, AGrantOfAnEarlierPreVoteDoesNotCount) {
  Member member({.term = 4});
  member.become_pre_candidate();
  member.step(member.message(MessageKind::kPreVoteReply, 2, 4));
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

// --- 10.2.1: the leader's disk in parallel --------------------------------------------------------------------------
// A majority of followers commits without it: testdata/leader_disk_lag.txt.

TEST(Thesis10_2_1, ALeaderSendsWhatItsOwnDiskDoesNotHaveYet) {
  Member leader;
  leader.become_leader();
  for (const uint64_t follower : {2, 3}) leader.acknowledge(follower, 1);
  leader.sent();
  ASSERT_TRUE(leader.raft().propose({command_of("a")}).has_value());
  leader.gather();
  EXPECT_TRUE(leader.effects().persist.has_value());
  EXPECT_THAT(of_kind(MessageKind::kAppend, leader.sent()), SizeIs(2));
}

// --- 10.2.2: batching and pipelining --------------------------------------------------------------------------------
// How much goes into one append: log_test.cc. How many are under way, and what happens when one is lost or overtaken:
// progress_test.cc; testdata/pipelining.txt, stale_messages.txt, overload.txt. Many commands share a write of the disk:
// replica_test.cc, ConcurrentCommandsShareWritesAndFrames.

TEST(Thesis10_2_2, CommandsThatCameWhileAFollowerWasBusyShareAnAppend) {
  Member leader;
  leader.become_leader();
  for (const char* command : {"a", "b", "c"}) leader.propose(command);
  leader.sent();
  leader.acknowledge(2, 1);
  const std::vector<Message> sent = leader.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_THAT(sent[0].entries, SizeIs(3));
}

TEST(Thesis10_2_2, AnAppendDoesNotWaitForTheAnswerToTheOneBefore) {
  Member leader;
  leader.become_leader();
  leader.acknowledge(2, 1);
  leader.sent();
  for (const char* command : {"a", "b", "c"}) leader.propose(command);
  const std::vector<Message> sent = leader.sent();
  ASSERT_THAT(sent, SizeIs(3)) << "all to node 2, of which it is known where its log ends";
  for (size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(sent[i].log.index, LogIndex(i + 1));
}

}  // namespace
}  // namespace dogfs::raft
