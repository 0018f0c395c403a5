#include "core/chunk/disk_watch.h"

#include <gtest/gtest.h>

#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

class DiskWatchTest : public ::testing::Test {
 protected:
  DiskWatchTest() {
    faults_.decide = [](const std::string&) { return DiskFaults::Fate::kHang; };
  }
  // An operation of the disk, which hangs unless something else was decided.
  std::shared_ptr<std::optional<Status>> begin_sync() {
    auto ended = std::make_shared<std::optional<Status>>();
    world_.spawn(node_, keep(watch_.files().sync_directory(), ended));
    world_.run_for(milliseconds(1));
    return ended;
  }
  static Task<void> keep(Task<Status> operation, std::shared_ptr<std::optional<Status>> ended) {
    ended->emplace(co_await std::move(operation));
  }
  // Looks each second. Whether the disk is seen to hang.
  bool look_for(int seconds_long) {
    for (int i = 0; i < seconds_long; ++i) {
      world_.run_for(seconds(1));
      if (watch_.hangs()) return true;
    }
    return false;
  }

  sim::World world_{{.seed = 1}};
  sim::Node& node_ = world_.add_node("chunk");
  DiskFaults faults_;
  FaultyShardStore files_{node_.env().clock, faults_, node_.shards("disk")};
  FaultyKvStore records_{node_.env().clock, faults_, node_.kv("disk")};
  DiskWatch watch_{node_.env().clock, files_, records_};
};

TEST_F(DiskWatchTest, ADiskHangsThatHasAnOperationUnderWayForAsLongAsTheLimit) {
  const auto sync = begin_sync();
  EXPECT_FALSE(look_for(4));
  EXPECT_FALSE(watch_.is_late());
  EXPECT_FALSE(look_for(25));
  EXPECT_TRUE(watch_.is_late());
  EXPECT_TRUE(look_for(2));
  EXPECT_FALSE(sync->has_value());
}

TEST_F(DiskWatchTest, ADiskThatAnswersInTimeOverAndOverDoesNotHang) {
  faults_.decide = DiskFaults().decide;
  for (int i = 0; i < 60; ++i) {
    const auto sync = begin_sync();
    EXPECT_FALSE(look_for(1));
    EXPECT_TRUE(sync->has_value());
  }
  EXPECT_FALSE(watch_.is_late());
}

TEST_F(DiskWatchTest, WhatWasUnderWayWhileNobodyLookedCountsFromThenOn) {
  EXPECT_FALSE(look_for(1));
  begin_sync();
  world_.run_for(seconds(60));
  EXPECT_FALSE(watch_.hangs());
  EXPECT_FALSE(look_for(29));
  EXPECT_TRUE(look_for(2));
}

TEST_F(DiskWatchTest, WhoWaitsForADiskThatIsGivenUpIsAnsweredAndWhoAsksItIsRefused) {
  const auto sync = begin_sync();
  watch_.give_up();
  world_.run_for(seconds(1));
  EXPECT_EQ(code_of(sync->value()), ErrorCode::kIoError);
  const size_t asked = faults_.seen.size();
  EXPECT_EQ(code_of(begin_sync()->value()), ErrorCode::kIoError);
  EXPECT_EQ(faults_.seen.size(), asked);
  EXPECT_FALSE(look_for(60));
}

}  // namespace
}  // namespace dogfs
