#include "runtime/cli/drain_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace dogfs::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

// `blocks`: less those that are being written.
wire::ChunkServerInfo server(int64_t blocks, uint64_t nowhere_to_go, uint64_t busy = 0, uint64_t open = 0) {
  wire::ChunkServerInfo info;
  info.set_blocks(blocks + static_cast<int64_t>(open));
  info.set_open_blocks(open);
  const auto add = [&info](wire::RepairHindrance::Reason reason, uint64_t shards) {
    if (shards == 0) return;
    wire::RepairHindrance& hindrance = *info.add_hindrances();
    hindrance.set_reason(reason);
    hindrance.set_shards(shards);
  };
  add(wire::RepairHindrance::TOO_FEW_SERVERS, nowhere_to_go);
  add(wire::RepairHindrance::BUSY, busy);
  return info;
}

MonoTime at(int64_t s) {
  return MonoTime(seconds(s));
}
constexpr int64_t kPatience = std::chrono::duration_cast<seconds>(DrainWatch::kPatience).count();

TEST(DrainWatch, IsStuckWhenAllThatIsLeftStaysHeldUp) {
  DrainWatch watch(5);
  watch.see(server(5, 5), at(1));
  EXPECT_FALSE(watch.stuck(at(kPatience)));
  watch.see(server(5, 5), at(kPatience));
  EXPECT_TRUE(watch.stuck(at(1 + kPatience)));
}

TEST(DrainWatch, IsNotStuckWhileAnythingElseIsLeft) {
  DrainWatch watch(5);
  for (int64_t s = 0; s <= 2 * kPatience; ++s) {
    watch.see(server(6, 5), at(s));
    EXPECT_FALSE(watch.stuck(at(s))) << "a block is under way";
  }
  for (int64_t s = 0; s <= 2 * kPatience; ++s) {
    watch.see(server(5, 0, 5), at(s));
    EXPECT_FALSE(watch.stuck(at(s))) << "they wait their turn";
  }
  watch.see(server(0, 0), at(99));
  EXPECT_FALSE(watch.stuck(at(99 + kPatience))) << "it is empty";
}

TEST(DrainWatch, BeginsAnewWhenSomethingMovesOrNothingIsKnown) {
  DrainWatch watch(5);
  watch.see(server(5, 5), at(0));
  watch.see(server(4, 4), at(5));
  EXPECT_FALSE(watch.stuck(at(kPatience)));
  EXPECT_TRUE(watch.stuck(at(5 + kPatience)));
  watch.see_before_survey(server(4, 4));
  EXPECT_FALSE(watch.stuck(at(99)));
  watch.see(server(4, 4), at(100));
  EXPECT_FALSE(watch.stuck(at(99 + kPatience)));
}

TEST(DrainWatch, IsStuckBesideBlocksThatAreBeingWritten) {
  DrainWatch watch(5);
  watch.see(server(5, 5, 0, 2), at(0));
  EXPECT_TRUE(watch.stuck(at(kPatience))) << "these cannot go before they are committed";
  watch.see(server(5, 5, 0, 1), at(kPatience));
  EXPECT_TRUE(watch.stuck(at(kPatience))) << "one was given up, and none has moved";
  watch.see(server(6, 5), at(kPatience));
  EXPECT_FALSE(watch.stuck(at(kPatience))) << "one was committed, and may go";
}

TEST(DrainWatch, WaitsForBlocksThatAreBeingWritten) {
  DrainWatch watch(5);
  for (int64_t s = 0; s <= 2 * kPatience; ++s) watch.see(server(0, 0, 0, 1), at(s));
  EXPECT_FALSE(watch.stuck(at(2 * kPatience)));
}

TEST(DrainWatch, KnowsTheMostBlocksThereWere) {
  DrainWatch watch(13);
  EXPECT_EQ(watch.most_blocks(), 13);
  watch.see(server(13, 0, 0, 1), at(0));
  watch.see_before_survey(server(7, 0));
  EXPECT_EQ(watch.most_blocks(), 14);
}

TEST(DrainWatch, GivesUpWhenNoLeaderAnswersForLong) {
  DrainWatch watch(5);
  const Error no_leader(ErrorCode::kNoLeader);
  EXPECT_EQ(watch.miss(no_leader, at(0)), std::nullopt);
  EXPECT_TRUE(watch.missing());
  watch.see(server(5, 0), at(30));
  EXPECT_FALSE(watch.missing());
  EXPECT_EQ(watch.miss(no_leader, at(40)), std::nullopt);
  EXPECT_EQ(watch.miss(Error(ErrorCode::kTimeout), at(99)), std::nullopt);
  const std::optional<Error> end = watch.miss(no_leader, at(100));
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->code, ErrorCode::kUnavailable);
  EXPECT_THAT(end->detail, HasSubstr("no metadata leader has answered for 1:00"));
  EXPECT_THAT(end->detail, HasSubstr("the drain itself goes on"));
}

TEST(DrainWatch, GivesUpAtOnceForAFinalError) {
  DrainWatch watch(5);
  const Error gone(ErrorCode::kNotFound);
  EXPECT_EQ(watch.miss(gone, at(0)), gone);
}

TEST(DrainWatch, SaysWhatIsLeft) {
  const std::string text = describe_drain(server(1, 1, 0, 2), 13);
  EXPECT_THAT(text, HasSubstr("3 of 13 blocks are left (2 of files that are being written"));
  EXPECT_THAT(text, HasSubstr("held up: 1 shards"));
  EXPECT_THAT(describe_drain(server(1, 1), 13), Not(HasSubstr("written")));
}

TEST(DrainWatch, SaysWhatStandsInTheWay) {
  const std::string text = describe_stuck_drain(server(5, 5, 3, 1));
  EXPECT_THAT(text, HasSubstr("6 blocks are left (1 of files"));
  EXPECT_THAT(text, HasSubstr("add servers"));
  EXPECT_THAT(text, Not(HasSubstr("their turn"))) << "that is not why";
}

}  // namespace
}  // namespace dogfs::cli
