// How a group is formed, and what becomes of a member that has lost its disk (core/raft/formation.cc).
#include <gtest/gtest.h>

#include "tests/core/raft/group.h"

namespace dogfs::raft {
namespace {

const NodeId kOne(1);
const NodeId kTwo(2);
const NodeId kThree(3);

class Formation : public testing::Test {
 protected:
  void form() {
    group_.campaign(kOne);
    group_.settle();
    ASSERT_EQ(group_.leader(), kOne);
  }
  Raft& raft(NodeId id) { return *group_.node(id).raft; }
  void crash(NodeId id) { group_.crash(id, 0, LogIndex()); }
  // Moves what is under way, but loses what has to do with `cut_off`.
  void settle_without(NodeId cut_off) {
    for (int round = 0; round < 20; ++round) {
      for (auto& [id, node] : group_.nodes()) {
        group_.persist_all(id);
        group_.apply(id);
      }
      for (const Message& message : std::exchange(group_.network(), {})) {
        if (message.from != cut_off && message.to != cut_off) group_.deliver(message);
      }
    }
  }
  // Node 1 leads, and all is well.
  void live() {
    group_.advance(milliseconds(700));
    group_.tick(kOne);
    group_.campaign(kOne);
    group_.settle();
    for (int i = 0; i < 10; ++i) {
      group_.advance(milliseconds(50));
      group_.tick(kOne);
      group_.settle();
    }
  }
  // As when nobody hears from a leader: each stands again and again.
  void everybody_stands() {
    for (int round = 0; round < 10; ++round) {
      for (auto& [id, node] : group_.nodes()) {
        group_.advance(milliseconds(700));
        group_.campaign(id);
        group_.settle();
      }
    }
  }

  TestCluster group_{3, Options(), 1, TestStores::kNamed};
};

TEST_F(Formation, TakesAllTheFirstVoters) {
  crash(kThree);
  everybody_stands();
  EXPECT_TRUE(group_.leader().is_none());
  EXPECT_TRUE(raft(kOne).forms() && !raft(kOne).is_counted());
  group_.restart(kThree);
  form();
  for (const NodeId id : {kOne, kTwo, kThree}) {
    EXPECT_TRUE(raft(id).is_counted() && !raft(id).forms()) << id.value();
    EXPECT_EQ(raft(id).configuration().store_of(id), raft(id).store());
  }
  EXPECT_EQ(group_.violation(), std::nullopt);
}

TEST_F(Formation, IsToldToNobodyBeforeItIsDurable) {
  group_.campaign(kOne);
  for (int i = 0; i < 100 && raft(kOne).log().last_index().is_none(); ++i) {
    for (const NodeId id : {kOne, kTwo, kThree}) {
      if (raft(kOne).log().last_index().is_none()) group_.persist_all(id);
    }
    if (!group_.network().empty()) {
      const Message message = group_.network().front();
      group_.network().pop_front();
      group_.deliver(message);
    }
  }
  ASSERT_EQ(raft(kOne).log().last_index(), LogIndex(1));
  EXPECT_EQ(raft(kOne).role(), RaftRole::kCandidate);
  EXPECT_TRUE(group_.network().empty());
  // It forgets it, and nothing has happened.
  crash(kOne);
  group_.restart(kOne);
  EXPECT_TRUE(raft(kOne).forms());
  everybody_stands();
  EXPECT_FALSE(group_.leader().is_none());
  EXPECT_EQ(group_.violation(), std::nullopt);
}

// With nodes 1 and 2 it was committed, which node 3 does not know.
TEST_F(Formation, AVoterThatLostItsDiskElectsNobody) {
  form();
  group_.propose(kOne, {"x"});
  settle_without(kThree);
  ASSERT_EQ(raft(kOne).commit(), LogIndex(3));
  ASSERT_EQ(raft(kThree).log().last_index(), LogIndex(2));
  group_.lose_disk(kTwo);
  group_.restart(kTwo);
  crash(kOne);
  everybody_stands();
  EXPECT_TRUE(group_.leader().is_none());
  EXPECT_TRUE(raft(kTwo).forms());

  group_.restart(kOne);
  everybody_stands();
  ASSERT_EQ(group_.leader(), kOne);
  ASSERT_TRUE(group_.propose(kOne, {"y"}));
  group_.settle();
  live();
  EXPECT_EQ(raft(kThree).commit(), raft(kOne).log().last_index());
  EXPECT_TRUE(raft(kTwo).forms());
  EXPECT_TRUE(raft(kOne).progress().at(kTwo).has_lost_store());
  EXPECT_FALSE(raft(kOne).progress().at(kThree).has_lost_store());
  EXPECT_EQ(group_.violation(), std::nullopt);
}

TEST_F(Formation, TwoVotersThatLostTheirDisksElectNobody) {
  form();
  group_.propose(kOne, {"x"});
  group_.settle();
  for (const NodeId id : {kTwo, kThree}) {
    group_.lose_disk(id);
    group_.restart(id);
  }
  group_.advance(milliseconds(700));
  group_.tick(kOne);
  everybody_stands();
  EXPECT_TRUE(group_.leader().is_none());
  crash(kOne);
  everybody_stands();
  EXPECT_TRUE(group_.leader().is_none());
  EXPECT_EQ(group_.violation(), std::nullopt);
}

TEST_F(Formation, AVoterThatDidNotHearOfItsEndIsCounted) {
  group_.campaign(kOne);
  // Up to the moment at which node 1 has all votes.
  for (int i = 0; i < 100 && raft(kOne).log().last_index().is_none(); ++i) {
    for (const NodeId id : {kOne, kTwo, kThree}) group_.persist_all(id);
    for (const Message& message : std::exchange(group_.network(), {})) group_.deliver(message);
  }
  settle_without(kThree);
  ASSERT_EQ(group_.leader(), kOne);
  ASSERT_TRUE(raft(kThree).forms());
  crash(kOne);
  everybody_stands();
  EXPECT_EQ(group_.leader(), kTwo);
  EXPECT_TRUE(raft(kThree).is_counted());
  EXPECT_EQ(group_.violation(), std::nullopt);
}

TEST_F(Formation, AVoteGivenToAnEarlierStoreOfACandidateIsNoVote) {
  group_.campaign(kOne);
  std::vector<Message> votes;
  for (int i = 0; i < 100 && votes.size() < 2; ++i) {
    for (const NodeId id : {kOne, kTwo, kThree}) group_.persist_all(id);
    for (const Message& message : std::exchange(group_.network(), {})) {
      if (message.kind == MessageKind::kVoteReply) {
        votes.push_back(message);
      } else {
        group_.deliver(message);
      }
    }
  }
  ASSERT_EQ(votes.size(), 2u);
  group_.lose_disk(kOne);
  group_.restart(kOne);
  // In the same term, it has its own vote only.
  group_.campaign(kOne);
  for (const NodeId id : {kTwo, kThree}) {
    Message granted = votes.front();
    granted.kind = MessageKind::kPreVoteReply;
    granted.from = id;
    granted.from_store = raft(id).store();
    granted.to_store = raft(kOne).store();
    group_.deliver(granted);
  }
  ASSERT_EQ(raft(kOne).role(), RaftRole::kCandidate);
  ASSERT_EQ(raft(kOne).term(), votes.front().term);
  group_.persist_all(kOne);
  for (const Message& vote : votes) group_.deliver(vote);
  EXPECT_EQ(raft(kOne).role(), RaftRole::kCandidate);
  EXPECT_TRUE(raft(kOne).forms());
  // Nor is it given one: this term's are for the store that it lost.
  group_.settle();
  EXPECT_TRUE(raft(kOne).forms());
  EXPECT_EQ(group_.violation(), std::nullopt);
}

TEST_F(Formation, AJoinedVoterIsCountedWithTheStoreThatCaughtUp) {
  form();
  group_.join(NodeId(4));
  ASSERT_TRUE(group_.change(kOne, add(4)).has_value());
  group_.settle();
  live();
  // As a learner it may lose everything, and gets it again.
  group_.lose_disk(NodeId(4));
  const LogIndex had = raft(kOne).progress().at(NodeId(4)).match();
  group_.restart(NodeId(4));
  // It has answered from its new store, and nothing has reached that yet.
  group_.advance(raft(kOne).options().heartbeat_interval);
  group_.tick(kOne);
  for (int round = 0; round < 2; ++round) {
    for (const Message& message : std::exchange(group_.network(), {})) group_.deliver(message);
  }
  EXPECT_GT(had, raft(kOne).progress().at(NodeId(4)).match());
  EXPECT_EQ(group_.change(kOne, {.promote = {NodeId(4)}}).error().code, ErrorCode::kBusy);
  live();
  ASSERT_EQ(raft(NodeId(4)).log().last_index(), raft(kOne).log().last_index());
  ASSERT_TRUE(group_.change(kOne, {.promote = {NodeId(4)}}).has_value());
  group_.settle();
  EXPECT_TRUE(raft(NodeId(4)).is_counted());
  EXPECT_EQ(raft(kOne).configuration().store_of(NodeId(4)), raft(NodeId(4)).store());
  // As a voter it may not.
  group_.lose_disk(NodeId(4));
  group_.restart(NodeId(4));
  live();
  EXPECT_TRUE(raft(kOne).progress().at(NodeId(4)).has_lost_store());
  crash(kOne);
  crash(kTwo);
  everybody_stands();
  EXPECT_TRUE(group_.leader().is_none()) << "of four voters two are down, and one is not what it was";
  group_.restart(kTwo);
  everybody_stands();
  EXPECT_TRUE(group_.leader().is_none());
  group_.restart(kOne);
  everybody_stands();
  ASSERT_FALSE(group_.leader().is_none());
  live();
  ASSERT_TRUE(group_.change(group_.leader(), {.remove = {NodeId(4)}}).has_value());
  group_.settle();
  EXPECT_TRUE(raft(kTwo).configuration().store_of(NodeId(4)).is_none());
  EXPECT_EQ(group_.violation(), std::nullopt);
}

TEST(FormationOfOne, NeedsNobodyElse) {
  TestCluster group(1, Options(), 1, TestStores::kNamed);
  group.tick(kOne);
  group.settle();
  EXPECT_EQ(group.leader(), kOne);
  EXPECT_TRUE(group.node(kOne).raft->is_counted());
}

}  // namespace
}  // namespace dogfs::raft
