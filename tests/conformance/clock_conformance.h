// The rules of the Clock port and its Waiter (core/env/clock.h), for both twins.
//
// A World is default-constructible and gives: Harness& harness();
#pragma once

#include <memory>

#include "core/env/clock.h"
#include "core/env/sync.h"
#include "tests/conformance/harness.h"

namespace dogfs {

template <class World>
class ClockConformance : public testing::Test {
 protected:
  World world;
  Harness& harness = world.harness();
  Clock& clock = harness.clock();
  std::unique_ptr<Waiter> waiter = clock.make_waiter();

  Task<void> wait_ends_at_its_deadline() {
    const MonoTime deadline = clock.now() + milliseconds(5);
    const bool notified = co_await waiter->wait_until(deadline);
    EXPECT_FALSE(notified);
    EXPECT_GE(clock.now(), deadline);
  }

  Task<void> past_deadline_ends_at_once() {
    const bool notified = co_await waiter->wait_until(clock.now() - seconds(1));
    EXPECT_FALSE(notified);
  }

  Task<void> notification_ends_a_wait() {
    TaskGroup group(harness.executor(), clock);
    bool ended = false;
    group.spawn(wait_for_ever(ended));
    co_await sleep_for(clock, milliseconds(1));
    EXPECT_FALSE(ended);
    waiter->notify();
    EXPECT_FALSE(ended) << "a waiting coroutine was resumed inline";
    co_await group.join();
    EXPECT_TRUE(ended);
  }

  Task<void> wait_for_ever(bool& ended) {
    const bool notified = co_await waiter->wait_until(kNever);
    EXPECT_TRUE(notified);
    ended = true;
  }

  Task<void> set(bool& flag) {
    flag = true;
    co_return;
  }

  Task<void> spawn_never_runs_inline() {
    TaskGroup group(harness.executor(), clock);
    bool ran = false;
    group.spawn(set(ran));
    EXPECT_FALSE(ran) << "a spawned task ran before spawn() returned";
    co_await group.join();
    EXPECT_TRUE(ran);
  }

  Task<void> notification_is_remembered_once() {
    waiter->notify();
    waiter->notify();
    const bool first = co_await waiter->wait_until(kNever);
    EXPECT_TRUE(first);
    const bool second = co_await waiter->wait_until(clock.now() + milliseconds(1));
    EXPECT_FALSE(second);
  }

  Task<void> time_goes_forward() {
    const MonoTime before = clock.now();
    co_await sleep_for(clock, milliseconds(2));
    EXPECT_GE(clock.now() - before, milliseconds(2));
    EXPECT_GT(clock.wall().time_since_epoch(), Duration::zero());
  }

  Task<void> many_sleepers_all_wake() {
    TaskGroup group(harness.executor(), clock);
    size_t woken = 0;
    for (int i = 0; i < 200; ++i) group.spawn(sleep_and_count(milliseconds(i % 7), woken));
    co_await group.join();
    EXPECT_EQ(woken, 200U);
  }

  Task<void> sleep_and_count(Duration duration, size_t& woken) {
    co_await sleep_for(clock, duration);
    ++woken;
  }
};

TYPED_TEST_SUITE_P(ClockConformance);

#define DOGFS_CLOCK_TEST(Name, body)     \
  TYPED_TEST_P(ClockConformance, Name) { \
    this->harness.run(this->body());     \
  }

DOGFS_CLOCK_TEST(WaitEndsAtItsDeadline, wait_ends_at_its_deadline)
DOGFS_CLOCK_TEST(PastDeadlineEndsAtOnce, past_deadline_ends_at_once)
DOGFS_CLOCK_TEST(NotificationEndsAWait, notification_ends_a_wait)
DOGFS_CLOCK_TEST(SpawnNeverRunsInline, spawn_never_runs_inline)
DOGFS_CLOCK_TEST(NotificationIsRememberedOnce, notification_is_remembered_once)
DOGFS_CLOCK_TEST(TimeGoesForward, time_goes_forward)
DOGFS_CLOCK_TEST(ManySleepersAllWake, many_sleepers_all_wake)

#undef DOGFS_CLOCK_TEST

REGISTER_TYPED_TEST_SUITE_P(ClockConformance, WaitEndsAtItsDeadline, PastDeadlineEndsAtOnce, NotificationEndsAWait,
                            SpawnNeverRunsInline, NotificationIsRememberedOnce, TimeGoesForward, ManySleepersAllWake);

}  // namespace dogfs
