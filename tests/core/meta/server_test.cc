#include <gtest/gtest.h>

#include <string>

#include "core/base/limits.h"
#include "core/meta/server_commands.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

wire::Command registration() {
  wire::Command command;
  command.mutable_register_server()->set_uuid(std::string(kUuidBytes, 'u'));
  command.mutable_register_server()->set_address("host:1");
  command.mutable_register_server()->set_rack("/rack");
  return command;
}

template <class Spoil>
ErrorCode refused(MachineHarness& machine, Spoil spoil) {
  wire::Command command = registration();
  spoil(*command.mutable_register_server());
  return error_code_from_wire(machine.apply(command).error());
}

TEST(ServerCommands, AServerKeepsItsIdAndGetsANewIncarnation) {
  MachineHarness machine;
  wire::RegisterServerReply first, second;
  ASSERT_TRUE(first.ParseFromString(machine.apply(registration()).body()));
  wire::Command again = registration();
  again.mutable_register_server()->set_address("host:2");
  again.mutable_register_server()->set_cluster_uuid(kTestClusterUuid);
  ASSERT_TRUE(second.ParseFromString(machine.apply(again).body()));
  EXPECT_EQ(second.server(), first.server());
  EXPECT_EQ(second.incarnation(), first.incarnation() + 1);
  EXPECT_EQ(second.cluster_uuid(), kTestClusterUuid);
  EXPECT_EQ(machine.tables().server(ServerId(first.server())).value()->address(), "host:2");
  EXPECT_EQ(machine.counters().servers(), 1u);
}

TEST(ServerCommands, BadRegistrationsAreRefused) {
  MachineHarness machine;
  const auto kBad = ErrorCode::kInvalidArgument;
  EXPECT_EQ(refused(machine, [](auto& server) { server.set_uuid("short"); }), kBad);
  EXPECT_EQ(refused(machine, [](auto& server) { server.clear_address(); }), kBad);
  EXPECT_EQ(refused(machine, [](auto& server) { server.set_address(std::string(kMaxAddressBytes + 1, 'a')); }), kBad);
  EXPECT_EQ(refused(machine, [](auto& server) { server.set_rack("rack"); }), kBad);
  EXPECT_EQ(refused(machine, [](auto& server) { server.set_rack("/" + std::string(kMaxRackBytes, 'r')); }), kBad);
  EXPECT_EQ(refused(machine, [](auto& server) { server.set_cluster_uuid(std::string(kUuidBytes, 'x')); }),
            ErrorCode::kWrongCluster);
  EXPECT_EQ(machine.counters().servers(), 0u);
}

TEST(ServerCommands, TheIdentityOfAClusterNeverChanges) {
  MachineHarness machine;
  wire::Command command;
  command.mutable_initialize_cluster()->set_uuid(std::string(kUuidBytes, 'N'));
  *command.mutable_initialize_cluster()->mutable_default_policy() = geometry_to_wire(kDefaultGeometry);
  EXPECT_EQ(machine.apply(command).error(), 0u);
  EXPECT_EQ(machine.counters().cluster_uuid(), kTestClusterUuid);
  EXPECT_EQ(machine.create("/f").result.create_file().policy().data_shards(), kTestGeometry.data_shards);
}

TEST(ServerCommands, ABadIdentityIsRefused) {
  MemoryRows rows;
  wire::Command command;
  command.mutable_initialize_cluster()->set_uuid("short");
  const auto apply = [&] {
    const CommittedEntry entry{.index = LogIndex(1), .term = Term(1), .command = command.SerializeAsString()};
    wire::CommandReply reply;
    EXPECT_TRUE(reply.ParseFromString(apply_entries(rows, GroupId(), {entry}).value().replies.at(0)));
    return error_code_from_wire(reply.error());
  };
  EXPECT_EQ(apply(), ErrorCode::kInvalidArgument);
  command.mutable_initialize_cluster()->set_uuid(std::string(kUuidBytes, 'N'));
  EXPECT_EQ(apply(), ErrorCode::kInvalidArgument) << "no policy";
}

TEST(ServerCommands, OnlyKnownGarbageIsForgotten) {
  MachineHarness machine;
  machine.add_servers(5);
  const wire::CreateFileResult file = machine.create("/f").result.create_file();
  const Outcome block = machine.allocate(file, 0, {1, 2, 3, 4, 5});
  machine.abandon(file, block.result.allocate_block().block());
  const GarbageShard shard = machine.garbage().at(0);
  wire::Command command;
  auto& entry = *command.mutable_confirm_deleted()->add_shards();
  entry.set_server(shard.server.value());
  entry.set_block(shard.block.value());
  entry.set_index(shard.index.value());
  entry.set_generation(shard.generation.value() + 100);
  machine.apply(command);
  EXPECT_EQ(machine.counters().garbage_shards(), 5u);
  entry.set_generation(shard.generation.value());
  machine.apply(command);
  machine.apply(command);
  EXPECT_EQ(machine.counters().garbage_shards(), 4u);
  EXPECT_EQ(machine.garbage().size(), 4u);
}

TEST(ServerCommands, OversizedCommandsAreRefused) {
  MachineHarness machine;
  wire::Command command;
  for (int i = 0; i <= kMaxConfirmedPerCommand; ++i) command.mutable_confirm_deleted()->add_shards();
  EXPECT_EQ(error_code_from_wire(machine.apply(command).error()), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace dogfs
