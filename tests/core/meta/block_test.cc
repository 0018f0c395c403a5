#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/meta/block_commands.h"
#include "core/meta/invariants.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One open file on a machine with eight servers.
class BlockCommands : public ::testing::Test {
 public:
  ~BlockCommands() override { EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty()); }

 protected:
  BlockCommands() {
    machine.add_servers(8);
    file = machine.create("/f").result.create_file();
  }

  wire::AllocateBlockResult allocate() {
    const Outcome outcome = machine.allocate(file, 0, {1, 2, 3, 4, 5});
    EXPECT_EQ(outcome.code, ErrorCode::kOk) << outcome.detail;
    return outcome.result.allocate_block();
  }

  wire::BlockRow row(uint64_t block) const { return machine.tables().required_block(BlockId(block)).value(); }

  static constexpr uint64_t kFull = kTestGeometry.block_bytes;
  MachineHarness machine;
  wire::CreateFileResult file;
};

TEST_F(BlockCommands, AFullBlockIsCommittedWithAllItsShards) {
  const auto block = allocate();
  ASSERT_EQ(block.targets_size(), 5);
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, block, 0, kFull)).result.commit_block().file_length(),
            kFull);
  EXPECT_EQ(machine.close(file, kFull).code, ErrorCode::kOk);
  EXPECT_EQ(row(block.block()).state(), wire::BlockRow::COMMITTED);
  EXPECT_EQ(machine.counters().bytes(), kFull);
  EXPECT_THAT(machine.garbage(), IsEmpty());
}

TEST_F(BlockCommands, AShortBlockIsPlacedAndStoredOnlyWhereItHasBytes) {
  const Outcome allocated = machine.allocate(file, 100, {1, 2, 3});
  ASSERT_EQ(allocated.code, ErrorCode::kOk) << allocated.detail;
  const auto& block = allocated.result.allocate_block();
  std::vector<uint32_t> indices;
  for (const wire::Shard& target : block.targets()) indices.push_back(target.index());
  EXPECT_THAT(indices, ElementsAre(0, 3, 4));
  const auto commit = MachineHarness::full_commit(file, block, 0, 100);
  EXPECT_EQ(commit.shards_size(), 3);
  EXPECT_EQ(machine.commit(commit).code, ErrorCode::kOk);
}

TEST_F(BlockCommands, ABlockThatEndsShorterThanItWasPlacedLeavesNoTargetBehind) {
  const auto block = allocate();
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, block, 0, 100)).code, ErrorCode::kOk);
  EXPECT_EQ(machine.garbage().size(), 2u) << "the two data shards that hold nothing";
}

TEST_F(BlockCommands, PipelinedBlocksBecomeVisibleInOrder) {
  const auto first = allocate();
  const auto second = allocate();
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, second, kFull, 10)).code, ErrorCode::kConflict);
  EXPECT_EQ(machine.close(file, 0).code, ErrorCode::kConflict) << "blocks are pending";
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, first, 0, kFull)).code, ErrorCode::kOk);
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, second, kFull, 10)).code, ErrorCode::kOk);
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, second, kFull + 10, 10)).code, ErrorCode::kConflict)
      << "committed already";
  EXPECT_EQ(machine.close(file, kFull).code, ErrorCode::kConflict) << "another length";
  EXPECT_EQ(machine.close(file, kFull + 10).code, ErrorCode::kOk);
}

TEST_F(BlockCommands, PendingBlocksAreBounded) {
  for (int i = 0; i < kMaxPendingBlocks; ++i) allocate();
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4, 5}).code, ErrorCode::kLimitExceeded);
}

TEST_F(BlockCommands, PlacementIsCheckedAgainstTheReplicatedState) {
  EXPECT_EQ(machine.allocate(file, 0, {}).code, ErrorCode::kConflict);
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3}).code, ErrorCode::kConflict) << "fewer than d + 1";
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4, 5, 6}).code, ErrorCode::kConflict) << "more than d + m";
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 3}).code, ErrorCode::kConflict) << "one twice";
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 99}).code, ErrorCode::kConflict) << "one unknown";
  EXPECT_EQ(machine.allocate(file, kFull + 1, {1, 2, 3, 4}).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4}).code, ErrorCode::kOk);
}

TEST_F(BlockCommands, CommitIsHeldAgainstTheGeometry) {
  const auto block = allocate();
  const auto good = MachineHarness::full_commit(file, block, 0, kFull);
  const auto refused = [&](auto spoil) {
    wire::CommitBlock commit = good;
    spoil(commit);
    return machine.commit(commit).code;
  };
  const auto kBad = ErrorCode::kInvalidArgument;
  EXPECT_EQ(refused([](auto& commit) { commit.set_length(0); }), kBad);
  EXPECT_EQ(refused([](auto& commit) { commit.set_length(kFull + 1); }), kBad);
  EXPECT_EQ(refused([](auto& commit) { commit.set_length(kFull - 1); }), kBad) << "shard lengths do not agree";
  EXPECT_EQ(refused([](auto& commit) { commit.mutable_shards(4)->set_length(1); }), kBad);
  EXPECT_EQ(refused([](auto& commit) { commit.mutable_shards()->RemoveLast(); }), kBad);
  EXPECT_EQ(refused([](auto& commit) { *commit.add_shards() = commit.shards(4); }), kBad);
  EXPECT_EQ(refused([](auto& commit) { commit.mutable_shards()->SwapElements(0, 1); }), kBad);
  EXPECT_EQ(refused([](auto& commit) { commit.mutable_shards(1)->set_index(0); }), kBad);
  EXPECT_EQ(machine.commit(good).code, ErrorCode::kOk);
}

TEST_F(BlockCommands, OnlyAttemptsThatWereIssuedForAnIndexCanBeDurable) {
  const auto block = allocate();
  const auto good = MachineHarness::full_commit(file, block, 0, kFull);
  const auto refused = [&](auto spoil) {
    wire::CommitBlock commit = good;
    spoil(commit);
    return machine.commit(commit).code;
  };
  const auto kBad = ErrorCode::kInvalidArgument;
  EXPECT_EQ(refused([](auto& commit) { commit.mutable_shards(0)->set_server(8); }), kBad);
  EXPECT_EQ(refused([](auto& commit) { commit.mutable_shards(0)->set_generation(999); }), kBad);
  EXPECT_EQ(refused([](auto& commit) { commit.mutable_shards(0)->clear_server(); }), kBad);
  EXPECT_EQ(refused([](auto& commit) {
              const wire::Shard first = commit.shards(0);
              commit.mutable_shards(0)->set_server(commit.shards(1).server());
              commit.mutable_shards(0)->set_generation(commit.shards(1).generation());
              commit.mutable_shards(1)->set_server(first.server());
              commit.mutable_shards(1)->set_generation(first.generation());
            }),
            kBad)
      << "issued, but for another index";
}

// HDFS-17365: a block was acknowledged with k shards; the loss of any one before the repair was a loss of data.
TEST_F(BlockCommands, Hdfs17365ABlockWithoutASpareIsRefused) {
  const auto block = allocate();
  auto commit = MachineHarness::full_commit(file, block, 0, kFull);
  for (const int lost : {0, 4}) {
    commit.mutable_shards(lost)->clear_server();
    commit.mutable_shards(lost)->clear_generation();
  }
  const Outcome outcome = machine.commit(commit);
  EXPECT_EQ(outcome.code, ErrorCode::kInsufficientServers);
  EXPECT_THAT(outcome.detail, HasSubstr("durable on 3 servers, 4 are needed"));
  *commit.mutable_shards(4) = MachineHarness::full_commit(file, block, 0, kFull).shards(4);
  EXPECT_EQ(machine.commit(commit).code, ErrorCode::kOk);
  ASSERT_EQ(machine.garbage().size(), 1u);
  EXPECT_EQ(machine.garbage()[0].index, ShardIndex(0));
}

TEST_F(BlockCommands, AReplacedTargetAndTheOneBeforeAreBothGoodForTheirIndex) {
  const auto block = allocate();
  EXPECT_EQ(machine.replace(file, block.block(), 1, 5).code, ErrorCode::kConflict) << "holds shard 4";
  EXPECT_EQ(machine.replace(file, block.block(), 1, 99).code, ErrorCode::kConflict) << "unknown";
  EXPECT_EQ(machine.replace(file, block.block(), 5, 6).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.replace(file, 999, 1, 6).code, ErrorCode::kConflict);
  const Outcome replaced = machine.replace(file, block.block(), 1, 6);
  ASSERT_EQ(replaced.code, ErrorCode::kOk);
  EXPECT_EQ(replaced.result.replace_target().target().server(), 6u);
  const Outcome again = machine.replace(file, block.block(), 2, 7);
  ASSERT_EQ(again.code, ErrorCode::kOk);
  auto commit = MachineHarness::full_commit(file, block, 0, kFull);
  commit.mutable_shards(1)->set_server(6);
  commit.mutable_shards(1)->set_generation(replaced.result.replace_target().target().generation());
  EXPECT_EQ(machine.commit(commit).code, ErrorCode::kOk);
  std::vector<uint64_t> garbage_servers;
  for (const GarbageShard& shard : machine.garbage()) garbage_servers.push_back(shard.server.value());
  EXPECT_THAT(garbage_servers, ElementsAre(2, 7)) << "the replaced target of 1, and the unused replacement of 2";
}

TEST_F(BlockCommands, AttemptsAtABlockAreBounded) {
  const auto block = allocate();
  for (int i = 0; i + 5 < kMaxShardAttempts; ++i) {
    ASSERT_EQ(machine.replace(file, block.block(), 0, i % 2 == 0 ? 6 : 7).code, ErrorCode::kOk);
  }
  EXPECT_EQ(machine.replace(file, block.block(), 0, 8).code, ErrorCode::kLimitExceeded);
}

TEST_F(BlockCommands, AnAbandonedBlockBecomesGarbage) {
  const auto block = allocate();
  EXPECT_EQ(machine.abandon(file, block.block()).code, ErrorCode::kOk);
  EXPECT_EQ(machine.abandon(file, block.block()).code, ErrorCode::kConflict);
  EXPECT_EQ(machine.garbage().size(), 5u);
  EXPECT_EQ(machine.close(file, 0).code, ErrorCode::kOk);
}

TEST_F(BlockCommands, ARecoveredLeaseFencesTheOldWriterAndKeepsWhatWasCommitted) {
  const auto first = allocate();
  const auto second = allocate();
  machine.commit(MachineHarness::full_commit(file, first, 0, kFull));
  EXPECT_EQ(machine.recover_lease("/f").code, ErrorCode::kOk);
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, second, kFull, kFull)).code, ErrorCode::kLeaseLost);
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4}).code, ErrorCode::kLeaseLost);
  EXPECT_EQ(machine.abandon(file, second.block()).code, ErrorCode::kLeaseLost);
  EXPECT_EQ(machine.replace(file, second.block(), 0, 8).code, ErrorCode::kLeaseLost);
  EXPECT_EQ(machine.close(file, kFull).code, ErrorCode::kLeaseLost);
  EXPECT_EQ(machine.garbage().size(), 5u);
  EXPECT_EQ(machine.tables().required_inode(InodeId(file.inode())).value().length(), kFull);
  EXPECT_EQ(machine.recover_lease("/f").code, ErrorCode::kOk) << "nobody writes it: nothing happens";
}

// HDFS-17150: a lease was not recovered, then or ever, whose last block had fewer shards than decode it.
TEST_F(BlockCommands, Hdfs17150ALeaseIsRecoveredHoweverFewServersAreLeft) {
  const wire::CreateFileResult other = machine.create("/g").result.create_file();
  machine.commit(MachineHarness::full_commit(file, allocate(), 0, kFull));
  allocate();
  ASSERT_EQ(machine.allocate(other, 0, {1, 2, 3, 4, 5}).code, ErrorCode::kOk);
  for (uint64_t server = 1; server <= 8; ++server) {
    wire::Command command;
    command.mutable_set_server_state()->set_server(server);
    command.mutable_set_server_state()->set_state(wire::DEAD);
    ASSERT_EQ(machine.apply(command).error(), 0u);
  }
  EXPECT_EQ(machine.recover_lease("/f").code, ErrorCode::kOk);
  EXPECT_EQ(machine.expire_lease(other.inode(), other.lease_epoch()), ErrorCode::kOk);
  EXPECT_EQ(machine.append("/f").result.append_file().length(), kFull);
  EXPECT_EQ(machine.append("/g").code, ErrorCode::kOk);
  EXPECT_EQ(machine.garbage().size(), 10u);
}

TEST_F(BlockCommands, AnotherEpochOfAnOpenFileIsRefused) {
  for (const uint64_t epoch : {file.lease_epoch() - 1, file.lease_epoch() + 1}) {
    wire::CreateFileResult other = file;
    other.set_lease_epoch(epoch);
    EXPECT_EQ(machine.allocate(other, 0, {1, 2, 3, 4}).code, ErrorCode::kLeaseLost);
    EXPECT_EQ(machine.close(other, 0).code, ErrorCode::kLeaseLost);
  }
}

TEST_F(BlockCommands, AnExpiryIsForOneLeaseOnly) {
  EXPECT_EQ(machine.expire_lease(file.inode(), file.lease_epoch() + 1), ErrorCode::kOk);
  EXPECT_EQ(machine.expire_lease(999, 1), ErrorCode::kOk);
  EXPECT_EQ(machine.close(file, 0).code, ErrorCode::kOk) << "neither was this lease";
  EXPECT_EQ(machine.expire_lease(file.inode(), file.lease_epoch()), ErrorCode::kOk);
}

TEST_F(BlockCommands, WhatIsNotAFileHasNoBlocks) {
  wire::CreateFileResult directory;
  directory.set_inode(1);
  EXPECT_EQ(machine.allocate(directory, 0, {1, 2, 3, 4}).code, ErrorCode::kInvalidArgument);
  directory.set_inode(12345);
  EXPECT_EQ(machine.allocate(directory, 0, {1, 2, 3, 4}).code, ErrorCode::kGone);
}

TEST_F(BlockCommands, AWriterOfADeletedFileIsToldSoUntilTheEnd) {
  const auto block = allocate();
  machine.mkdir("/d");
  machine.rename("/f", "/d/f", false);
  machine.remove("/d", true);
  const auto commit = MachineHarness::full_commit(file, block, 0, kFull);
  EXPECT_EQ(machine.commit(commit).code, ErrorCode::kGone);
  machine.reclaim_all(1);
  EXPECT_EQ(machine.commit(commit).code, ErrorCode::kGone);
  EXPECT_EQ(machine.garbage().size(), 5u);
}

}  // namespace
}  // namespace dogfs
