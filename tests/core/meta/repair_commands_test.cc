// Repair, server states and reports of damage as the log knows them.
#include "core/meta/repair_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/meta/invariants.h"
#include "core/meta/report_commands.h"
#include "core/meta/risk.h"
#include "core/meta/server_states.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// One committed block of RS(3,2) on servers 1 to 5 of eight.
class RepairCommands : public ::testing::Test {
 protected:
  RepairCommands() {
    machine.add_servers(8);
    file = machine.create("/f").result.create_file();
    block = commit_block({1, 2, 3, 4, 5});
  }
  void TearDown() override { EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty()); }

  uint64_t commit_block(std::vector<uint64_t> servers) {
    const auto allocated = machine.allocate(file, 0, std::move(servers)).result.allocate_block();
    EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, allocated, length, kFull)).code, ErrorCode::kOk);
    length += kFull;
    return allocated.block();
  }

  wire::BlockRow row() const { return machine.tables().required_block(BlockId(block)).value(); }
  wire::Shard shard(uint32_t index) const { return *find_shard(row(), index); }

  ErrorCode apply(const wire::Command& command) { return error_code_from_wire(machine.apply(command).error()); }

  ErrorCode set_state(uint64_t server, wire::ServerState state, uint64_t incarnation = 0, int64_t elapsed_ms = 0) {
    wire::Command command;
    command.set_elapsed_ms(elapsed_ms);
    command.mutable_set_server_state()->set_server(server);
    command.mutable_set_server_state()->set_state(state);
    command.mutable_set_server_state()->set_incarnation(incarnation);
    return apply(command);
  }

  ErrorCode want(uint64_t server, wire::ServerState wanted, int64_t maintenance_ms = 0) {
    wire::Command command;
    command.mutable_administer_server()->set_server(server);
    command.mutable_administer_server()->set_wanted(wanted);
    command.mutable_administer_server()->set_maintenance_ms(maintenance_ms);
    return apply(command);
  }
  wire::ServerState state(uint64_t server) const { return machine.tables().server(ServerId(server)).value()->state(); }

  void sweep(uint64_t server, uint32_t rows = 100) {
    wire::Command command;
    command.mutable_sweep_server()->set_server(server);
    command.mutable_sweep_server()->set_max_rows(rows);
    EXPECT_EQ(apply(command), ErrorCode::kOk);
  }

  void kill(uint64_t server) {
    EXPECT_EQ(set_state(server, wire::DEAD), ErrorCode::kOk);
    sweep(server);
  }

  wire::StartRepairs::Repair plan(uint32_t index, uint64_t target) const {
    wire::StartRepairs::Repair repair;
    repair.set_block(block);
    repair.set_index(index);
    repair.set_target(target);
    repair.set_replaced_server(shard(index).server());
    repair.set_replaced_generation(shard(index).generation());
    return repair;
  }

  uint32_t start(const std::vector<wire::StartRepairs::Repair>& repairs) {
    wire::Command command;
    command.mutable_start_repairs()->set_valid_ms(1000);
    for (const auto& repair : repairs) *command.mutable_start_repairs()->add_repairs() = repair;
    wire::StartRepairsReply reply;
    EXPECT_TRUE(reply.ParseFromString(machine.apply(command).body()));
    return reply.started();
  }

  wire::FinishRepair success(const wire::RepairReservation& reservation) const {
    wire::FinishRepair finish;
    finish.set_block(block);
    finish.set_index(reservation.index());
    finish.set_target(reservation.target());
    finish.set_generation(reservation.generation());
    finish.set_length(shard(reservation.index()).length());
    finish.set_crc32c(shard(reservation.index()).crc32c());
    return finish;
  }

  bool finish(const wire::FinishRepair& operation) {
    wire::Command command;
    *command.mutable_finish_repair() = operation;
    wire::FinishRepairReply reply;
    EXPECT_TRUE(reply.ParseFromString(machine.apply(command).body()));
    return reply.published();
  }

  wire::ServerShard on_server(uint64_t server, uint32_t index, uint64_t generation) const {
    wire::ServerShard named;
    named.set_server(server);
    named.set_block(block);
    named.set_index(index);
    named.set_generation(generation);
    named.set_length(shard(index).length());
    named.set_crc32c(shard(index).crc32c());
    return named;
  }

  void mark_damaged(const wire::ServerShard& damaged) {
    wire::Command command;
    *command.mutable_mark_damaged()->add_shards() = damaged;
    EXPECT_EQ(apply(command), ErrorCode::kOk);
  }

  // Server 1 dies, and `target` seals shard 0 after its repair was given up and the shard confirmed as not there. The
  // generation of that copy.
  uint64_t leave_late_copy(uint64_t target) {
    kill(1);
    EXPECT_EQ(start({plan(0, target)}), 1u);
    const uint64_t generation = row().reservations(0).generation();
    wire::Command command;
    auto& given_up = *command.mutable_cancel_repairs()->add_repairs();
    given_up.set_block(block);
    given_up.set_generation(generation);
    apply(command);
    auto& gone = *command.mutable_confirm_deleted()->add_shards();
    gone.set_server(target);
    gone.set_block(block);
    gone.set_generation(generation);
    apply(command);
    return generation;
  }

  ReportedShard kind(const wire::ServerShard& reported) const {
    return classify(machine.tables(), machine.counters(), reported).value();
  }

  bool is_garbage(uint64_t server, uint32_t index, uint64_t generation) const {
    return machine.tables()
        .garbage({ServerId(server), BlockId(block), ShardIndex(index), ShardGeneration(generation)})
        .value()
        .has_value();
  }

  static constexpr uint64_t kFull = kTestGeometry.block_bytes;
  MachineHarness machine;
  wire::CreateFileResult file;
  uint64_t length = 0;
  uint64_t block = 0;
};

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

// HDFS-17003: another block than the damaged one was invalidated.
TEST_F(RepairCommands, Hdfs17003DamageIsOfTheVeryShardThatWasNamed) {
  wire::ServerShard other = on_server(3, 2, shard(2).generation());
  other.set_generation(other.generation() + 1);
  mark_damaged(other);
  mark_damaged(on_server(4, 2, shard(2).generation()));
  mark_damaged(on_server(3, 1, shard(2).generation()));
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
}

// HDFS-17003: of two damaged shards of a block, the servers of both were told to delete the one that was found last.
TEST_F(RepairCommands, Hdfs17003OfTwoDamagedShardsEachServerDeletesItsOwn) {
  const uint64_t first = shard(2).generation();
  const uint64_t second = shard(3).generation();
  mark_damaged(on_server(3, 2, first));
  mark_damaged(on_server(4, 3, second));
  ASSERT_EQ(start({plan(2, 6), plan(3, 7)}), 2u);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(finish(success(row().reservations(0))));
  EXPECT_THAT(machine.garbage(), SizeIs(2));
  EXPECT_TRUE(is_garbage(3, 2, first));
  EXPECT_TRUE(is_garbage(4, 3, second));
}

TEST_F(RepairCommands, NoStateOfItsServerMendsADamagedShard) {
  mark_damaged(on_server(3, 2, shard(2).generation()));
  kill(3);
  machine.add_server("2");
  sweep(3);
  EXPECT_EQ(shard(2).condition(), wire::Shard::DAMAGED);
}

TEST_F(RepairCommands, AReportedShardIsWhatTheMapSaysItIs) {
  const uint64_t generation = shard(0).generation();
  EXPECT_EQ(kind(on_server(1, 0, generation)), ReportedShard::kListed);
  wire::ServerShard unknown = on_server(6, 0, generation);
  EXPECT_EQ(kind(unknown), ReportedShard::kSuperseded) << "the index is whole elsewhere";
  unknown.set_block(machine.counters().next_block());
  EXPECT_EQ(kind(unknown), ReportedShard::kImpossible);
  wire::ServerShard future = on_server(6, 0, machine.counters().next_generation());
  EXPECT_EQ(kind(future), ReportedShard::kImpossible);
  kill(1);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  EXPECT_EQ(kind(on_server(6, 0, row().reservations(0).generation())), ReportedShard::kReserved);
  EXPECT_EQ(kind(on_server(7, 0, generation)), ReportedShard::kAdoptable) << "the bytes are those of the commit";
  wire::ServerShard other_bytes = on_server(7, 0, generation);
  other_bytes.set_crc32c(1);
  EXPECT_EQ(kind(other_bytes), ReportedShard::kSuperseded);
  EXPECT_EQ(kind(on_server(3, 0, generation)), ReportedShard::kReserved) << "a last good copy is kept, if not listed";
  const wire::ServerShard listed = on_server(1, 0, generation);
  const wire::ServerShard unlisted = on_server(8, 0, generation);
  machine.remove("/f", false);
  machine.reclaim_all(100);
  EXPECT_EQ(kind(listed), ReportedShard::kGarbage);
  EXPECT_EQ(kind(unlisted), ReportedShard::kAbandoned);
}

TEST_F(RepairCommands, AShardThatTheMapMissesIsAdopted) {
  const uint64_t generation = leave_late_copy(6);
  ASSERT_EQ(kind(on_server(6, 0, generation)), ReportedShard::kAdoptable);
  wire::Command command;
  *command.mutable_adopt_shards()->add_shards() = on_server(6, 0, generation);
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
  EXPECT_EQ(shard(0).server(), 6u);
}

// The simulator's correlated_faults, seed 70071: what a repair had rebuilt was damaged before it was even listed. The
// shard whose place it took was whole and kept, but nobody took it back, and the block was lost.
TEST_F(RepairCommands, AReplacedShardIsTakenBackWhenItsSuccessorIsDamaged) {
  const wire::Shard old = shard(0);
  kill(1);
  ASSERT_EQ(start({plan(0, 6)}), 1u);
  ASSERT_TRUE(finish(success(row().reservations(0))));
  machine.add_server("0");
  const wire::ServerShard kept = on_server(1, 0, old.generation());
  EXPECT_EQ(kind(kept), ReportedShard::kGarbage) << "its successor is whole";
  wire::Command command;
  *command.mutable_adopt_shards()->add_shards() = kept;
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_EQ(shard(0).server(), 6u);
  const wire::Shard successor = shard(0);
  mark_damaged(on_server(6, 0, successor.generation()));
  EXPECT_EQ(kind(kept), ReportedShard::kAdoptable);
  wire::ServerShard other_bytes = kept;
  other_bytes.set_crc32c(1);
  EXPECT_EQ(kind(other_bytes), ReportedShard::kGarbage);
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_EQ(shard(0).server(), 1u);
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
  EXPECT_FALSE(is_garbage(1, 0, old.generation()));
  EXPECT_TRUE(is_garbage(6, 0, successor.generation()));
  EXPECT_EQ(machine.counters().garbage_shards(), 1u);
}

TEST_F(RepairCommands, AnAbandonedShardIsDiscardedAfterAGrace) {
  const wire::ServerShard unknown = on_server(1, 0, shard(0).generation());
  machine.remove("/f", false);
  machine.reclaim_all(100);
  wire::Command command;
  for (const GarbageShard& gone : machine.garbage()) {
    auto& entry = *command.mutable_confirm_deleted()->add_shards();
    entry.set_server(gone.server.value());
    entry.set_block(gone.block.value());
    entry.set_index(gone.index.value());
    entry.set_generation(gone.generation.value());
  }
  apply(command);
  *command.mutable_discard_shards()->add_shards() = unknown;
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_TRUE(is_garbage(1, 0, unknown.generation()));
}

TEST_F(RepairCommands, OnlyWhatTheMapHasNoUseForIsDiscarded) {
  const wire::Shard listed = shard(0);
  wire::Command command;
  *command.mutable_discard_shards()->add_shards() = on_server(1, 0, listed.generation());
  wire::ServerShard impossible = on_server(6, 0, machine.counters().next_generation() + 5);
  *command.mutable_discard_shards()->add_shards() = impossible;
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_THAT(machine.garbage(), IsEmpty());
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
