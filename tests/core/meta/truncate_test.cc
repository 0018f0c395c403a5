#include "core/meta/truncate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/meta/invariants.h"
#include "core/meta/queries.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::IsEmpty;

class TruncateCommands : public ::testing::Test {
 protected:
  TruncateCommands() { machine.add_servers(8); }
  ~TruncateCommands() override { EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty()); }

  // Adds blocks of these lengths behind `end`.
  void add_blocks(const wire::CreateFileResult& file, uint64_t end, const std::vector<uint64_t>& lengths) {
    for (const uint64_t length : lengths) {
      const Outcome block = machine.allocate(file, 0, {1, 2, 3, 4, 5});
      ASSERT_EQ(block.code, ErrorCode::kOk) << block.detail;
      const auto commit = MachineHarness::full_commit(file, block.result.allocate_block(), end, length);
      ASSERT_EQ(machine.commit(commit).code, ErrorCode::kOk);
      end += length;
    }
  }

  // A closed file with such blocks, opened again.
  wire::CreateFileResult appended(const std::vector<uint64_t>& lengths) {
    const wire::CreateFileResult file = machine.create("/f").result.create_file();
    add_blocks(file, 0, lengths);
    uint64_t end = 0;
    for (const uint64_t length : lengths) end += length;
    EXPECT_EQ(machine.close(file, end).code, ErrorCode::kOk);
    const Outcome again = machine.append("/f");
    EXPECT_EQ(again.result.append_file().length(), end);
    return MachineHarness::writer_of(again.result.append_file());
  }

  wire::GetBlocksReply blocks(uint64_t offset) const {
    wire::GetBlocksRequest request;
    request.set_path("/f");
    request.set_offset(offset);
    return query_blocks(machine.tables(), request).value();
  }

  static constexpr uint64_t kFull = kTestGeometry.block_bytes;
  MachineHarness machine;
};

TEST_F(TruncateCommands, AppendTakesTheLeaseOfAClosedFileAndRaisesItsEpoch) {
  const wire::CreateFileResult first = machine.create("/f").result.create_file();
  EXPECT_EQ(machine.append("/f").code, ErrorCode::kLeaseHeld);
  EXPECT_EQ(machine.close(first, 0).code, ErrorCode::kOk);
  const Outcome again = machine.append("/f");
  ASSERT_EQ(again.code, ErrorCode::kOk) << again.detail;
  EXPECT_EQ(again.result.append_file().lease_epoch(), first.lease_epoch() + 1);
  EXPECT_EQ(machine.close(first, 0).code, ErrorCode::kLeaseLost) << "the writer before";
  EXPECT_EQ(machine.append("/none").code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.append("/").code, ErrorCode::kIsADirectory);
}

TEST_F(TruncateCommands, AnAppendThatIsRetriedTakesTheLeaseOnce) {
  EXPECT_EQ(machine.close(machine.create("/f").result.create_file(), 0).code, ErrorCode::kOk);
  wire::Mutation mutation;
  mutation.mutable_append_file()->set_path("/f");
  const wire::Command command = machine.next_request(mutation);
  const Outcome first = machine.request(command);
  const Outcome retried = machine.request(command);
  ASSERT_EQ(retried.code, ErrorCode::kOk) << "it holds the lease already, and was told so";
  EXPECT_EQ(retried.result.SerializeAsString(), first.result.SerializeAsString());
}

TEST_F(TruncateCommands, AppendedBlocksFollowAShortOne) {
  const auto file = appended({kFull, 100});
  add_blocks(file, kFull + 100, {kFull, 1});
  EXPECT_EQ(machine.close(file, 2 * kFull + 101).code, ErrorCode::kOk);
  const wire::GetBlocksReply reply = blocks(0);
  ASSERT_EQ(reply.blocks_size(), 4);
  EXPECT_EQ(reply.blocks(2).offset(), kFull + 100);
  EXPECT_EQ(blocks(kFull + 100).blocks(0).block(), reply.blocks(2).block());
}

TEST_F(TruncateCommands, WhatLiesBehindTheNewEndIsGarbageAndTheBlockInItShowsLess) {
  const auto file = appended({kFull, kFull, 100});
  const Outcome cut = machine.truncate(file, kFull + 7);
  ASSERT_EQ(cut.code, ErrorCode::kOk) << cut.detail;
  EXPECT_EQ(cut.result.truncate_file().file_length(), kFull + 7);
  EXPECT_EQ(machine.garbage().size(), 2u + 3u) << "what the short block was placed on in vain, and its shards";
  EXPECT_EQ(machine.counters().bytes(), kFull + 7);
  const wire::GetBlocksReply reply = blocks(0);
  ASSERT_EQ(reply.blocks_size(), 2);
  EXPECT_EQ(reply.blocks(0).visible_length(), 0u) << "all of it";
  EXPECT_EQ(reply.blocks(1).length(), kFull) << "its shards are what they were";
  EXPECT_EQ(reply.blocks(1).visible_length(), 7u);
  EXPECT_EQ(machine.close(file, kFull + 7).code, ErrorCode::kOk);
}

TEST_F(TruncateCommands, TruncatingAtABlocksEndOrToTheSameLengthShortensNothingElse) {
  const auto file = appended({kFull, kFull});
  EXPECT_EQ(machine.truncate(file, 2 * kFull).code, ErrorCode::kOk);
  EXPECT_EQ(blocks(0).blocks_size(), 2);
  EXPECT_EQ(machine.truncate(file, kFull).code, ErrorCode::kOk);
  EXPECT_EQ(blocks(0).blocks_size(), 1);
  EXPECT_EQ(machine.truncate(file, 0).code, ErrorCode::kOk);
  EXPECT_EQ(blocks(0).blocks_size(), 0);
  EXPECT_EQ(machine.counters().blocks(), 0u);
}

TEST_F(TruncateCommands, WhatIsAppendedAfterATruncationBeginsAtTheNewEnd) {
  const auto file = appended({kFull});
  EXPECT_EQ(machine.truncate(file, 10).code, ErrorCode::kOk);
  add_blocks(file, 10, {20});
  EXPECT_EQ(machine.close(file, 30).code, ErrorCode::kOk);
  const wire::GetBlocksReply reply = blocks(9);
  ASSERT_EQ(reply.blocks_size(), 2);
  EXPECT_EQ(reply.blocks(1).offset(), 10u);
  // Cut again, within the block that was cut before.
  const auto again = MachineHarness::writer_of(machine.append("/f").result.append_file());
  EXPECT_EQ(machine.truncate(again, 5).result.truncate_file().file_length(), 5u);
  EXPECT_EQ(blocks(0).blocks(0).visible_length(), 5u);
}

TEST_F(TruncateCommands, WhatCannotBeTruncatedIsRefused) {
  const auto file = appended({100});
  EXPECT_EQ(machine.truncate(file, 101).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4, 5}).code, ErrorCode::kOk);
  EXPECT_EQ(machine.truncate(file, 50).code, ErrorCode::kConflict) << "a block is pending";
  EXPECT_EQ(machine.recover_lease("/f").code, ErrorCode::kOk);
  EXPECT_EQ(machine.truncate(file, 50).code, ErrorCode::kLeaseLost);
  EXPECT_EQ(machine.remove("/f", false).code, ErrorCode::kOk);
  EXPECT_EQ(machine.truncate(file, 50).code, ErrorCode::kLeaseLost);
  EXPECT_EQ(machine.counters().blocks(), 1u) << "it is not reclaimed yet";
  machine.reclaim_all(100);
  EXPECT_EQ(machine.truncate(file, 50).code, ErrorCode::kGone);
  EXPECT_EQ(machine.counters().bytes(), 0u);
}

TEST_F(TruncateCommands, ATruncatedFileIsReclaimedWhole) {
  const auto file = appended({kFull, kFull});
  EXPECT_EQ(machine.truncate(file, kFull + 1).code, ErrorCode::kOk);
  EXPECT_EQ(machine.remove("/f", false).code, ErrorCode::kOk);
  machine.reclaim_all(1);
  EXPECT_EQ(machine.counters().bytes(), 0u);
  EXPECT_EQ(machine.counters().blocks(), 0u);
}

TEST_F(TruncateCommands, ALongFileIsCutInSeveralCommandsFromItsEndOn) {
  const wire::CreateFileResult file = machine.create("/f").result.create_file();
  constexpr uint64_t kBlocks = kMaxTruncatedBlocks + 5;
  add_blocks(file, 0, std::vector<uint64_t>(kBlocks, 1));
  EXPECT_EQ(machine.truncate(file, 2).result.truncate_file().file_length(), 5u);
  EXPECT_EQ(machine.truncate(file, 2).result.truncate_file().file_length(), 2u);
  EXPECT_EQ(blocks(0).blocks_size(), 2);
}

// HDFS-16272: lengths beyond 2^31 went through an int.
TEST_F(TruncateCommands, Hdfs16272AFileBeyondTwoGigabytesIsCutAndFoundAtTheByte) {
  wire::EcPolicy policy = geometry_to_wire(kTestGeometry);
  policy.set_cell_bytes(1 << 20);
  policy.set_block_bytes(999ULL << 20);
  EXPECT_EQ(machine.set_policy("/", &policy).code, ErrorCode::kOk);
  constexpr uint64_t kBlock = 999ULL << 20;
  const auto file = appended({kBlock, kBlock, kBlock, kBlock, kBlock});
  const uint64_t length = (1ULL << 32) + 3;
  ASSERT_EQ(machine.truncate(file, length).result.truncate_file().file_length(), length);
  const wire::GetBlocksReply last = blocks(length - 1);
  ASSERT_EQ(last.blocks_size(), 1);
  EXPECT_EQ(last.blocks(0).offset(), 4 * kBlock);
  EXPECT_EQ(last.blocks(0).visible_length(), length - 4 * kBlock);
  const wire::GetBlocksReply middle = blocks((1ULL << 31) - 1);
  ASSERT_EQ(middle.blocks_size(), 3);
  EXPECT_EQ(middle.blocks(0).offset(), 2 * kBlock);
  EXPECT_EQ(machine.truncate(file, (1ULL << 31) + 1).result.truncate_file().file_length(), (1ULL << 31) + 1);
  EXPECT_EQ(machine.counters().bytes(), (1ULL << 31) + 1);
}

}  // namespace
}  // namespace dogfs
