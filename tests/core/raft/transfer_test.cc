// Leadership transfer: Ongaro's thesis, 3.10.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/raft/group.h"

namespace dogfs::raft {
namespace {

using testing::HasSubstr;

// Only what goes to or comes from node `id` travels.
void lose_all_but(Group& group, uint64_t id) {
  std::erase_if(group.network(), [&](const Message& m) { return m.from != NodeId(id) && m.to != NodeId(id); });
}

bool is_told_to_stand(Group& group, uint64_t id) {
  for (const Message& message : group.network()) {
    if (message.kind == MessageKind::kTimeoutNow && message.to == NodeId(id)) return true;
  }
  return false;
}

TEST(Thesis3_10, TheTargetLeadsWithoutAnElectionTimeout) {
  Group group(3);
  group.propose(NodeId(1), {"a"});
  group.settle();
  const Term term = group.raft(1).term();
  ASSERT_TRUE(group.raft(1).transfer_leadership(NodeId(3)).has_value());
  group.collect(NodeId(1));
  group.settle();
  EXPECT_EQ(group.leader(), NodeId(3));
  EXPECT_EQ(group.raft(3).term(), term.next()) << "one election, which nobody refused";
  EXPECT_EQ(group.raft(1).role(), RaftRole::kFollower);
  EXPECT_TRUE(group.propose(NodeId(3), {"b"}));
}

TEST(Thesis3_10, TheTargetIsBroughtUpToDateFirst) {
  Group group(3);
  group.propose(NodeId(1), {"a"});
  std::erase_if(group.network(), [](const Message& m) { return m.to == NodeId(3); });
  group.settle();
  ASSERT_LT(group.raft(3).log().last_index(), group.raft(1).log().last_index());
  ASSERT_TRUE(group.raft(1).transfer_leadership(NodeId(3)).has_value());
  group.collect(NodeId(1));
  EXPECT_FALSE(is_told_to_stand(group, 3));
  group.live(milliseconds(200));
  EXPECT_EQ(group.leader(), NodeId(3));
  EXPECT_EQ(group.raft(3).log().term_at(LogIndex(2)), Term(1));
}

TEST(Thesis3_10, NoProposalsAndNoOtherChangesMeanwhile) {
  Group group(3);
  ASSERT_TRUE(group.raft(1).transfer_leadership(NodeId(2)).has_value());
  EXPECT_EQ(group.raft(1).propose({std::make_shared<const std::string>("x")}).error().code, ErrorCode::kBusy);
  EXPECT_EQ(group.raft(1).change_membership(add(4)).error().code, ErrorCode::kBusy);
  EXPECT_EQ(group.raft(1).transfer_leadership(NodeId(3)).error().code, ErrorCode::kBusy);
  EXPECT_TRUE(group.raft(1).transfer_leadership(NodeId(2)).has_value()) << "asked again";
}

TEST(Thesis3_10, ATransferIsGivenUpAfterAnElectionTimeout) {
  Group group(3);
  ASSERT_TRUE(group.raft(1).transfer_leadership(NodeId(2)).has_value());
  group.collect(NodeId(1));
  for (int i = 0; i < 7; ++i) {
    lose_all_but(group, 3);
    group.settle();
    group.advance(milliseconds(50));
    group.tick(NodeId(1));
  }
  EXPECT_EQ(group.raft(1).role(), RaftRole::kLeader);
  EXPECT_EQ(group.raft(1).transfer_target(), NodeId());
  EXPECT_TRUE(group.propose(NodeId(1), {"x"}));
}

// A round of reads sends heartbeats: these are no reason to look after nothing else.
TEST(Thesis3_10, ATransferIsGivenUpHoweverManyReadsThereAre) {
  Group group(3);
  ASSERT_TRUE(group.raft(1).transfer_leadership(NodeId(3)).has_value());
  group.crash(NodeId(3), 0, group.raft(3).applied());
  uint64_t context = 0;
  for (Duration lived{}; lived < seconds(1); lived += milliseconds(50)) {
    // The second waits for the end of the first one's round, and has another begun then.
    group.read(NodeId(1), ++context);
    group.read(NodeId(1), ++context);
    group.advance(milliseconds(50));
    // What has come is handled before what is due.
    group.settle();
    group.tick(NodeId(1));
    group.tick(NodeId(2));
  }
  EXPECT_EQ(group.leader(), NodeId(1));
  EXPECT_TRUE(group.propose(NodeId(1), {"x"}));
}

TEST(Thesis3_10, TheWordToStandIsRepeatedWhenItIsLost) {
  Group group(3);
  ASSERT_TRUE(group.raft(1).transfer_leadership(NodeId(2)).has_value());
  group.collect(NodeId(1));
  ASSERT_TRUE(is_told_to_stand(group, 2));
  group.network().clear();
  group.advance(milliseconds(60));
  group.tick(NodeId(1));
  group.settle();
  EXPECT_EQ(group.leader(), NodeId(2));
}

TEST(Thesis3_10, WhoCannotLeadIsRefusedInWords) {
  Group group(3);
  group.join_as_learner(4);
  EXPECT_EQ(group.raft(2).transfer_leadership(NodeId(3)).error().code, ErrorCode::kNotLeader);
  const Status learner = group.raft(1).transfer_leadership(NodeId(4));
  EXPECT_EQ(learner.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(learner.error().detail, HasSubstr("not a voter"));
  EXPECT_TRUE(group.raft(1).transfer_leadership(NodeId(1)).has_value()) << "it leads already";
  group.crash(NodeId(3), 0, LogIndex(0));
  group.live(seconds(1));
  const Status silent = group.raft(1).transfer_leadership(NodeId(3));
  EXPECT_EQ(silent.error().code, ErrorCode::kConflict);
  EXPECT_THAT(silent.error().detail, HasSubstr("not answered"));
  EXPECT_EQ(group.raft(1).best_successor(), NodeId(2));
}

TEST(Thesis3_10, NotWhileTheMembershipChanges) {
  Group group(3);
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({3})}).has_value());
  EXPECT_EQ(group.raft(1).transfer_leadership(NodeId(2)).error().code, ErrorCode::kConflict);
}

TEST(Thesis3_10, OnlyTheLeaderOfTheTermIsObeyed) {
  Group group(3);
  Message word;
  word.kind = MessageKind::kTimeoutNow;
  word.from = NodeId(3);
  word.to = NodeId(2);
  word.term = group.raft(1).term();
  group.deliver(word);
  EXPECT_EQ(group.raft(2).role(), RaftRole::kFollower);
  word.from = NodeId(1);
  word.term = Term();
  group.deliver(word);
  EXPECT_EQ(group.raft(2).role(), RaftRole::kFollower) << "an old word";
  EXPECT_EQ(group.leader(), NodeId(1));
}

TEST(Thesis4_2_2, ALeaderThatIsRemovedAsksItsBestFollowerToStand) {
  Group group(3);
  ASSERT_TRUE(group.change(NodeId(1), {.remove = nodes({1})}).has_value());
  group.settle();
  EXPECT_FALSE(group.leader().is_none()) << "no time has passed";
  EXPECT_NE(group.leader(), NodeId(1));
}

}  // namespace
}  // namespace dogfs::raft
