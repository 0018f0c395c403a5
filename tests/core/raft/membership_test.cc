// Changes of membership, rule by rule: Ongaro's thesis, chapter 4.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/raft/describe.h"
#include "tests/core/raft/group.h"

namespace dogfs::raft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// --- Learners (4.2.1) -----------------------------------------------------------------------------------------------

TEST(Thesis4_2_1, ALearnerReceivesTheLogAndHasNoSay) {
  Group group(3);
  group.propose(NodeId(1), {"a", "b"});
  group.settle();
  group.join_as_learner(4);
  EXPECT_EQ(group.raft(4).log().last(), group.raft(1).log().last());
  EXPECT_EQ(group.raft(4).commit(), group.raft(1).commit());
  EXPECT_EQ(group.configuration(4).learners, nodes({4}));

  // Nodes 1 and 4 have the next entry; of the voters that is a minority.
  group.propose(NodeId(1), {"c"});
  std::erase_if(group.network(), [](const Message& m) { return m.to != NodeId(4) && m.from != NodeId(4); });
  group.settle();
  EXPECT_LT(group.raft(1).commit(), group.raft(1).log().last_index());
}

TEST(Thesis4_2_1, ALearnerDoesNotStandForElection) {
  Group group(3);
  group.join_as_learner(4);
  group.advance(seconds(10));
  group.tick(NodeId(4));
  group.campaign(NodeId(4));
  EXPECT_EQ(group.raft(4).role(), RaftRole::kFollower);
  EXPECT_THAT(group.network(), IsEmpty());
}

TEST(Thesis4_2_1, ANodeThatWaitsToBeAddedHasNoSay) {
  Group group(1);
  group.join(NodeId(2));
  Message request;
  request.kind = MessageKind::kVote;
  request.from = NodeId(1);
  request.to = NodeId(2);
  request.term = Term(9);
  request.log = LogPosition{LogIndex(50), Term(8)};
  group.deliver(request);
  ASSERT_EQ(group.network().size(), 1U);
  EXPECT_TRUE(group.network().front().reject) << "it may be a voter that lost its disk and forgot its vote";
}

TEST(Thesis4_2_1, ALearnerThatIsBehindIsNotPromoted) {
  Group group(3);
  group.join(NodeId(4));
  ASSERT_TRUE(group.change(NodeId(1), add(4)).has_value());
  group.drop_messages_of(4);
  group.settle();
  const Error error = group.refusal({.promote = nodes({4})});
  EXPECT_EQ(error.code, ErrorCode::kBusy);
  EXPECT_THAT(error.detail, HasSubstr("catch up"));
  group.live(milliseconds(200));
  EXPECT_TRUE(group.change(NodeId(1), {.promote = nodes({4})}).has_value());
}

// Time passes, and entries are proposed, while messages of `lost` alone get nowhere.
void live_without(Group& group, uint64_t lost, Duration duration) {
  for (Duration lived{}; lived < duration; lived += milliseconds(10)) {
    group.advance(milliseconds(10));
    group.propose(NodeId(1), {"more"});
    for (auto& [id, node] : group.nodes()) {
      if (id != NodeId(lost)) group.tick(id);
    }
    group.crash(NodeId(lost), 0, LogIndex());
    group.settle();
  }
}

TEST(Thesis4_2_1, ALearnerThatHadEverythingAndDiedIsNotPromoted) {
  Group group(3);
  group.join_as_learner(4);
  group.lose_disk(NodeId(4));
  live_without(group, 4, milliseconds(400));
  for (const MembershipChange& change :
       {MembershipChange{.promote = nodes({4})}, MembershipChange{.promote = nodes({4}), .remove = nodes({3})}}) {
    const Error error = group.refusal(change);
    EXPECT_EQ(error.code, ErrorCode::kBusy);
    EXPECT_THAT(error.detail, HasSubstr("node 4 has not answered for"));
    EXPECT_THAT(error.detail, HasSubstr("catch up"));
  }
  EXPECT_FALSE(group.configuration(1).is_joint());
}

TEST(Thesis4_2_1, ASilentLearnerIsNotPromotedThoughNothingIsNewerThanItsLog) {
  Group group(3);
  group.join_as_learner(4);
  group.crash(NodeId(4), 0, LogIndex());
  group.live(milliseconds(400));
  const Error error = group.refusal({.promote = nodes({4})});
  EXPECT_EQ(error.code, ErrorCode::kBusy);
  EXPECT_THAT(error.detail, HasSubstr("has not answered"));
  group.restart(NodeId(4));
  group.live(milliseconds(200));
  EXPECT_TRUE(group.change(NodeId(1), {.promote = nodes({4})}).has_value());
}

// What it had at the old address, and when it was heard of there, says nothing of the new one.
TEST(Thesis4_2_1, ALearnerThatIsGivenAnotherAddressMustBeHeardOfThere) {
  Group group(3);
  group.join_as_learner(4);
  group.crash(NodeId(4), 0, LogIndex());
  ASSERT_TRUE(group.change(NodeId(1), {.add = {{NodeId(4), Address{"nobody:1"}}}}).has_value());
  group.settle();
  EXPECT_EQ(group.refusal({.promote = nodes({4})}).code, ErrorCode::kBusy);
  group.restart(NodeId(4));
  group.live(milliseconds(200));
  EXPECT_TRUE(group.change(NodeId(1), {.promote = nodes({4})}).has_value());
}

// Its disk hangs, say: it hears of the leader, and has had everything once.
TEST(Thesis4_2_1, ALearnerThatLivesButAcknowledgesNothingIsNotPromoted) {
  Group group(3);
  group.join_as_learner(4);
  for (int i = 0; i < 40; ++i) {
    group.advance(milliseconds(10));
    group.propose(NodeId(1), {"more"});
    for (auto& [id, node] : group.nodes()) group.tick(id);
    for (int round = 0; round < 3; ++round) {
      for (const uint64_t id : {1, 2, 3}) group.persist_all(NodeId(id));
      for (const Message& message : std::exchange(group.network(), {})) group.deliver(message);
    }
  }
  const Error error = group.refusal({.promote = nodes({4})});
  EXPECT_EQ(error.code, ErrorCode::kBusy);
  EXPECT_THAT(error.detail, HasSubstr("catch up"));
  EXPECT_THAT(error.detail, testing::Not(HasSubstr("has not answered"))) << "it does";
}

// When a learner that never has everything has caught up: catch_up_test.cc.

// --- Joint consensus (4.3) ------------------------------------------------------------------------------------------

TEST(Thesis4_3, VotersChangeByAJointConfigurationWhichIsLeftByItself) {
  Group group(3);
  group.join_as_learner(4);
  const Result<LogPosition> begun = group.change(NodeId(1), {.promote = nodes({4}), .remove = nodes({3})});
  ASSERT_TRUE(begun.has_value());
  EXPECT_TRUE(group.configuration(1).is_joint()) << "in effect from append";
  EXPECT_FALSE(group.raft(1).is_configuration_committed());
  group.settle();
  for (const uint64_t id : {1, 2, 3, 4}) {
    EXPECT_EQ(group.configuration(id).voters, nodes({1, 2, 4})) << id;
    EXPECT_FALSE(group.configuration(id).is_joint()) << id;
  }
  EXPECT_EQ(group.raft(1).log().configurations().latest_index(), begun.value().index.next());
  EXPECT_TRUE(group.raft(1).is_configuration_committed());
  EXPECT_FALSE(group.raft(1).progress().contains(NodeId(3)));
}

TEST(Thesis4_3, AJointConfigurationDecidesByBothMajorities) {
  Group group(3);
  group.join_as_learner(4);
  group.join_as_learner(5);
  group.join_as_learner(6);
  ASSERT_TRUE(group.change(NodeId(1), {.promote = nodes({4, 5, 6}), .remove = nodes({2, 3})}).has_value());
  const LogIndex joint = group.raft(1).log().last_index();
  const auto acknowledge_from = [&](uint64_t id) {
    std::deque<Message> messages = std::exchange(group.network(), {});
    for (const Message& message : messages) {
      if (message.to == NodeId(id)) group.deliver(message);
    }
    group.persist_all(NodeId(id));
    for (const Message& message : std::exchange(group.network(), messages)) {
      if (message.to == NodeId(1)) group.deliver(message);
    }
  };
  group.persist_all(NodeId(1));
  for (const uint64_t id : {4, 5, 6}) acknowledge_from(id);
  EXPECT_LT(group.raft(1).commit(), joint) << "all of the new voters, but one of three old ones";
  acknowledge_from(2);
  EXPECT_GE(group.raft(1).commit(), joint);
}

TEST(Thesis4_3, ANewLeaderGoesOnWithAJointConfigurationThatItFinds) {
  Group group(3);
  group.join_as_learner(4);
  ASSERT_TRUE(group.change(NodeId(1), {.promote = nodes({4})}).has_value());
  group.persist_all(NodeId(1));
  const std::deque<Message> sent = group.network();
  group.network().clear();
  for (const Message& message : sent) group.deliver(message);
  for (const uint64_t id : {2, 3, 4}) group.persist_all(NodeId(id));
  group.network().clear();
  group.crash(NodeId(1), 0, LogIndex(0));
  ASSERT_TRUE(group.configuration(2).is_joint());
  group.live(seconds(3));
  ASSERT_FALSE(group.leader().is_none());
  EXPECT_FALSE(group.configuration(2).is_joint());
  EXPECT_EQ(group.configuration(2).voters, nodes({1, 2, 3, 4}));
}

TEST(Thesis4_1, AConfigurationIsTakenBackWithItsEntry) {
  Group group(3);
  const Configuration before = group.configuration(1);
  // Only the leader ever has the entry.
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({3})}).has_value());
  group.persist_all(NodeId(1));
  group.network().clear();
  ASSERT_TRUE(group.configuration(1).is_joint());
  group.advance(seconds(1));
  group.campaign(NodeId(2));
  std::erase_if(group.network(), [](const Message& m) { return m.to == NodeId(1); });
  group.settle();
  ASSERT_EQ(group.leader(), NodeId(2));
  group.live(milliseconds(500));
  EXPECT_EQ(group.configuration(1), before);
  EXPECT_FALSE(group.violation()) << *group.violation();
}

TEST(Thesis4_1, ARestartRemembersTheConfiguration) {
  Group group(3);
  group.join_as_learner(4);
  const LogIndex applied = group.raft(4).applied();
  for (const uint64_t id : {1, 4}) {
    group.crash(NodeId(id), 0, applied);
    group.restart(NodeId(id));
    EXPECT_EQ(group.configuration(id).learners, nodes({4}));
  }
}

TEST(Thesis4_1, OneChangeAtATime) {
  Group group(3);
  group.join(NodeId(4));
  ASSERT_TRUE(group.change(NodeId(1), add(4)).has_value());
  const Error error = group.refusal(add(5));
  EXPECT_EQ(error.code, ErrorCode::kConflict);
  EXPECT_THAT(error.detail, HasSubstr("under way"));
  group.settle();
  EXPECT_TRUE(group.change(NodeId(1), add(5)).has_value());
}

TEST(Thesis4_1, NoChangeBeforeTheLeadersTermHasCommitted) {
  Group group(3);
  group.advance(seconds(1));
  group.campaign(NodeId(2));
  while (group.raft(2).role() != RaftRole::kLeader) {
    const Message message = group.network().front();
    group.network().pop_front();
    group.deliver(message);
    for (const uint64_t id : {1, 2, 3}) group.persist_all(NodeId(id));
  }
  const Result<LogPosition> begun = group.change(NodeId(2), add(4));
  ASSERT_FALSE(begun.has_value());
  EXPECT_EQ(begun.error().code, ErrorCode::kBusy);
  const Result<LogPosition> elsewhere = group.change(NodeId(3), add(4));
  ASSERT_FALSE(elsewhere.has_value());
  EXPECT_EQ(elsewhere.error().code, ErrorCode::kNotLeader);
}

TEST(Membership, AChangeThatWouldLeaveNoLiveQuorumIsRefused) {
  Group group(3);
  group.join_as_learner(4);
  group.crash(NodeId(3), 0, LogIndex(0));
  group.live(seconds(1));
  ASSERT_EQ(group.leader(), NodeId(1));
  const Error error = group.refusal({.remove = nodes({2})});
  EXPECT_EQ(error.code, ErrorCode::kConflict);
  EXPECT_THAT(error.detail, HasSubstr("must be alive"));
  EXPECT_THAT(error.detail, HasSubstr("3"));
  EXPECT_TRUE(group.change(NodeId(1), {.promote = nodes({4}), .remove = nodes({3})}).has_value());
  group.settle();
  EXPECT_EQ(group.configuration(1).voters, nodes({1, 2, 4}));
}

TEST(Membership, ASingleNodeGrowsToThreeAndShrinksAgain) {
  Group group(1);
  for (const uint64_t id : {2, 3}) {
    group.join_as_learner(id);
    ASSERT_TRUE(group.change(NodeId(1), {.promote = nodes({id})}).has_value());
    group.settle();
  }
  EXPECT_EQ(group.configuration(3).voters, nodes({1, 2, 3}));
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({2, 3})}).has_value());
  group.settle();
  EXPECT_EQ(group.configuration(1).voters, nodes({1}));
  group.propose(NodeId(1), {"alone"});
  group.settle();
  EXPECT_EQ(group.raft(1).commit(), group.raft(1).log().last_index());
  EXPECT_FALSE(group.violation()) << *group.violation();
}

TEST(Membership, ADemotedVoterGoesOnAsALearner) {
  Group group(3);
  ASSERT_TRUE(group.change(NodeId(1), {.demote = nodes({3})}).has_value());
  group.settle();
  EXPECT_EQ(group.configuration(3).learners, nodes({3}));
  group.propose(NodeId(1), {"x"});
  group.settle();
  EXPECT_EQ(group.raft(3).log().last(), group.raft(1).log().last());
}

// --- Removed nodes (4.2.2, 4.2.3) -----------------------------------------------------------------------------------

TEST(Thesis4_2_2, ALeaderThatIsRemovedStepsDownWhenThatIsCommitted) {
  Group group(3);
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({1})}).has_value());
  const LogIndex joint = group.raft(1).log().last_index();
  EXPECT_EQ(group.raft(1).role(), RaftRole::kLeader) << "it leads until the change is committed";
  group.settle();
  EXPECT_EQ(group.raft(1).role(), RaftRole::kFollower);
  EXPECT_EQ(group.raft(1).commit(), joint.next());
  EXPECT_GE(group.raft(2).commit(), joint.next()) << "the others know that it is committed";
  group.live(seconds(2));
  EXPECT_NE(group.leader(), NodeId(1));
  EXPECT_FALSE(group.leader().is_none());
  EXPECT_EQ(group.raft(1).role(), RaftRole::kFollower) << "who was removed does not stand for election";
}

TEST(Thesis4_2_2, ALeaderDoesNotCountItselfForAConfigurationThatItIsNotIn) {
  Group group(2);
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({1})}).has_value());
  // The joint configuration is committed by both; then node 2 is alone in the next one.
  while (group.configuration(1).is_joint()) {
    for (const uint64_t id : {1, 2}) group.persist_all(NodeId(id));
    const Message message = group.network().front();
    group.network().pop_front();
    group.deliver(message);
  }
  group.persist_all(NodeId(1));
  EXPECT_LT(group.raft(1).commit(), group.raft(1).log().last_index());
  group.settle();
  EXPECT_EQ(group.raft(1).commit(), group.raft(1).log().last_index());
}

TEST(Thesis4_2_2, ALeaderThatIsRemovedStandsAgainUntilThatIsCommitted) {
  Group group(2);
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({1})}).has_value());
  while (group.configuration(1).is_joint()) {
    for (const uint64_t id : {1, 2}) group.persist_all(NodeId(id));
    const Message message = group.network().front();
    group.network().pop_front();
    group.deliver(message);
  }
  // Only node 1 has the last configuration. Node 2 knows the joint one, and has too short a log for the vote of node 1.
  group.persist_all(NodeId(1));
  group.network().clear();
  group.crash(NodeId(1), 0, LogIndex());
  group.restart(NodeId(1));
  ASSERT_TRUE(group.configuration(2).is_joint());
  ASSERT_FALSE(group.configuration(1).is_member(NodeId(1)));
  group.live(seconds(5));
  EXPECT_EQ(group.leader(), NodeId(2));
  EXPECT_EQ(group.configuration(2).voters, nodes({2}));
  EXPECT_EQ(group.raft(1).role(), RaftRole::kFollower);
}

TEST(Thesis4_2_3, ARemovedNodeThatWasNotToldDisruptsNobody) {
  Group group(4);
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({4})}).has_value());
  while (!group.network().empty()) {
    group.drop_messages_of(4);
    group.settle();
  }
  ASSERT_FALSE(group.raft(1).configuration().is_member(NodeId(4)));
  ASSERT_TRUE(group.raft(4).configuration().is_voter(NodeId(4))) << "it does not know";
  const Term term = group.raft(1).term();
  group.live(seconds(5));
  EXPECT_EQ(group.leader(), NodeId(1));
  EXPECT_EQ(group.raft(1).term(), term);
  EXPECT_EQ(group.raft(4).role(), RaftRole::kPreCandidate);
}

TEST(Thesis4_2_3, AnswersOfARemovedNodeAreIgnored) {
  Group group(4);
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({4})}).has_value());
  group.settle();
  const Term term = group.raft(1).term();
  for (const MessageKind kind : {MessageKind::kAppendReply, MessageKind::kHeartbeatReply, MessageKind::kVoteReply}) {
    Message late;
    late.kind = kind;
    late.from = NodeId(4);
    late.to = NodeId(1);
    late.term = Term(50);
    late.reject = true;
    group.deliver(late);
  }
  EXPECT_EQ(group.raft(1).role(), RaftRole::kLeader);
  EXPECT_EQ(group.raft(1).term(), term);
}

TEST(Thesis4_2_3, ARemovedNodeIsToldUntilThatIsCommitted) {
  Group group(4);
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({4})}).has_value());
  group.settle();
  EXPECT_FALSE(group.configuration(4).is_member(NodeId(4)));
  group.advance(seconds(10));
  group.tick(NodeId(4));
  EXPECT_THAT(group.network(), IsEmpty()) << "it knows, and asks for no votes";
}

}  // namespace
}  // namespace dogfs::raft
