// Nothing is deleted for a successor that its own server has not confirmed.
#include "core/meta/successors.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"

namespace dogfs {
namespace {

constexpr uint64_t kIncarnation = 7;

class SuccessorsTest : public ::testing::Test {
 protected:
  static PlacedShard shard(uint64_t block, uint64_t server = 1) {
    return {
        .server = ServerId(server), .block = BlockId(block), .index = ShardIndex(2), .generation = ShardGeneration(3)};
  }
  bool is_confirmed(uint64_t block, uint64_t incarnation = kIncarnation) {
    return successors.is_confirmed(shard(block), incarnation, now);
  }
  int asked(uint64_t server = 1) {
    wire::HeartbeatReply reply;
    successors.tell(ServerId(server), reply);
    return reply.confirm_size();
  }
  static wire::HeartbeatRequest heartbeat(uint64_t incarnation = kIncarnation) {
    wire::HeartbeatRequest heartbeat;
    heartbeat.set_server(1);
    heartbeat.set_incarnation(incarnation);
    return heartbeat;
  }
  void say_whole(uint64_t block, uint64_t incarnation = kIncarnation) {
    wire::HeartbeatRequest said = heartbeat(incarnation);
    *said.add_whole() = shard_name(shard(block));
    successors.hear(said, now);
  }

  Successors successors;
  MonoTime now{seconds(100)};
};

TEST_F(SuccessorsTest, AreAskedForWhenSomebodyWaitsForThem) {
  EXPECT_EQ(asked(), 0);
  EXPECT_FALSE(is_confirmed(5));
  EXPECT_EQ(asked(2), 0) << "another server";
  EXPECT_EQ(asked(), 1);
  EXPECT_EQ(asked(), 0) << "each is told once";
  EXPECT_FALSE(is_confirmed(5));
  EXPECT_EQ(asked(), 1) << "who waits asks again";
  say_whole(5);
  EXPECT_TRUE(is_confirmed(5));
  EXPECT_FALSE(is_confirmed(6));
}

TEST_F(SuccessorsTest, AreConfirmedByTheProcessThatIsThereNow) {
  say_whole(5);
  EXPECT_FALSE(is_confirmed(5, kIncarnation + 1)) << "its disk may have come up empty";
  successors.hear(heartbeat(kIncarnation + 1), now);
  EXPECT_FALSE(is_confirmed(5, kIncarnation + 1));
  say_whole(5, kIncarnation + 1);
  EXPECT_TRUE(is_confirmed(5, kIncarnation + 1));
}

TEST_F(SuccessorsTest, AreConfirmedNoMoreOnceTheyAreDamaged) {
  say_whole(5);
  wire::HeartbeatRequest said = heartbeat();
  *said.add_damaged() = shard_name(shard(5));
  successors.hear(said, now);
  EXPECT_FALSE(is_confirmed(5));
}

TEST_F(SuccessorsTest, AreAskedForAnewAfterAWhile) {
  say_whole(5);
  now += seconds(15);
  EXPECT_TRUE(is_confirmed(5));
  now += milliseconds(1);
  EXPECT_FALSE(is_confirmed(5)) << "its disk may have failed since";
  EXPECT_EQ(asked(), 1);
}

TEST_F(SuccessorsTest, AreAskedForInPortions) {
  for (uint64_t block = 1; block <= uint64_t{kMaxShardsPerHeartbeat} + 10; ++block) EXPECT_FALSE(is_confirmed(block));
  EXPECT_EQ(asked(), kMaxShardsPerHeartbeat);
  EXPECT_EQ(asked(), 10);
}

}  // namespace
}  // namespace dogfs
