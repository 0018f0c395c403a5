// Which of a server's garbage it is told to delete.
#include <gtest/gtest.h>

#include <set>

#include "core/meta/server_requests.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

constexpr ServerId kServer{1};
constexpr int64_t kNowMs = 1000;
constexpr size_t kLimit = 10;

// A block whose first shard is on a server that is away, and garbage beside it.
class DueGarbageTest : public ::testing::Test {
 protected:
  DueGarbageTest() {
    machine_.add_servers(6);
    const wire::CreateFileResult file = machine_.create("/f").result.create_file();
    const auto allocated = machine_.allocate(file, 0, {1, 2, 3, 4, 5}).result.allocate_block();
    EXPECT_EQ(machine_.commit(MachineHarness::full_commit(file, allocated, 0, kTestGeometry.block_bytes)).code,
              ErrorCode::kOk);
    block_ = allocated.block();
    wire::BlockRow row = machine_.tables().required_block(BlockId(block_)).value();
    row.mutable_shards(0)->set_condition(wire::Shard::UNREACHABLE);
    put(machine_.tables().keys().block(BlockId(block_)), row);
  }
  template <class Row>
  void put(const std::string& key, const Row& row) {
    machine_.rows.rows.insert_or_assign(key, row.SerializeAsString());
  }
  void add(uint64_t block, uint64_t generation, bool replaced, int64_t due_ms = 0) {
    wire::GarbageRow row;
    row.set_due_ms(due_ms);
    row.set_replaced(replaced);
    const GarbageShard shard{
        .server = kServer, .block = BlockId(block), .index = ShardIndex(0), .generation = ShardGeneration(generation)};
    put(machine_.tables().keys().garbage(shard), row);
  }
  GarbagePart part(const std::string& from = "") {
    return due_garbage(machine_.tables(), kServer, kNowMs, from, kLimit).value();
  }
  // The blocks of what is due in all the parts, and how many parts there are.
  std::pair<std::multiset<uint64_t>, int> all() {
    std::multiset<uint64_t> blocks;
    std::string from;
    for (int parts = 1;; ++parts) {
      const GarbagePart next = part(from);
      EXPECT_LE(next.due.size(), kLimit);
      for (const auto& each : next.due) blocks.insert(each.shard.block.value());
      if (next.next.empty() || parts > 1000) return {blocks, parts};
      EXPECT_GT(next.next, from);
      from = next.next;
    }
  }

  MachineHarness machine_;
  uint64_t block_ = 0;
};

TEST_F(DueGarbageTest, WhatIsReplacedByAServerThatIsAwayKeepsNothingBehindItWaiting) {
  for (uint64_t generation = 100; generation < 100 + 3 * kLimit; ++generation) add(block_, generation, true);
  add(block_ + 1, 1, false);
  EXPECT_TRUE(part().due.empty());
  const auto [blocks, parts] = all();
  EXPECT_EQ(blocks, std::multiset<uint64_t>{block_ + 1});
  EXPECT_EQ(parts, 4);
}

TEST_F(DueGarbageTest, ThePartsAreAllOfItOnce) {
  std::multiset<uint64_t> expected;
  for (uint64_t block = 1000; block < 1000 + 2 * kLimit + 3; ++block) {
    add(block, 1, false);
    add(block, 2, false, kNowMs + 1);
    expected.insert(block);
  }
  EXPECT_EQ(all().first, expected);
}

TEST_F(DueGarbageTest, AFewAreOnePart) {
  for (uint64_t block = 1000; block < 1000 + kLimit; ++block) add(block, 1, false);
  const GarbagePart only = part();
  EXPECT_EQ(only.due.size(), kLimit);
  EXPECT_TRUE(only.next.empty());
}

}  // namespace
}  // namespace dogfs
