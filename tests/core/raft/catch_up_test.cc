// When a new server has caught up: Ongaro's thesis, 4.2.1.
#include "core/raft/catch_up.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace dogfs::raft {
namespace {

TEST(Thesis4_2_1, UnderLoadALearnerIsPromotedWhenItsLastRoundWasShort) {
  const Duration limit = milliseconds(300);
  MonoTime now{};
  CatchUp catch_up(LogIndex(100), now);
  EXPECT_FALSE(catch_up.is_caught_up(LogIndex(0), LogIndex(100), now, limit));
  catch_up.acknowledged(LogIndex(100), LogIndex(200), now += seconds(5));
  EXPECT_FALSE(catch_up.is_caught_up(LogIndex(100), LogIndex(200), now, limit)) << "the first round took 5 seconds";
  catch_up.acknowledged(LogIndex(200), LogIndex(210), now += milliseconds(50));
  EXPECT_TRUE(catch_up.is_caught_up(LogIndex(200), LogIndex(210), now, limit));
  EXPECT_FALSE(catch_up.is_caught_up(LogIndex(200), LogIndex(210), now + seconds(1), limit)) << "it has fallen silent";
}

// The learner has all of ten entries, and has had them for long.
CatchUp idle_with_ten_entries(MonoTime& now) {
  CatchUp catch_up(LogIndex(10), now);
  catch_up.acknowledged(LogIndex(10), LogIndex(10), now += milliseconds(10));
  now += seconds(100);
  return catch_up;
}

TEST(Thesis4_2_1, ALearnerThatHasEverythingStaysCaughtUpHoweverLongNothingHappens) {
  const Duration limit = milliseconds(300);
  MonoTime now{};
  CatchUp catch_up = idle_with_ten_entries(now);
  catch_up.appended(LogIndex(11), now);
  EXPECT_TRUE(catch_up.is_caught_up(LogIndex(10), LogIndex(11), now, limit));
  catch_up.appended(LogIndex(12), now += milliseconds(10));
  catch_up.acknowledged(LogIndex(11), LogIndex(12), now += milliseconds(10));
  EXPECT_TRUE(catch_up.is_caught_up(LogIndex(11), LogIndex(12), now, limit));
}

TEST(Thesis4_2_1, ALearnerThatHadEverythingFallsBehindAnElectionTimeoutAfterTheLogGrew) {
  const Duration limit = milliseconds(300);
  MonoTime now{};
  CatchUp catch_up = idle_with_ten_entries(now);
  catch_up.appended(LogIndex(11), now);
  catch_up.appended(LogIndex(70), now += milliseconds(200));
  EXPECT_TRUE(catch_up.is_caught_up(LogIndex(10), LogIndex(70), now, limit));
  EXPECT_FALSE(catch_up.is_caught_up(LogIndex(10), LogIndex(70), now += milliseconds(101), limit));
  // What it acknowledges at last was a long round; the next is short.
  catch_up.acknowledged(LogIndex(70), LogIndex(80), now += seconds(5));
  EXPECT_FALSE(catch_up.is_caught_up(LogIndex(70), LogIndex(80), now, limit));
  catch_up.acknowledged(LogIndex(80), LogIndex(90), now += milliseconds(20));
  EXPECT_TRUE(catch_up.is_caught_up(LogIndex(80), LogIndex(90), now, limit));
}

// Model: the log grows all the time, and the learner has at each moment what the leader had some time before. That is
// how long a new entry takes to be on it, and what the rounds are to find out.
RC_GTEST_PROP(CatchUp, FindsHowFarALearnerIsBehindALogThatGrows, ()) {
  const Duration limit = milliseconds(300);
  const auto behind = *rc::gen::inRange<int64_t>(1, 600);
  const auto pace = *rc::gen::inRange<int64_t>(1, 50);  // an answer each so many ms
  const auto entries_per_ms = *rc::gen::inRange<int64_t>(1, 20);
  const auto last_at = [&](int64_t ms) { return LogIndex(static_cast<uint64_t>(100 + ms * entries_per_ms)); };
  const auto match_at = [&](int64_t ms) { return ms < behind ? LogIndex() : last_at(ms - behind); };

  CatchUp catch_up(last_at(0), MonoTime());
  bool caught_up = false;
  for (int64_t ms = 0; ms < 3000; ++ms) {
    const MonoTime now = MonoTime() + milliseconds(ms);
    if (ms % pace == 0) catch_up.acknowledged(match_at(ms), last_at(ms), now);
    caught_up = catch_up.is_caught_up(match_at(ms), last_at(ms), now, limit);
    if (milliseconds(behind) > limit) RC_ASSERT(!caught_up);
  }
  if (milliseconds(behind + pace) <= limit) RC_ASSERT(caught_up);
}

}  // namespace
}  // namespace dogfs::raft
