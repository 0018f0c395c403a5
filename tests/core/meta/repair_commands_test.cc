// Repair and server states as the log knows them.
#include "core/meta/repair_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/meta/risk.h"
#include "core/meta/server_states.h"
#include "tests/core/meta/repair_harness.h"

namespace dogfs {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class RepairCommands : public RepairHarness {};

TEST_F(RepairCommands, AWholeBlockIsNotAtRisk) {
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
  EXPECT_EQ(machine.count(machine.tables().keys().all_at_risk()), 0u);
}

TEST_F(RepairCommands, TheDeathOfAServerFollowsThroughItsBlocksInBoundedSteps) {
  for (int i = 0; i < 4; ++i) commit_block({1, 2, 3, 4, 5});
  EXPECT_EQ(set_state(1, wire::DEAD), ErrorCode::kOk);
  EXPECT_EQ(machine.count(machine.tables().keys().all_at_risk()), 0u) << "one row changes at once";
  sweep(1, 2);
  EXPECT_EQ(machine.counters().blocks_with_spares(1), 2u);
  sweep(1, 2);
  sweep(1, 2);
  EXPECT_EQ(machine.counters().blocks_with_spares(1), 5u);
  EXPECT_FALSE(machine.tables().server(ServerId(1)).value()->sweeping());
}

TEST_F(RepairCommands, ABlockThatIsCommittedBehindTheSweepOfADeadServerIsAtRiskToo) {
  const auto late = machine.allocate(file, 0, {1, 2, 3, 4, 5}).result.allocate_block();
  kill(1);
  ASSERT_EQ(machine.commit(MachineHarness::full_commit(file, late, length, kFull)).code, ErrorCode::kOk);
  EXPECT_EQ(machine.counters().blocks_with_spares(1), 2u);
}

TEST_F(RepairCommands, AServerThatComesBackMakesItsBlocksWholeAgain) {
  kill(1);
  EXPECT_EQ(risk_of(row()), risk_of_spares(1));
  machine.add_server("0");  // registers again
  sweep(1);
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
}

TEST_F(RepairCommands, AServerThatRegisteredAgainIsNotDeclaredDead) {
  const uint64_t incarnation = machine.tables().server(ServerId(1)).value()->incarnation();
  machine.add_server("0");
  EXPECT_EQ(set_state(1, wire::DEAD, incarnation), ErrorCode::kConflict);
  EXPECT_EQ(set_state(99, wire::DEAD), ErrorCode::kNotFound);
}

TEST_F(RepairCommands, OnlyAnEmptyServerIsRemovedAndForGood) {
  EXPECT_EQ(want(1, wire::REMOVED), ErrorCode::kConflict);
  EXPECT_EQ(want(8, wire::REMOVED), ErrorCode::kOk);
  EXPECT_EQ(want(8, wire::REMOVED), ErrorCode::kOk) << "it is so already";
  EXPECT_EQ(want(8, wire::LIVE), ErrorCode::kInvalidArgument);
  EXPECT_EQ(set_state(8, wire::DEAD), ErrorCode::kInvalidArgument);
  wire::Command again;
  again.mutable_register_server()->set_uuid(machine.tables().server(ServerId(8)).value()->uuid());
  again.mutable_register_server()->set_address("7:1");
  again.mutable_register_server()->set_rack("/r/7");
  EXPECT_EQ(apply(again), ErrorCode::kConflict);
}

TEST_F(RepairCommands, WhatCannotBeWantedOfAServerIsRefused) {
  EXPECT_EQ(want(99, wire::DRAINING), ErrorCode::kNotFound);
  EXPECT_EQ(want(1, wire::DEAD), ErrorCode::kInvalidArgument);
  EXPECT_EQ(want(1, static_cast<wire::ServerState>(77)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(want(1, wire::MAINTENANCE, 0), ErrorCode::kInvalidArgument);
  EXPECT_EQ(want(1, wire::MAINTENANCE, kMaxMaintenanceMs + 1), ErrorCode::kInvalidArgument);
  EXPECT_EQ(set_state(1, wire::DRAINING), ErrorCode::kInvalidArgument) << "that is not for a leader to find";
  kill(1);
  EXPECT_EQ(want(1, wire::MAINTENANCE, 1000), ErrorCode::kConflict);
}

TEST_F(RepairCommands, AServerThatDiesWhileItIsDrainedIsDrainedOnWhenItIsBack) {
  EXPECT_EQ(want(1, wire::DRAINING), ErrorCode::kOk);
  kill(1);
  EXPECT_EQ(shard(0).condition(), wire::Shard::UNREACHABLE);
  machine.add_server("0");
  sweep(1);
  EXPECT_EQ(state(1), wire::DRAINING);
  EXPECT_EQ(shard(0).condition(), wire::Shard::LEAVING);
  kill(1);
  EXPECT_EQ(want(1, wire::LIVE), ErrorCode::kOk);
  EXPECT_EQ(state(1), wire::DEAD) << "what is wanted of it does not bring it back";
  EXPECT_EQ(set_state(1, wire::LIVE), ErrorCode::kOk);
  EXPECT_EQ(state(1), wire::LIVE);
}

TEST_F(RepairCommands, AServerInMaintenanceIsNotDeclaredDeadAndItsShardsCount) {
  EXPECT_EQ(want(1, wire::MAINTENANCE, 60'000), ErrorCode::kOk);
  EXPECT_EQ(set_state(1, wire::DEAD), ErrorCode::kConflict);
  sweep(1);
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4, 5}).code, ErrorCode::kUnavailable) << "it takes nothing new";
  EXPECT_EQ(want(1, wire::LIVE), ErrorCode::kOk);
  EXPECT_EQ(set_state(1, wire::DEAD), ErrorCode::kOk);
}

// The leader judges by rows that it has read before: what was asked for meanwhile must not be undone.
TEST_F(RepairCommands, TheLeaderEndsAMaintenanceThatIsOverAndNothingElse) {
  EXPECT_EQ(want(1, wire::MAINTENANCE, 60'000), ErrorCode::kOk);
  EXPECT_EQ(set_state(1, wire::LIVE), ErrorCode::kOk);
  EXPECT_EQ(state(1), wire::MAINTENANCE) << "not yet";
  EXPECT_EQ(set_state(1, wire::LIVE, 0, 60'000), ErrorCode::kOk);
  EXPECT_EQ(state(1), wire::LIVE);
  EXPECT_EQ(machine.tables().server(ServerId(1)).value()->wanted(), wire::LIVE);
  EXPECT_EQ(want(1, wire::MAINTENANCE, 1000), ErrorCode::kOk);
  EXPECT_EQ(want(1, wire::DRAINING), ErrorCode::kOk);
  EXPECT_EQ(set_state(1, wire::LIVE, 0, 1000), ErrorCode::kOk);
  EXPECT_EQ(state(1), wire::DRAINING);
}

// HDFS-17658: a server was taken for empty while blocks that it was a target of were still being written.
TEST_F(RepairCommands, Hdfs17658AServerOfAnOpenBlockIsNotRemoved) {
  const auto open = machine.allocate(file, 0, {2, 3, 4, 5, 6}).result.allocate_block();
  EXPECT_EQ(want(6, wire::DRAINING), ErrorCode::kOk);
  EXPECT_EQ(want(6, wire::REMOVED), ErrorCode::kConflict);
  ASSERT_EQ(machine.commit(MachineHarness::full_commit(file, open, length, kFull)).code, ErrorCode::kOk);
  EXPECT_EQ(want(6, wire::REMOVED), ErrorCode::kConflict);
  const wire::BlockRow committed = machine.tables().required_block(BlockId(open.block())).value();
  EXPECT_EQ(find_shard(committed, 4)->condition(), wire::Shard::LEAVING) << "and it is moved as the others are";
}

TEST_F(RepairCommands, TheTargetOfARepairIsNotRemoved) {
  kill(1);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  EXPECT_EQ(want(6, wire::REMOVED), ErrorCode::kConflict);
}

TEST_F(RepairCommands, NobodyWaitsForARemovedServerToConfirmItsGarbage) {
  machine.remove("/f", false);
  machine.reclaim_all(100);
  ASSERT_EQ(machine.count(machine.tables().keys().garbage_of(ServerId(1))), 1u);
  const uint64_t before = machine.counters().garbage_shards();
  EXPECT_EQ(want(1, wire::REMOVED), ErrorCode::kOk);
  sweep(1);
  EXPECT_EQ(machine.count(machine.tables().keys().garbage_of(ServerId(1))), 0u);
  EXPECT_EQ(machine.counters().garbage_shards(), before - 1);
  sweep(1);
  EXPECT_FALSE(machine.tables().server(ServerId(1)).value()->sweeping());
}

TEST_F(RepairCommands, NothingIsPlacedOnADrainingServer) {
  EXPECT_EQ(want(6, wire::DRAINING), ErrorCode::kOk);
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4, 6}).code, ErrorCode::kUnavailable) << "the next try places anew";
}

TEST_F(RepairCommands, ARepairPublishesTheNewShardAndDiscardsTheOld) {
  const wire::Shard old = shard(0);
  kill(old.server());
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  EXPECT_EQ(shard(0).server(), old.server()) << "nothing changes before it is finished";
  ASSERT_TRUE(finish(success(row().reservations(0))));
  EXPECT_EQ(shard(0).server(), 6u);
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
  EXPECT_TRUE(is_garbage(old.server(), 0, old.generation()));
  EXPECT_EQ(machine.counters().reservations(), 0u);
}

TEST_F(RepairCommands, ARepairedShardOfOtherBytesIsNeverPublished) {
  kill(1);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  wire::FinishRepair wrong = success(row().reservations(0));
  wrong.set_crc32c(wrong.crc32c() + 1);
  EXPECT_FALSE(finish(wrong));
  EXPECT_EQ(risk_of(row()), risk_of_spares(1));
  EXPECT_TRUE(is_garbage(6, 0, wrong.generation()));
}

// HDFS-17094: a skewed list of indices let the shard of one index be taken for that of another.
TEST_F(RepairCommands, Hdfs17094ARepairIsOfTheReservedIndexOnly) {
  kill(1);
  kill(2);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  wire::FinishRepair other = success(row().reservations(0));
  other.set_index(1);
  other.set_crc32c(shard(1).crc32c());
  EXPECT_FALSE(finish(other));
  EXPECT_EQ(shard(1).condition(), wire::Shard::UNREACHABLE);
  EXPECT_EQ(row().reservations_size(), 1) << "nothing was said of index 0";
}

TEST_F(RepairCommands, ARepairThatWasGivenUpIsNotPublishedAnyMore) {
  kill(1);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  const wire::FinishRepair late = success(row().reservations(0));
  wire::Command command;
  auto& given_up = *command.mutable_cancel_repairs()->add_repairs();
  given_up.set_block(block);
  given_up.set_index(0);
  given_up.set_generation(late.generation());
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_TRUE(is_garbage(6, 0, late.generation()));
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  EXPECT_FALSE(finish(late));
  EXPECT_EQ(row().reservations_size(), 1) << "the other attempt goes on";
}

// HDFS-16420: the copy that was taken for excess was the only one of its index.
TEST_F(RepairCommands, Hdfs16420WhatCameBackDuringItsRepairIsKeptAndTheCopyGoes) {
  kill(1);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  machine.add_server("0");
  sweep(1);
  const wire::FinishRepair needless = success(row().reservations(0));
  EXPECT_FALSE(finish(needless));
  EXPECT_EQ(shard(0).server(), 1u);
  EXPECT_TRUE(is_garbage(6, 0, needless.generation()));
  EXPECT_FALSE(is_garbage(1, 0, shard(0).generation()));
}

// HDFS-16420: beside the copies in excess of one index, the only shard of another was deleted.
TEST_F(RepairCommands, Hdfs16420OnlyTheCopyInExcessIsDiscarded) {
  const uint64_t excess = leave_late_copy(6);
  machine.add_server("0");
  sweep(1);
  wire::Command command;
  *command.mutable_discard_shards()->add_shards() = on_server(6, 0, excess);
  for (uint32_t index = 0; index < 5; ++index) {
    *command.mutable_discard_shards()->add_shards() = on_server(index + 1, index, shard(index).generation());
  }
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_THAT(machine.garbage(), SizeIs(1));
  EXPECT_TRUE(is_garbage(6, 0, excess));
}

// HDFS-14768: the list of targets was longer than that of the missing shards.
TEST_F(RepairCommands, Hdfs14768OnlyMissingShardsGetTargets) {
  kill(1);
  EXPECT_EQ(start({plan(0, 6), plan(1, 7), plan(2, 8)}), 1u);
  EXPECT_EQ(start({plan(0, 7)}), 0u) << "it is under way";
}

TEST_F(RepairCommands, AServerNeverGetsTwoShardsOfABlock) {
  kill(1);
  kill(2);
  EXPECT_EQ(start({plan(0, 3)}), 0u) << "has shard 2";
  EXPECT_EQ(start({plan(0, 6), plan(1, 6)}), 1u) << "reservations count";
}

TEST_F(RepairCommands, ADamagedShardMayBeRebuiltOnItsOwnServer) {
  const wire::Shard damaged = shard(2);
  mark_damaged(on_server(3, 2, damaged.generation()));
  EXPECT_EQ(risk_of(row()), risk_of_spares(1));
  ASSERT_EQ(start({plan(2, 3)}), 1u);
  ASSERT_TRUE(finish(success(row().reservations(0))));
  EXPECT_EQ(shard(2).server(), 3u);
  EXPECT_TRUE(is_garbage(3, 2, damaged.generation()));
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
}

TEST_F(RepairCommands, AnUnreachableServerGetsNoRepairs) {
  kill(1);
  kill(6);
  EXPECT_EQ(start({plan(0, 6)}), 0u);
  EXPECT_EQ(start({plan(0, 1)}), 0u);
}

TEST_F(RepairCommands, ATargetThatDiedMeanwhileIsNotPublished) {
  kill(1);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  kill(6);
  EXPECT_FALSE(finish(success(row().reservations(0))));
}

TEST_F(RepairCommands, ABlockThatCannotBeDecodedIsLeftAlone) {
  kill(1);
  kill(2);
  kill(3);
  EXPECT_EQ(risk_of(row()), Risk::kLost);
  EXPECT_EQ(start({plan(0, 6)}), 0u);
  EXPECT_THAT(machine.garbage(), IsEmpty()) << "MinIO #14053: what is left is all there is";
}

TEST_F(RepairCommands, DeletingABlockDiscardsItsRepairsToo) {
  kill(1);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  const wire::FinishRepair late = success(row().reservations(0));
  machine.remove("/f", false);
  machine.reclaim_all(100);
  EXPECT_THAT(machine.garbage(), SizeIs(6));
  EXPECT_FALSE(finish(late));
  EXPECT_EQ(machine.counters().blocks_with_spares(1), 0u);
}

TEST_F(RepairCommands, DrainingCopiesWithoutLosingRedundancy) {
  EXPECT_EQ(want(1, wire::DRAINING), ErrorCode::kOk);
  sweep(1);
  EXPECT_EQ(risk_of(row()), Risk::kLeaving);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  ASSERT_TRUE(finish(success(row().reservations(0))));
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
  EXPECT_EQ(want(1, wire::REMOVED), ErrorCode::kOk);
}

TEST_F(RepairCommands, AWholeShardIsMovedOnlyWhereThatIsWhatIsWanted) {
  wire::StartRepairs::Repair move = plan(0, 6);
  EXPECT_EQ(start({move}), 0u) << "it needs no repair";
  move.set_move(true);
  ASSERT_EQ(start({move}), 1u);
  EXPECT_EQ(risk_of(row()), Risk::kWhole) << "it is there until the other is";
  ASSERT_TRUE(finish(success(row().reservations(0))));
  EXPECT_EQ(shard(0).server(), 6u);
  EXPECT_EQ(machine.count(machine.tables().keys().garbage_of(ServerId(1))), 1u);
  kill(2);
  wire::StartRepairs::Repair lost = plan(1, 7);
  lost.set_move(true);
  EXPECT_EQ(start({lost}), 0u) << "that is a repair";
}

TEST_F(RepairCommands, AWholeShardIsMovedToAnotherDiskOfItsServerAndALostOneIsNot) {
  wire::StartRepairs::Repair move = plan(0, 1);
  move.set_move(true);
  ASSERT_EQ(start({move}), 1u);
  const uint64_t before = shard(0).generation();
  ASSERT_TRUE(finish(success(row().reservations(0))));
  EXPECT_EQ(shard(0).server(), 1u);
  EXPECT_GT(shard(0).generation(), before);
  EXPECT_EQ(machine.count(machine.tables().keys().garbage_of(ServerId(1))), 1u);
  move = plan(0, 2);
  move.set_move(true);
  EXPECT_EQ(start({move}), 0u) << "that one has another shard of the block";
  kill(2);
  wire::StartRepairs::Repair lost = plan(1, 2);
  EXPECT_EQ(start({lost}), 0u);
}

TEST_F(RepairCommands, AMoveWhoseShardIsLostMeanwhileIsARepair) {
  wire::StartRepairs::Repair move = plan(0, 6);
  move.set_move(true);
  ASSERT_EQ(start({move}), 1u);
  kill(1);
  ASSERT_TRUE(finish(success(row().reservations(0))));
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
}

TEST_F(RepairCommands, BalancingHasAThreshold) {
  wire::Command command;
  command.mutable_set_balancing()->set_on(true);
  EXPECT_EQ(apply(command), ErrorCode::kInvalidArgument);
  command.mutable_set_balancing()->set_threshold_percent(101);
  EXPECT_EQ(apply(command), ErrorCode::kInvalidArgument);
  command.mutable_set_balancing()->set_threshold_percent(10);
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_EQ(machine.counters().balance_threshold_percent(), 10u);
  command.mutable_set_balancing()->set_on(false);
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_EQ(machine.counters().balance_threshold_percent(), 0u);
}

TEST_F(RepairCommands, OversizedCommandsAreRefused) {
  wire::Command starts, cancels, damaged, adopted, discarded, sweeps;
  for (int i = 0; i <= kMaxRepairsPerCommand; ++i) {
    starts.mutable_start_repairs()->add_repairs();
    cancels.mutable_cancel_repairs()->add_repairs();
  }
  for (int i = 0; i <= kMaxReportedPerCommand; ++i) {
    damaged.mutable_mark_damaged()->add_shards();
    adopted.mutable_adopt_shards()->add_shards();
    discarded.mutable_discard_shards()->add_shards();
  }
  sweeps.mutable_sweep_server()->set_server(1);
  for (const auto& command : {starts, cancels, damaged, adopted, discarded, sweeps}) {
    EXPECT_EQ(apply(command), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace dogfs
