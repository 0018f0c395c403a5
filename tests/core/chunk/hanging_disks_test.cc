// Disks that do not answer any more: they are given up, and hold up as little as can be until then.
#include <gmock/gmock.h>

#include <map>
#include <utility>

#include "tests/core/chunk/disks.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;

// So little memory that a few requests take it all.
class SmallBudgets : public Disks {
 protected:
  SmallBudgets() : Disks(2, little_memory()) {}
  static ChunkOptions little_memory() {
    ChunkOptions options;
    options.max_write_bytes = kMiB;
    options.max_read_bytes = 20 * kBytes;
    return options;
  }
  // Opens shards until there is one on each disk: that of the first, and that of the second.
  std::pair<ShardKey, ShardKey> open_on_both() {
    std::map<size_t, ShardKey> open;
    for (uint64_t block = 1000; open.size() < 2; ++block) {
      const size_t before = w_.files(0).size();
      EXPECT_EQ(w_.open(ChunkWorld::key(block)), ErrorCode::kOk);
      open[w_.files(0).size() > before ? 0 : 1] = ChunkWorld::key(block);
    }
    return {open.at(0), open.at(1)};
  }
};

TEST_F(Disks, ADiskThatHangsIsEmptiedAndTheOtherGoesOn) {
  const std::set<ShardKey> stuck = on(0);
  hang(0);
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::FAILING));
  EXPECT_THAT(w_.disk_info(0).alarm(), HasSubstr("does not answer: an operation has been under way for 30 s"));
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.leaving == stuck; }, kPatience));
  write(200, 5);
  expect_readable(on(1));
  // What is on it is refused at once, and is not vouched for.
  EXPECT_EQ(w_.code(MessageType::kReadShard, ChunkWorld::read_request(*stuck.begin(), 0, kBytes), {}, milliseconds(10)),
            ErrorCode::kIoError);
  w_.meta.to_confirm = stuck;
  w_.world.run_for(seconds(3));
  EXPECT_EQ(w_.meta.heartbeats.back().whole_size(), 0);
}

TEST_F(Disks, AFullDiskIsNotPreferredToOneThatIsLate) {
  hang(0);
  set_free(1, full_below(kDiskBytes) - 1);
  w_.world.run_for(seconds(8));
  EXPECT_NE(w_.code(MessageType::kOpenShard, w_.open_request(ChunkWorld::key(300)), {}, seconds(1)),
            ErrorCode::kNoSpace);
}

TEST_F(Disks, OneThatIsEmptiedAndThenHangsIsGivenUpToo) {
  const ShardKey stuck = *on(0).begin();
  w_.faults[0].space = DiskSpace{.total_bytes = kDiskBytes, .free_bytes = kDiskBytes / 2, .read_only = true};
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::READ_ONLY));
  hang(0);
  w_.code(MessageType::kReadShard, ChunkWorld::read_request(stuck, 0, kBytes), {}, milliseconds(10));
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::FAILING));
  EXPECT_THAT(w_.disk_info(0).alarm(), HasSubstr("does not answer"));
}

TEST_F(OneDisk, TheServerEndsWhenItsOnlyDiskHangs) {
  hang(0);
  ASSERT_TRUE(w_.world.run_until([&] { return !w_.node.up(); }, kPatience));
  ASSERT_TRUE(w_.node.fatal().has_value());
  EXPECT_EQ(w_.node.fatal()->code, ErrorCode::kIoError);
}

TEST_F(Disks, OneThatHangsHoldsUpNothingOfTheOther) {
  hang(0);
  w_.world.run_for(seconds(8));
  const size_t before = w_.files(1).size();
  w_.meta.deletions = {*on(0).begin(), *on(1).begin()};
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.deleted.size() == 1; }, seconds(3)));
  EXPECT_EQ(w_.files(1).size(), before - 1);
  write(100, 2);
  EXPECT_EQ(w_.files(1).size(), before + 1);
  set_free(1, full_below(kDiskBytes) - 1);
  w_.world.run_for(seconds(3));
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::FULL);
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::WORKING);
}

TEST_F(SmallBudgets, WhatIsWrittenToADiskThatHangsLeavesMemoryForTheOther) {
  const auto [hanging, other] = open_on_both();
  hang(0);
  const std::string bytes = ChunkWorld::data(1, 2 * kChecksumPieceBytes);
  uint64_t at = 0;
  while (w_.append(hanging, at, bytes) == ErrorCode::kOk) at += bytes.size();
  EXPECT_EQ(w_.append(hanging, at, bytes), ErrorCode::kBusy);
  EXPECT_EQ(w_.append(other, 0, bytes), ErrorCode::kOk);
  EXPECT_EQ(w_.seal(other, bytes), ErrorCode::kOk);
  // It comes back when the disk is given up.
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::FAILING));
  w_.world.run_for(seconds(1));
  EXPECT_EQ(w_.append(hanging, at, bytes), ErrorCode::kIoError);
}

TEST_F(SmallBudgets, WhatIsReadFromADiskThatHangsLeavesMemoryForTheOther) {
  hang(0);
  ErrorCode code = ErrorCode::kTimeout;
  for (int i = 0; i < 100 && code == ErrorCode::kTimeout; ++i) {
    code = w_.code(MessageType::kReadShard, ChunkWorld::read_request(*on(0).begin(), 0, kBytes), {}, milliseconds(10));
  }
  EXPECT_EQ(code, ErrorCode::kBusy);
  expect_readable(on(1));
}

}  // namespace
}  // namespace dogfs
