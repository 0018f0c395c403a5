// The Raft paper, rule by rule: log replication (5.3) and safety (5.4), with what figure 2 says of them.
// paper_5_1_and_5_2_test.cc is the chapter before this, and says which others there are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "core/raft/describe.h"
#include "tests/core/raft/member.h"

namespace dogfs::raft {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// --- 5.3: what a follower does with an append (figure 2, AppendEntries, 1 to 5) -------------------------------------

TEST(Section5_3, AppendOfAnOldTermIsRejectedWithTheNewTerm) {
  Member member({.log = {1}, .term = 4});
  member.step(append(member, 3, at(1, 1), {3}));
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_TRUE(sent[0].reject);
  EXPECT_EQ(sent[0].term, Term(4));
  EXPECT_EQ(member.raft().log().last_index(), LogIndex(1));
}

TEST(Section5_3, AppendBehindAnEntryThatIsMissingOrDifferentIsRejected) {
  for (const LogPosition after : {at(3, 2), at(2, 2)}) {
    Member member({.log = {1, 1}, .term = 2});
    member.step(append(member, 2, after, {2}));
    const std::vector<Message> sent = member.sent();
    ASSERT_THAT(sent, SizeIs(1));
    EXPECT_TRUE(sent[0].reject) << describe(after);
    EXPECT_EQ(sent[0].log.index, after.index);
  }
}

// That what agrees is not truncated, however old the append: log_test.cc, and 5.5.
TEST(Section5_3, ConflictingEntriesAreReplacedAndNewOnesAppended) {
  Member member({.log = {1, 1, 2, 2}, .term = 3});
  member.step(append(member, 3, at(2, 1), {3}));
  EXPECT_EQ(member.raft().log().last(), at(3, 3));
  EXPECT_EQ(member.sent().back().log.index, LogIndex(3));
}

TEST(Section5_3, CommitIsTheLesserOfTheLeadersAndTheLastNewEntry) {
  Member member({.log = {1, 1, 1}});
  member.step(append(member, 1, at(1, 1), {1}, 3));
  EXPECT_EQ(member.raft().commit(), LogIndex(2)) << "entry 3 may be another leader's (ScyllaDB #10578)";
}

TEST(Section5_3, FollowersLearnOfCommitsAndApplyThemInOrder) {
  Member member;
  member.step(append(member, 1, at(0, 0), {1, 1}, 1));
  ASSERT_THAT(member.effects().committed, SizeIs(1));
  EXPECT_EQ(member.effects().committed[0].index, LogIndex(1));
  member.raft().applied(LogIndex(1));
  member.step(heartbeat(member, 1, 2));
  EXPECT_EQ(member.effects().committed[0].index, LogIndex(2));
}

TEST(Section5_3, AnOlderCommitIndexTakesNothingBack) {
  Member member;
  member.step(append(member, 1, at(0, 0), {1, 1}, 2));
  member.step(heartbeat(member, 1, 1));
  EXPECT_EQ(member.raft().commit(), LogIndex(2));
}

// --- 5.3: what a leader does ----------------------------------------------------------------------------------------

TEST(Section5_3, ACommandGoesToAllFollowersInParallel) {
  Member leader({.size = 5});
  leader.become_leader();
  for (const uint64_t follower : {2, 3, 4, 5}) leader.acknowledge(follower, 1);
  leader.sent();
  leader.propose("a");
  const std::vector<Message> sent = leader.sent();
  ASSERT_THAT(sent, SizeIs(4));
  for (const Message& each : sent) {
    EXPECT_EQ(each.log, at(1, 1));
    ASSERT_THAT(each.entries, SizeIs(1));
    EXPECT_EQ(each.entries[0].text(), "a");
  }
}

TEST(Section5_3, ALeaderCommitsWhatAMajorityHas) {
  Member leader({.size = 5});
  leader.become_leader();
  leader.propose("a");
  leader.acknowledge(2, 2);
  EXPECT_EQ(leader.raft().commit(), LogIndex(0));
  leader.acknowledge(2, 2);
  EXPECT_EQ(leader.raft().commit(), LogIndex(0)) << "an acknowledgement that comes twice counts once";
  leader.acknowledge(3, 2);
  EXPECT_EQ(leader.raft().commit(), LogIndex(2));
  EXPECT_THAT(leader.effects().committed, SizeIs(2));
}

TEST(Section5_3, TheLeadersOwnCopyCountsWhenItIsDurable) {
  Member leader;
  leader.become_leader();
  ASSERT_TRUE(leader.raft().propose({command_of("a")}).has_value());
  leader.gather();
  Message reply = leader.message(MessageKind::kAppendReply, 2, 1);
  reply.log.index = LogIndex(2);
  leader.receive(reply);
  EXPECT_EQ(leader.raft().commit(), LogIndex(1));
  leader.persist();
  EXPECT_EQ(leader.raft().commit(), LogIndex(2));
}

TEST(Section5_3, TheNextAppendSaysWhatIsCommitted) {
  Member leader;
  leader.become_leader();
  leader.acknowledge(2, 1);
  leader.sent();
  leader.propose("a");
  const std::vector<Message> sent = leader.sent();
  ASSERT_THAT(sent, SizeIs(1)) << "node 3 has answered nothing yet";
  EXPECT_EQ(sent[0].commit, LogIndex(1));
}

TEST(Section5_3, AHeartbeatNamesNoCommitThatItsFollowerMayLack) {
  Member leader;
  leader.become_leader();
  leader.propose("a");
  leader.acknowledge(2, 2);
  leader.sent();
  leader.wait(milliseconds(60));
  leader.tick();
  for (const Message& heartbeat : leader.sent()) {
    EXPECT_EQ(heartbeat.commit, heartbeat.to == NodeId(2) ? LogIndex(2) : LogIndex(0));
  }
}

TEST(Section5_3, AFollowerIsSentWhatItLacksUntilItHasIt) {
  Member leader;
  leader.become_leader();
  leader.propose("a");
  leader.acknowledge(2, 2);
  ASSERT_EQ(leader.raft().commit(), LogIndex(2)) << "whoever asked has been answered by now";
  const auto appends_to_3_when_it_shows_life = [&leader] {
    leader.sent();
    leader.wait(milliseconds(50));
    leader.tick();
    for (const uint64_t follower : {2, 3}) leader.answer_heartbeat(follower);
    return of_kind(MessageKind::kAppend, leader.sent());
  };
  for (int lost = 0; lost < 10; ++lost) {
    const std::vector<Message> again = appends_to_3_when_it_shows_life();
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_THAT(again[0].entries, SizeIs(2));
  }
  leader.acknowledge(3, 2);
  EXPECT_THAT(appends_to_3_when_it_shows_life(), IsEmpty());
}

TEST(Section5_3, ALeaderNeverOverwritesItsOwnEntries) {
  Member leader({.log = {1, 1}});
  leader.become_leader();
  leader.step(append(leader, 2, at(1, 1), {2}));
  EXPECT_EQ(leader.raft().log().last(), at(3, 2));
  EXPECT_EQ(leader.raft().log().term_at(LogIndex(2)), Term(1));
  EXPECT_THAT(leader.effects().violations, SizeIs(1)) << "a second leader of its term";
}

// --- 5.3: bringing logs into line -----------------------------------------------------------------------------------
// One probe at a time until the logs meet, then a window of them: progress_test.cc, testdata/conflict_hints.txt.

TEST(Section5_3, ANewLeaderBeginsBehindItsOwnLastEntry) {
  Member leader({.log = {1, 1, 2}});
  leader.become_leader();
  for (const Message& each : of_kind(MessageKind::kAppend, leader.sent())) EXPECT_EQ(each.log, at(3, 2));
  for (const auto& [peer, progress] : leader.raft().progress()) {
    EXPECT_EQ(progress.next(), LogIndex(4));
    EXPECT_EQ(progress.match(), LogIndex(0)) << "nothing is known to match yet";
  }
}

// Messages go to and fro between a leader and its follower 3 until both are silent. How many appends that took.
int bring_into_line(Member& leader, Member& follower, int at_most) {
  int appends = 0;
  for (std::vector<Message> sent = leader.sent(); !sent.empty() && appends <= at_most; sent = leader.sent()) {
    for (Message& each : of_kind(MessageKind::kAppend, std::move(sent))) {
      if (each.to != NodeId(3)) continue;
      // The members of these tests are all node 1 to themselves.
      each.to = NodeId(1);
      each.from = NodeId(2);
      follower.step(each);
      ++appends;
    }
    for (Message& reply : follower.sent()) {
      reply.from = NodeId(3);
      reply.to = NodeId(1);
      leader.step(reply);
    }
  }
  return appends;
}

// Figure 7: whatever a follower's log looks like, it comes to be the leader's, and without a message for each entry.
TEST(Section5_3, TheLogsOfFigure7AreBroughtIntoLine) {
  const std::vector<uint64_t> leaders = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
  const std::vector<std::vector<uint64_t>> followers = {
      {1, 1, 1, 4, 4, 5, 5, 6, 6},          {1, 1, 1, 4},          {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}, {1, 1, 1, 4, 4, 4, 4}, {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3},
  };
  for (const std::vector<uint64_t>& terms : followers) {
    Member leader({.log = leaders, .term = 7});
    leader.become_leader();
    Member follower({.log = terms, .term = 7});
    EXPECT_LE(bring_into_line(leader, follower, 20), 4);
    EXPECT_EQ(follower.raft().log().last(), at(11, 8));
    EXPECT_EQ(follower.raft().log().terms().runs(), leader.raft().log().terms().runs());
  }
}

// Entries behind `log`, of ever later terms among those with this remainder by 2: two such tails share no entry.
void add_tail(std::vector<uint64_t>& log, uint64_t remainder) {
  uint64_t term = (log.empty() ? 2 : log.back() / 2 * 2 + 2) + remainder;
  for (size_t left = *rc::gen::inRange<size_t>(0, 12); left > 0; --left) {
    log.push_back(term);
    if (*rc::gen::inRange(0, 3) == 0) term += 2;
  }
}

size_t distinct(const std::vector<uint64_t>& terms) {
  return std::set<uint64_t>(terms.begin(), terms.end()).size();
}

// The same of any two logs that part somewhere. Model: the follower's log is to be the leader's; and of the bound at
// the end of 5.3, a rejection for each term in which they differ, whichever of the two it is in.
RC_GTEST_PROP(Section5_3, AnyTwoLogsAreBroughtIntoLineWithOneRejectionATerm, ()) {
  std::vector<uint64_t> leaders;
  add_tail(leaders, 0);
  std::vector<uint64_t> followers = leaders;
  add_tail(leaders, 0);
  add_tail(followers, 1);
  const uint64_t term = 100;
  Member leader({.log = leaders, .term = term});
  leader.become_leader();
  Member follower({.log = followers, .term = term});
  const auto at_most = static_cast<int>(distinct(leaders) + distinct(followers) + 2);
  RC_ASSERT(bring_into_line(leader, follower, at_most) <= at_most);
  RC_ASSERT(follower.raft().log().last() == at(leaders.size() + 1, term + 1));
  RC_ASSERT(follower.raft().log().terms().runs() == leader.raft().log().terms().runs());
}

TEST(Section5_3, OldRejectionsDoNotMakeTheLeaderGoBack) {
  Member leader;
  leader.become_leader();
  leader.propose("a");
  leader.acknowledge(2, 2);
  leader.sent();
  Message late = leader.message(MessageKind::kAppendReply, 2, 1);
  late.reject = true;
  late.log.index = LogIndex(1);
  leader.step(late);
  EXPECT_THAT(leader.sent(), IsEmpty());
  EXPECT_EQ(leader.raft().progress().at(NodeId(2)).match(), LogIndex(2));
}

// --- 5.4: safety ----------------------------------------------------------------------------------------------------

TEST(Section5_4_1, AVoterRefusesACandidateWithALesserLog) {
  const struct {
    LogPosition candidate;
    bool granted;
  } cases[] = {{at(2, 2), true}, {at(3, 2), true}, {at(1, 3), true}, {at(1, 2), false}, {at(5, 1), false}};
  for (const auto& each : cases) {
    Member member({.log = {1, 2}});
    member.step(vote_request(member, 2, 3, each.candidate));
    EXPECT_EQ(!member.sent().back().reject, each.granted) << describe(each.candidate);
  }
}

// Figure 8 from (a) to (e): testdata/figure_8.txt, testdata/old_term.txt.
TEST(Section5_4_2, OnlyEntriesOfTheOwnTermAreCommittedByCounting) {
  Member leader({.log = {1, 2}});
  leader.become_leader();
  leader.acknowledge(2, 2);
  EXPECT_EQ(leader.raft().commit(), LogIndex(0)) << "a majority has entry 2, but it is of term 2 (LogCabin #44)";
  leader.acknowledge(2, 3);
  EXPECT_EQ(leader.raft().commit(), LogIndex(3));
}

// 5.4.3, leader completeness: no rule of its own. random_cluster_test.cc checks it after every step (invariants.h).

}  // namespace
}  // namespace dogfs::raft
