// Messages that are not for this member, or that no member sends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/raft/member.h"

namespace dogfs::raft {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST(Strangers, MessagesOfOtherGroupsAndReceiversAndAnswersOfOtherNodesAreIgnored) {
  Member member;
  Message message = member.message(MessageKind::kAppend, 2, 7);
  Message other_group = message;
  other_group.group = GroupId(2);
  Message stranger = message;
  stranger.kind = MessageKind::kAppendReply;
  stranger.from = NodeId(9);
  Message for_another = message;
  for_another.to = NodeId(3);
  Message own = message;
  own.from = NodeId(1);
  for (const Message& each : {other_group, stranger, for_another, own}) {
    member.step(each);
    EXPECT_EQ(member.raft().term(), Term(0));
    EXPECT_THAT(member.sent(), IsEmpty());
  }
}

TEST(Strangers, ImpossibleMessagesAreRefusedAndReported) {
  Member follower({.log = {1, 1}});
  follower.step(append(follower, 1, at(2, 1), {}, 2));
  follower.step(append(follower, 2, at(0, 0), {2}));
  EXPECT_EQ(follower.raft().log().last(), at(2, 1));
  follower.step(heartbeat(follower, 2, 50));
  EXPECT_EQ(follower.raft().commit(), LogIndex(2));
  follower.step(follower.message(MessageKind::kHeartbeat, 3, 2));
  EXPECT_THAT(follower.effects().violations, SizeIs(2)) << "a commit beyond the log, a second leader";

  Member leader;
  leader.become_leader();
  leader.acknowledge(2, 99);
  EXPECT_EQ(leader.raft().commit(), LogIndex(0));
  leader.step(append(leader, 1, at(0, 0), {}));
  EXPECT_EQ(leader.raft().role(), RaftRole::kLeader);
  EXPECT_THAT(leader.effects().violations, SizeIs(2));
}

}  // namespace
}  // namespace dogfs::raft
