#include "sim/clock.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/env/sync.h"
#include "sim/world.h"

namespace dogfs::sim {
namespace {

Duration since_start(const World& world) {
  return world.now().time_since_epoch();
}

Task<void> wait_ten_seconds(Clock& clock, bool& ended) {
  co_await sleep_for(clock, seconds(10));
  ended = true;
}

TEST(SimClock, RunsWithItsOwnRateWhileVirtualTimeIsExact) {
  World world;
  Node& node = world.add_node("a");
  Node& other = world.add_node("b");
  const MonoTime begin = node.env().clock.now();
  const MonoTime other_begin = other.env().clock.now();
  node.set_clock_error({.rate_ppm = 100'000});
  world.run_for(seconds(10));
  EXPECT_EQ(node.env().clock.now() - begin, seconds(11));
  EXPECT_EQ(other.env().clock.now() - other_begin, seconds(10));
  node.set_clock_error({.rate_ppm = -100'000});
  world.run_for(seconds(10));
  EXPECT_EQ(node.env().clock.now() - begin, seconds(20));
}

TEST(SimClock, ARateOutlivesTheNode) {
  World world;
  Node& node = world.add_node("a");
  node.set_clock_error({.rate_ppm = 100'000});
  node.crash(CrashKind::kProcess);
  node.boot();
  const MonoTime begin = node.env().clock.now();
  world.run_for(seconds(10));
  EXPECT_EQ(node.env().clock.now() - begin, seconds(11));
}

TEST(SimClock, WallTimeJumpsByItself) {
  World world;
  Node& node = world.add_node("a");
  const WallTime wall = node.env().clock.wall();
  const MonoTime begin = node.env().clock.now();
  node.set_clock_error({.wall = -seconds(3600)});
  EXPECT_EQ(node.env().clock.wall() - wall, -seconds(3600));
  EXPECT_EQ(node.env().clock.now(), begin);
}

TEST(SimClock, WhatWaitsFollowsAClockThatBecomesSlower) {
  World world;
  Node& node = world.add_node("a");
  world.spawn(node, sleep_for(node.env().clock, seconds(1)));
  bool done = false;
  world.spawn(node, wait_ten_seconds(node.env().clock, done));
  world.run_for(seconds(5));
  node.set_clock_error({.rate_ppm = -100'000});
  world.run_for(milliseconds(5'500));
  EXPECT_FALSE(done) << "five seconds of it take 5.55 now";
  world.run_for(milliseconds(100));
  EXPECT_TRUE(done);
}

TEST(SimClock, WhatWaitsFollowsAClockThatBecomesFasterOrJumps) {
  for (const bool jump : {false, true}) {
    World world;
    Node& node = world.add_node("a");
    bool done = false;
    world.spawn(node, wait_ten_seconds(node.env().clock, done));
    world.run_for(seconds(5));
    if (jump) {
      node.jump_clock(seconds(1));
    } else {
      node.set_clock_error({.rate_ppm = 200'000});
    }
    world.run_for(milliseconds(jump ? 3'990 : 4'160));
    EXPECT_FALSE(done);
    world.run_for(milliseconds(20));
    EXPECT_TRUE(done);
    EXPECT_LT(since_start(world), seconds(10));
  }
}

// A deadline is met at the first moment that shows it.
RC_GTEST_PROP(SimClock, FindsTheMomentOfEachDeadline, ()) {
  World world;
  Node& node = world.add_node("a");
  SimClock clock(node.executor(), Duration(*rc::gen::inRange<int64_t>(0, 1'000'000'000'000)),
                 {.rate_ppm = *rc::gen::inRange<int64_t>(-200'000, 200'001)});
  const MonoTime deadline = clock.now() + Duration(*rc::gen::inRange<int64_t>(1, 4'000'000'000'000'000));
  const VirtualTime moment = clock.to_virtual(deadline);
  RC_ASSERT(clock.to_local(moment) >= deadline);
  RC_ASSERT(clock.to_local(moment - Duration(1)) < deadline);
}

}  // namespace
}  // namespace dogfs::sim
