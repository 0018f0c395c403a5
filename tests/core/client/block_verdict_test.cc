#include "core/client/block_verdict.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace dogfs {
namespace {

constexpr BlockPatience kPatience{.straggler_timeout = seconds(5),
                                  .stuck_timeout = seconds(5),
                                  .refused_timeout = milliseconds(300),
                                  .write_patience = seconds(60)};

BlockProgress progress(uint32_t sealed, uint32_t stalled) {
  return {.stored = 9, .required = 7, .sealed = sealed, .stalled = stalled};
}

TEST(BlockVerdict, EveryShardSealedCommitsAtOnce) {
  EXPECT_EQ(judge(progress(9, 0), kPatience), BlockVerdict::kCommit);
}

TEST(BlockVerdict, AStragglerIsSentElsewhereWhenItsTimeIsOver) {
  BlockProgress late = progress(8, 0);
  late.since_required = seconds(5);
  EXPECT_TRUE(is_straggler(seconds(9), late, kPatience));
  EXPECT_TRUE(is_straggler(seconds(5), late, kPatience));
  EXPECT_FALSE(is_straggler(milliseconds(4999), late, kPatience)) << "a stand-in has a time of its own";
  EXPECT_EQ(judge(late, kPatience), BlockVerdict::kWait);
  late.since_required = milliseconds(4999);
  EXPECT_FALSE(is_straggler(seconds(9), late, kPatience)) << "the others were no faster";
  late = progress(6, 0);
  late.since_required = seconds(5);
  EXPECT_FALSE(is_straggler(seconds(9), late, kPatience));
}

TEST(BlockVerdict, StandInsAreWaitedForUntilThePatienceIsOver) {
  BlockProgress late = progress(8, 0);
  late.since_required = seconds(59);
  EXPECT_EQ(judge(late, kPatience), BlockVerdict::kWait);
  late.since_required = seconds(60);
  EXPECT_EQ(judge(late, kPatience), BlockVerdict::kCommit);
}

TEST(BlockVerdict, AShardWithoutAServerIsNotWaitedFor) {
  EXPECT_EQ(judge(progress(8, 1), kPatience), BlockVerdict::kCommit);
  EXPECT_EQ(judge(progress(7, 2), kPatience), BlockVerdict::kCommit);
  EXPECT_EQ(judge(progress(7, 1), kPatience), BlockVerdict::kWait);
}

TEST(BlockVerdict, TooManyShardsWithoutAServerAreSentElsewhereAfterAWhile) {
  BlockProgress stuck = progress(6, 3);
  EXPECT_EQ(judge(stuck, kPatience), BlockVerdict::kWait);
  stuck.since_stuck = seconds(5);
  EXPECT_EQ(judge(stuck, kPatience), BlockVerdict::kBeginAnew);
}

TEST(BlockVerdict, ABlockThatGetsNoFurtherIsGivenUpThoughServersAreLeftToTry) {
  BlockProgress behind = progress(5, 1);
  behind.since_behind = seconds(59);
  EXPECT_EQ(judge(behind, kPatience), BlockVerdict::kWait);
  behind.since_behind = seconds(60);
  EXPECT_EQ(judge(behind, kPatience), BlockVerdict::kGiveUp);
  BlockProgress stuck = progress(6, 3);
  stuck.since_stuck = stuck.since_behind = seconds(60);
  EXPECT_EQ(judge(stuck, kPatience), BlockVerdict::kGiveUp) << "it was begun anew before";
}

TEST(BlockVerdict, AFileWhoseServersRefuseItFromTheStartEndsSooner) {
  BlockProgress stuck = progress(6, 3);
  stuck.since_stuck = milliseconds(300);
  EXPECT_EQ(judge(stuck, kPatience), BlockVerdict::kWait);
  stuck.refused = true;
  EXPECT_EQ(judge(stuck, kPatience), BlockVerdict::kBeginAnew);
  BlockProgress enough = progress(6, 2);
  enough.refused = true;
  EXPECT_EQ(judge(enough, kPatience), BlockVerdict::kWait);
}

RC_GTEST_PROP(BlockVerdict, NeverCommitsBelowWhatIsRequiredAndAlwaysEnds, ()) {
  const auto d = *rc::gen::inRange<uint32_t>(1, 33);
  const auto m = *rc::gen::inRange<uint32_t>(1, 17);
  BlockProgress some{.stored = d + m, .required = d + 1};
  some.sealed = *rc::gen::inRange<uint32_t>(0, d + m + 1);
  some.stalled = *rc::gen::inRange<uint32_t>(0, d + m - some.sealed + 1);
  some.since_required = some.sealed >= some.required ? milliseconds(*rc::gen::inRange(0, 100'000)) : milliseconds(0);
  some.since_stuck = is_stuck(some) ? milliseconds(*rc::gen::inRange(0, 10'000)) : milliseconds(0);
  some.since_behind = some.sealed < some.required ? milliseconds(*rc::gen::inRange(0, 100'000)) : milliseconds(0);
  some.refused = *rc::gen::arbitrary<bool>();
  const BlockVerdict verdict = judge(some, kPatience);
  RC_ASSERT(verdict != BlockVerdict::kCommit || some.sealed >= d + 1);
  // It goes short only of what has nowhere to go, or when the time for stand-ins is over.
  const bool under_way = some.sealed + some.stalled < some.stored;
  const bool in_time = some.since_required < kPatience.write_patience;
  RC_ASSERT(verdict != BlockVerdict::kCommit || !under_way || !in_time);
  RC_ASSERT(verdict != BlockVerdict::kWait || in_time);
  const Duration since_sent = milliseconds(*rc::gen::inRange(0, 100'000));
  const bool straggler = is_straggler(since_sent, some, kPatience);
  RC_ASSERT(!straggler || (some.sealed >= d + 1 && since_sent >= kPatience.straggler_timeout));
  RC_ASSERT(straggler || some.sealed < d + 1 || since_sent < kPatience.straggler_timeout ||
            some.since_required < kPatience.straggler_timeout);
  RC_ASSERT(verdict != BlockVerdict::kGiveUp || some.sealed < d + 1);
  RC_ASSERT(verdict != BlockVerdict::kBeginAnew || is_stuck(some));
  RC_ASSERT(verdict != BlockVerdict::kWait || some.since_behind < kPatience.write_patience);
  // Once nothing streams any more, time alone brings an end.
  if (some.sealed + some.stalled == some.stored) {
    some.since_required = some.since_stuck = seconds(10);
    RC_ASSERT(judge(some, kPatience) != BlockVerdict::kWait);
  }
}

}  // namespace
}  // namespace dogfs
