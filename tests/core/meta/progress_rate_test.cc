// How long what is left will take.
#include "core/meta/progress_rate.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace dogfs {
namespace {

MonoTime at(int64_t s) {
  return MonoTime(seconds(s));
}

TEST(ProgressRate, NothingIsKnownBeforeItHasGoneOnForAWhile) {
  ProgressRate rate;
  EXPECT_EQ(rate.per_hour(), 0u);
  EXPECT_EQ(rate.time_for(7), std::nullopt);
  rate.note(100, at(0));
  EXPECT_EQ(rate.time_for(100), std::nullopt);
  rate.note(99, at(4));
  EXPECT_EQ(rate.time_for(99), std::nullopt) << "one swallow";
  rate.note(95, at(5));
  EXPECT_EQ(rate.time_for(95), seconds(95));
  EXPECT_EQ(rate.per_hour(), 3600u);
}

TEST(ProgressRate, WithoutProgressNothingIsKnown) {
  ProgressRate rate;
  for (int64_t s = 0; s < 100; ++s) rate.note(100, at(s));
  EXPECT_EQ(rate.time_for(100), std::nullopt);
}

TEST(ProgressRate, TheTimeBeforeTheFirstProgressDoesNotCount) {
  ProgressRate rate;
  for (int64_t s = 0; s <= 300; ++s) rate.note(100, at(s));
  for (int64_t s = 1; s <= 10; ++s) rate.note(100 - static_cast<uint64_t>(s), at(300 + s));
  EXPECT_EQ(rate.time_for(90), seconds(90));
}

TEST(ProgressRate, WhatIsAddedIsNoStepBack) {
  ProgressRate rate;
  uint64_t left = 100;
  for (int64_t s = 0; s <= 10; ++s) {
    rate.note(left, at(s));
    left -= 1;
    if (s == 5) left += 1000;
  }
  // The step in which more came is not known to have been progress.
  EXPECT_EQ(rate.per_hour(), 3600u * 9 / 10);
}

TEST(ProgressRate, WhatHappenedLongAgoIsForgotten) {
  ProgressRate rate;
  uint64_t left = 1'000'000;
  int64_t s = 0;
  for (; s < 600; ++s) rate.note(left -= 100, at(s));
  EXPECT_EQ(rate.per_hour(), 360'000u);
  for (; s < 1300; ++s) rate.note(left -= 1, at(s));
  EXPECT_NEAR(static_cast<double>(rate.per_hour()), 3600, 100);
}

TEST(ProgressRate, AStallMakesItLongerUntilNothingIsKnownAnyMore) {
  ProgressRate rate;
  uint64_t left = 1000;
  int64_t s = 0;
  for (; s <= 60; ++s) rate.note(left--, at(s));
  const auto before = rate.time_for(left);
  for (; s < 200; ++s) rate.note(left, at(s));
  EXPECT_GT(rate.time_for(left), before);
  for (; s < 1000; ++s) rate.note(left, at(s));
  EXPECT_EQ(rate.time_for(left), std::nullopt);
}

TEST(ProgressRate, NoNumberIsTooGreat) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  ProgressRate rate;
  rate.note(kMost, at(0));
  rate.note(kMost - 1, at(1'000'000));
  EXPECT_GT(rate.time_for(kMost), seconds(1));
  ProgressRate fast;
  fast.note(kMost, at(0));
  fast.note(0, at(6));
  EXPECT_EQ(fast.per_hour(), kMost);
  EXPECT_EQ(fast.time_for(0), milliseconds(0));
}

// A steady pace is found whatever it is.
RC_GTEST_PROP(ProgressRateProperty, ASteadyPaceIsFound, ()) {
  const auto step = *rc::gen::inRange<uint64_t>(1, 1000);
  const auto interval = *rc::gen::inRange<int64_t>(1, 60);
  ProgressRate rate;
  uint64_t left = 10'000'000;
  for (int64_t i = 0; i < 30; ++i) rate.note(left -= step, at(i * interval));
  RC_ASSERT(rate.time_for(step * 100) == seconds(interval * 100));
}

}  // namespace
}  // namespace dogfs
