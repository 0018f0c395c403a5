#include "sim/paced_clock.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/env/sync.h"

namespace dogfs::sim {
namespace {

class PacedClockTest : public testing::Test {
 protected:
  PacedClockTest() : executor_(simulator_, simulator_.boot(simulator_.add_node())), clock_(executor_) {}

  static Task<void> wait(Clock& clock, Waiter& waiter, MonoTime deadline, std::vector<MonoTime>& ended,
                         std::vector<bool>& notified) {
    notified.push_back(co_await waiter.wait_until(deadline));
    ended.push_back(clock.now());
  }
  void start(Waiter& waiter, MonoTime deadline) { spawn(executor_, wait(clock_, waiter, deadline, ended_, notified_)); }
  void run_for(Duration duration) {
    const VirtualTime end = simulator_.now() + duration;
    while (simulator_.step(end)) {
    }
  }

  Simulator simulator_{1};
  SimExecutor executor_;
  PacedClock clock_;
  std::vector<MonoTime> ended_;
  std::vector<bool> notified_;
};

TEST_F(PacedClockTest, ADeadlineThatHasPassedEndsTheWaitAtTheNextBeatOnly) {
  const std::unique_ptr<Waiter> waiter = clock_.make_waiter();
  const MonoTime deadline = clock_.now() + seconds(1);
  start(*waiter, deadline);
  run_for(std::chrono::hours(1000));
  EXPECT_TRUE(ended_.empty());
  clock_.beat();
  run_for(seconds(0));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_FALSE(notified_[0]);
  EXPECT_GE(ended_[0], deadline);
}

TEST_F(PacedClockTest, ABeatBeforeTheDeadlineEndsNothing) {
  const std::unique_ptr<Waiter> waiter = clock_.make_waiter();
  start(*waiter, clock_.now() + seconds(10));
  run_for(seconds(9));
  clock_.beat();
  run_for(seconds(0));
  EXPECT_TRUE(ended_.empty());
}

TEST_F(PacedClockTest, ANotificationNeedsNoBeat) {
  const std::unique_ptr<Waiter> waiter = clock_.make_waiter();
  start(*waiter, kNever);
  run_for(seconds(1));
  waiter->notify();
  run_for(seconds(0));
  ASSERT_EQ(notified_.size(), 1U);
  EXPECT_TRUE(notified_[0]);
}

TEST_F(PacedClockTest, ADeadlineThatHasComeAlreadyNeedsNoBeat) {
  run_for(seconds(5));
  const std::unique_ptr<Waiter> waiter = clock_.make_waiter();
  start(*waiter, clock_.now());
  run_for(seconds(0));
  ASSERT_EQ(notified_.size(), 1U);
  EXPECT_FALSE(notified_[0]);
}

TEST_F(PacedClockTest, ANotificationBetweenWaitsIsRemembered) {
  const std::unique_ptr<Waiter> waiter = clock_.make_waiter();
  waiter->notify();
  start(*waiter, kNever);
  run_for(seconds(0));
  ASSERT_EQ(notified_.size(), 1U);
  EXPECT_TRUE(notified_[0]);
}

}  // namespace
}  // namespace dogfs::sim
