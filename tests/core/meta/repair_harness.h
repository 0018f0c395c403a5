// One committed block, and the commands by which it is repaired and reported on.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/meta/invariants.h"
#include "core/meta/repair_commands.h"
#include "core/meta/report_commands.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {

// One committed block of RS(3,2) on servers 1 to 5 of eight.
class RepairHarness : public ::testing::Test {
 protected:
  RepairHarness() {
    machine.add_servers(8);
    file = machine.create("/f").result.create_file();
    block = commit_block({1, 2, 3, 4, 5});
  }
  void TearDown() override {
    EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), ::testing::IsEmpty());
  }

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

}  // namespace dogfs
