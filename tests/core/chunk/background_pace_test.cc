// Repair and the reads for it go at full speed while no client is at work on a server, and at a set rate beside clients.
#include "core/chunk/background_pace.h"

#include <gtest/gtest.h>

#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

constexpr uint64_t kRate = 1 * kMiB;

// --- The pace alone ------------------------------------------------------------------------------------------------

class BackgroundPaceTest : public ::testing::Test {
 protected:
  Clock& clock() { return node_.env().clock; }

  // Takes `count` times `bytes`, one after the other; how long that took.
  Duration take(int count, uint64_t bytes) {
    const MonoTime begun = clock().now();
    const std::optional<bool> taken = world_.run(node_, take_all(count, bytes), kPatience);
    EXPECT_TRUE(taken.value_or(false));
    return clock().now() - begun;
  }
  std::optional<bool> take_by(uint64_t bytes, Duration timeout) {
    return world_.run(node_, pace_.take(bytes, clock().now() + timeout), kPatience);
  }
  // A client's request now and every 500 ms from now on, for so long.
  void clients_for(Duration duration) { world_.spawn(node_, keep_busy(duration)); }
  Task<void> take_into(std::optional<bool>& taken) {
    taken = co_await pace_.take(60 * kMiB, clock().now() + kPatience);
  }

  sim::World world_{{.seed = 1}};
  sim::Node& node_ = world_.add_node("chunk");
  StopSignal stop_{node_.env().clock};
  BackgroundPace pace_{node_.env().clock, stop_, kRate};

 private:
  Task<bool> take_all(int count, uint64_t bytes) {
    for (int i = 0; i < count; ++i) {
      if (!co_await pace_.take(bytes, clock().now() + kPatience)) co_return false;
    }
    co_return true;
  }
  Task<void> keep_busy(Duration duration) {
    const MonoTime end = clock().now() + duration;
    while (clock().now() < end) {
      pace_.client_at_work();
      co_await sleep_for(clock(), milliseconds(500));
    }
  }
};

TEST_F(BackgroundPaceTest, WithoutClientsNothingWaits) {
  EXPECT_EQ(take(8, kMiB), Duration(0));
}

TEST_F(BackgroundPaceTest, BesideClientsTheRateIsKept) {
  clients_for(seconds(30));
  world_.run_for(milliseconds(1));
  const Duration taken = take(8, kMiB);
  EXPECT_GE(taken, milliseconds(7749)) << "a quarter of a second's bytes may be taken at once";
  EXPECT_LE(taken, milliseconds(8000));
}

TEST_F(BackgroundPaceTest, WhatWaitsGoesOnAtFullSpeedOnceTheClientsAreGone) {
  clients_for(seconds(2));
  world_.run_for(milliseconds(1));
  const Duration taken = take(1, 60 * kMiB);
  EXPECT_GE(taken, milliseconds(2400)) << "the last request came after a second and a half";
  EXPECT_LE(taken, milliseconds(3000));
  EXPECT_EQ(take(8, kMiB), Duration(0));
}

TEST_F(BackgroundPaceTest, WhatCannotHaveItsTurnInTimeIsRefusedAtOnceAndOwesNothing) {
  clients_for(seconds(30));
  world_.run_for(milliseconds(1));
  const MonoTime begun = clock().now();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(take_by(4 * kMiB, seconds(3)), false);
  EXPECT_EQ(clock().now(), begun);
  EXPECT_EQ(take_by(3 * kMiB, seconds(3)), true);
}

TEST_F(BackgroundPaceTest, AServerThatStopsHoldsNobodyUp) {
  clients_for(seconds(30));
  world_.run_for(milliseconds(1));
  std::optional<bool> taken;
  world_.spawn(node_, take_into(taken));
  world_.run_for(seconds(1));
  EXPECT_FALSE(taken.has_value());
  stop_.stop();
  world_.run_for(milliseconds(1));
  EXPECT_EQ(taken, false);
}

// --- A server ------------------------------------------------------------------------------------------------------

class PacedServerTest : public ::testing::Test {
 protected:
  static ChunkOptions options() {
    ChunkOptions options;
    options.repair_bytes_per_s = kRate;
    return options;
  }
  void SetUp() override {
    ASSERT_TRUE(w_.wait_registered());
    ASSERT_EQ(w_.write(key_, data_, kMiB), ErrorCode::kOk);
  }

  ErrorCode read(bool background, Duration timeout, uint64_t length = kBytes) {
    wire::ReadShardRequest request = ChunkWorld::read_request(key_, 0, length);
    request.set_background(background);
    const auto begun = w_.world.now();
    const ErrorCode code = w_.code(MessageType::kReadShard, request, {}, timeout);
    taken_ = w_.world.now() - begun;
    return code;
  }

  ChunkWorld w_{1, 1, options()};
  const ShardKey key_ = ChunkWorld::key(18, 3, 7);
  static constexpr uint64_t kBytes = 4 * kMiB;
  const std::string data_ = ChunkWorld::data(1, kBytes);
  Duration taken_{};
};

TEST_F(PacedServerTest, BackgroundReadsAreHeldBackBesideClientsAndClientsAreNot) {
  ASSERT_EQ(read(false, seconds(10)), ErrorCode::kOk);
  EXPECT_EQ(read(true, seconds(2)), ErrorCode::kBusy);
  EXPECT_LT(taken_, milliseconds(100)) << "so that a rebuild turns to another source at once";
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(read(false, seconds(2)), ErrorCode::kOk);
    EXPECT_LT(taken_, milliseconds(100));
  }
  EXPECT_EQ(read(true, seconds(2)), ErrorCode::kBusy);
}

TEST_F(PacedServerTest, BackgroundReadsOfAnIdleServerAreServedAtOnce) {
  w_.world.run_for(seconds(2));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(read(true, seconds(2)), ErrorCode::kOk);
    EXPECT_LT(taken_, milliseconds(100)) << "it is no client that was served before";
  }
}

// The first would have its turn before the longest deadline that there can be: those that come next would wait for it.
TEST_F(PacedServerTest, ABackgroundReadOfMoreThanThereIsOwesNothing) {
  for (const uint64_t length : {3'000 * kRate, uint64_t{241'000'000'000}, UINT64_MAX}) {
    ASSERT_EQ(read(false, seconds(10)), ErrorCode::kOk);
    EXPECT_EQ(read(true, std::chrono::hours(1), length), ErrorCode::kInvalidArgument) << length;
    EXPECT_LT(taken_, milliseconds(100)) << length;
  }
  EXPECT_EQ(read(true, seconds(2), kRate / 4), ErrorCode::kOk);
  EXPECT_LT(taken_, milliseconds(100));
}

TEST_F(PacedServerTest, WritersAreClientsAtWorkToo) {
  w_.world.run_for(seconds(2));
  const ShardKey written = ChunkWorld::key(19);
  ASSERT_EQ(w_.open(written), ErrorCode::kOk);
  EXPECT_EQ(read(true, seconds(2)), ErrorCode::kBusy);
  w_.world.run_for(seconds(2));
  ASSERT_EQ(w_.append(written, 0, "bytes"), ErrorCode::kOk);
  EXPECT_EQ(read(true, seconds(2)), ErrorCode::kBusy);
}

}  // namespace
}  // namespace dogfs
