#include "core/meta/inline_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/base/limits.h"
#include "core/meta/invariants.h"
#include "core/meta/queries.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::IsEmpty;

class InlineTail : public ::testing::Test {
 protected:
  InlineTail() { machine.add_servers(8); }
  void TearDown() override { EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty()); }

  // Commits a block of `length` bytes at `offset`.
  ErrorCode add_block(uint64_t offset, uint64_t length) {
    const Outcome block = machine.allocate(file, 0, {1, 2, 3, 4, 5});
    EXPECT_EQ(block.code, ErrorCode::kOk) << block.detail;
    return machine.commit(MachineHarness::full_commit(file, block.result.allocate_block(), offset, length)).code;
  }

  wire::GetBlocksReply blocks(uint64_t offset, uint64_t length = 0) const {
    wire::GetBlocksRequest request;
    request.set_path("/f");
    request.set_offset(offset);
    request.set_length(length);
    return query_blocks(machine.tables(), request).value();
  }

  wire::FileStatus stat() const {
    wire::StatRequest request;
    request.set_path("/f");
    return query_stat(machine.tables(), request).value().status();
  }

  MachineHarness machine;
  wire::CreateFileResult file = machine.create("/f").result.create_file();
};

TEST_F(InlineTail, ASmallFileIsCreatedAndClosedWithoutAnyBlock) {
  ASSERT_EQ(machine.close(file, 5, "hello").code, ErrorCode::kOk);
  EXPECT_EQ(stat().length(), 5u);
  EXPECT_EQ(stat().tail_bytes(), 5u);
  EXPECT_EQ(stat().blocks(), 0u);
  EXPECT_EQ(blocks(0).tail(), "hello");
  EXPECT_EQ(blocks(0).blocks_size(), 0);
  EXPECT_EQ(machine.counters().bytes(), 5u);
}

TEST_F(InlineTail, ATailLiesBehindTheBlocksAndIsReadWhereARangeReachesIt) {
  ASSERT_EQ(add_block(0, 100), ErrorCode::kOk);
  ASSERT_EQ(machine.commit_tail(file, 100, "tail").result.commit_tail().file_length(), 104u);
  EXPECT_EQ(blocks(0).blocks_size(), 1);
  EXPECT_EQ(blocks(0).tail(), "tail");
  EXPECT_EQ(blocks(0, 100).tail(), "") << "the range ends before it";
  EXPECT_EQ(blocks(0, 101).tail(), "tail");
  EXPECT_EQ(blocks(103).tail(), "tail") << "always the whole of it";
  EXPECT_EQ(blocks(103).blocks_size(), 0) << "the block ends before the range";
  EXPECT_EQ(blocks(104).tail(), "");
}

TEST_F(InlineTail, ALongerTailTakesItsPlaceAndAShorterOneIsRefused) {
  ASSERT_EQ(machine.commit_tail(file, 0, "abc").code, ErrorCode::kOk);
  ASSERT_EQ(machine.commit_tail(file, 0, "abcde").result.commit_tail().file_length(), 5u);
  EXPECT_EQ(machine.commit_tail(file, 0, "ab").code, ErrorCode::kConflict) << "it was acknowledged";
  EXPECT_EQ(machine.commit_tail(file, 5, "f").code, ErrorCode::kConflict) << "there is one tail, not two";
  EXPECT_EQ(blocks(0).tail(), "abcde");
}

TEST_F(InlineTail, ABlockThatBeginsWithItTakesItsPlaceInTheSameCommand) {
  ASSERT_EQ(machine.commit_tail(file, 0, "abc").code, ErrorCode::kOk);
  EXPECT_EQ(add_block(3, 100), ErrorCode::kConflict) << "it would leave a hole where the tail was";
  EXPECT_EQ(add_block(0, 2), ErrorCode::kConflict) << "it would lose a byte";
  ASSERT_EQ(add_block(0, 100), ErrorCode::kOk);
  EXPECT_EQ(stat().length(), 100u);
  EXPECT_EQ(stat().tail_bytes(), 0u);
  EXPECT_EQ(blocks(0).tail(), "");
  EXPECT_EQ(machine.counters().bytes(), 100u);
}

TEST_F(InlineTail, AnAppendSaysHowLongTheTailIs) {
  ASSERT_EQ(machine.close(file, 3, "abc").code, ErrorCode::kOk);
  const wire::AppendFileResult again = machine.append("/f").result.append_file();
  EXPECT_EQ(again.length(), 3u);
  EXPECT_EQ(again.tail_bytes(), 3u);
}

TEST_F(InlineTail, TruncationCutsTheTailFirstAndThenTheBlocks) {
  ASSERT_EQ(add_block(0, 100), ErrorCode::kOk);
  ASSERT_EQ(machine.commit_tail(file, 100, "tail").code, ErrorCode::kOk);
  EXPECT_EQ(machine.truncate(file, 102).result.truncate_file().file_length(), 102u);
  EXPECT_EQ(blocks(0).tail(), "ta");
  EXPECT_EQ(machine.truncate(file, 99).result.truncate_file().file_length(), 99u);
  EXPECT_EQ(blocks(0).tail(), "");
  EXPECT_EQ(blocks(0).blocks(0).visible_length(), 99u);
  ASSERT_EQ(machine.commit_tail(file, 99, "more").code, ErrorCode::kOk);
  EXPECT_EQ(stat().length(), 103u);
  EXPECT_EQ(machine.counters().bytes(), 103u);
}

TEST_F(InlineTail, LeaseRecoveryKeepsItAndFencesItsWriter) {
  ASSERT_EQ(machine.commit_tail(file, 0, "abc").code, ErrorCode::kOk);
  ASSERT_EQ(machine.recover_lease("/f").code, ErrorCode::kOk);
  EXPECT_EQ(machine.commit_tail(file, 0, "abcd").code, ErrorCode::kLeaseLost);
  EXPECT_EQ(blocks(0).tail(), "abc");
}

TEST_F(InlineTail, DeletingTheFileTakesItAway) {
  ASSERT_EQ(machine.close(file, 3, "abc").code, ErrorCode::kOk);
  ASSERT_EQ(machine.remove("/f", false).code, ErrorCode::kOk);
  machine.reclaim_all(1);
  EXPECT_EQ(machine.counters().bytes(), 0u);
  EXPECT_EQ(machine.count(machine.tables().keys().all_inline_tails()), 0u);
}

TEST_F(InlineTail, WhatIsNoTailIsRefused) {
  EXPECT_EQ(machine.commit_tail(file, 0, "").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.commit_tail(file, 0, std::string(kMaxInlineTailBytes + 1, 'x')).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.commit_tail(file, 1, "x").code, ErrorCode::kConflict);
  EXPECT_EQ(machine.close(file, 4, "hello").code, ErrorCode::kConflict) << "the length counts it";
  EXPECT_EQ(machine.close(file, 6, "hello").code, ErrorCode::kConflict);
  EXPECT_EQ(stat().tail_bytes(), 0u) << "what is refused changes nothing";
  ASSERT_EQ(machine.commit_tail(file, 0, std::string(kMaxInlineTailBytes, 'x')).code, ErrorCode::kOk);
  EXPECT_EQ(machine.close(file, kMaxInlineTailBytes).code, ErrorCode::kOk);
}

}  // namespace
}  // namespace dogfs
