#include "core/env/sync.h"

#include <gtest/gtest.h>

#include <string>

#include "sim/world.h"

namespace dogfs {
namespace {

class Sync : public testing::Test {
 protected:
  Clock& clock() { return node_.env().clock; }
  void spawn(Task<void> task) { world_.spawn(node_, std::move(task)); }
  // Runs until nothing is left to do within a virtual minute.
  void settle() { world_.run_for(seconds(60)); }

  sim::World world_;
  sim::Node& node_ = world_.add_node("node");
};

Task<void> wait_and_note(Notifier& notifier, MonoTime deadline, std::vector<bool>& woken) {
  woken.push_back(co_await notifier.wait_until(deadline));
}

TEST_F(Sync, NotifyWakesAllWhoWaitNowAndNobodyLater) {
  auto& notifier = node_.make<Notifier>(clock());
  std::vector<bool> woken;
  notifier.notify_all();
  spawn(wait_and_note(notifier, kNever, woken));
  spawn(wait_and_note(notifier, kNever, woken));
  settle();
  EXPECT_TRUE(woken.empty()) << "a notification is not remembered";
  notifier.notify_all();
  settle();
  EXPECT_EQ(woken, (std::vector<bool>{true, true}));
}

TEST_F(Sync, WaitEndsAtItsDeadline) {
  auto& notifier = node_.make<Notifier>(clock());
  std::vector<bool> woken;
  spawn(wait_and_note(notifier, clock().now() + seconds(1), woken));
  settle();
  EXPECT_EQ(woken, std::vector<bool>{false});
  notifier.notify_all();
  settle();
  EXPECT_EQ(woken.size(), 1U);
}

Task<void> sleep_and_count(Clock& clock, Duration duration, int& count) {
  co_await sleep_for(clock, duration);
  ++count;
}

Task<void> join_and_note(TaskGroup& group, const int& count, int& seen) {
  co_await group.join();
  seen = count;
}

TEST_F(Sync, JoinWaitsForEveryTask) {
  auto& group = node_.make<TaskGroup>(node_.env().executor, clock());
  int count = 0;
  int seen = -1;
  for (const int wait : {3, 1, 2}) group.spawn(sleep_and_count(clock(), seconds(wait), count));
  EXPECT_EQ(group.running(), 3U);
  spawn(join_and_note(group, count, seen));
  settle();
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(group.running(), 0U);
}

TEST_F(Sync, PostedWorkRunsLaterAndIsWaitedFor) {
  auto& group = node_.make<TaskGroup>(node_.env().executor, clock());
  int count = 0;
  int seen = -1;
  group.post([&count] { ++count; });
  EXPECT_EQ(count, 0) << "never inline";
  EXPECT_EQ(group.running(), 1U);
  spawn(join_and_note(group, count, seen));
  settle();
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(group.running(), 0U);
}

TEST_F(Sync, JoinOfAnIdleGroupEndsAtOnce) {
  auto& group = node_.make<TaskGroup>(node_.env().executor, clock());
  const int count = 0;
  int seen = -1;
  spawn(join_and_note(group, count, seen));
  settle();
  EXPECT_EQ(seen, 0);
}

struct Held {
  uint64_t now = 0;
  uint64_t most = 0;
};

Task<void> hold(Semaphore& semaphore, Clock& clock, uint64_t units, Held& held) {
  co_await semaphore.acquire(units);
  held.now += units;
  held.most = std::max(held.most, held.now);
  co_await sleep_for(clock, seconds(1));
  held.now -= units;
  semaphore.release(units);
}

TEST_F(Sync, SemaphoreNeverGivesOutMoreThanItHas) {
  auto& semaphore = node_.make<Semaphore>(clock(), 5);
  Held held;
  for (const uint64_t units : {3, 2, 5, 1, 4, 1}) spawn(hold(semaphore, clock(), units, held));
  settle();
  EXPECT_EQ(held.most, 5U);
  EXPECT_EQ(held.now, 0U);
  EXPECT_EQ(semaphore.free(), 5U);
}

TEST_F(Sync, CrashDestroysWhoeverWaits) {
  auto& notifier = node_.make<Notifier>(clock());
  auto& group = node_.make<TaskGroup>(node_.env().executor, clock());
  std::vector<bool> woken;
  int count = 0;
  int seen = -1;
  spawn(wait_and_note(notifier, kNever, woken));
  group.spawn(sleep_and_count(clock(), seconds(1), count));
  spawn(join_and_note(group, count, seen));
  world_.run_for(milliseconds(1));
  node_.crash(sim::CrashKind::kPower);
  settle();
  EXPECT_TRUE(woken.empty());
  EXPECT_EQ(count, 0);
  EXPECT_EQ(seen, -1);
}

}  // namespace
}  // namespace dogfs
