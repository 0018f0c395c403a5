// What servers want moved off their failing disks.
#include "core/meta/leaving_shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/meta/repair_commands.h"
#include "core/meta/repair_planner.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

PlacedShard place(uint64_t server, uint64_t block, uint32_t index, uint64_t generation) {
  return {ServerId(server), BlockId(block), ShardIndex(index), ShardGeneration(generation)};
}

wire::HeartbeatRequest heartbeat(const std::vector<PlacedShard>& shards) {
  wire::HeartbeatRequest message;
  message.set_server(shards.front().server.value());
  for (const PlacedShard& shard : shards) *message.add_leaving() = shard_name(shard);
  return message;
}

// Committed blocks of RS(3,2) on servers 1 to 5 of eight.
class Leaving : public ::testing::Test {
 protected:
  Leaving() {
    machine.add_servers(8);
    file = machine.create("/f").result.create_file();
    for (int i = 0; i < 3; ++i) blocks.push_back(commit_block());
  }
  uint64_t commit_block() {
    const auto allocated = machine.allocate(file, 0, {1, 2, 3, 4, 5}).result.allocate_block();
    EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, allocated, length, kFull)).code, ErrorCode::kOk);
    length += kFull;
    return allocated.block();
  }
  wire::BlockRow row(size_t i) const { return machine.tables().required_block(BlockId(blocks[i])).value(); }
  PlacedShard listed(size_t i, uint32_t index) const {
    const wire::BlockRow block = row(i);
    const wire::Shard* shard = find_shard(block, index);
    return place(shard->server(), blocks[i], index, shard->generation());
  }
  LeavingShards::Found find(const std::vector<PlacedShard>& shards) const {
    return LeavingShards::find(machine.tables(), shards).value();
  }

  static constexpr uint64_t kFull = kTestGeometry.block_bytes;
  MachineHarness machine;
  wire::CreateFileResult file;
  uint64_t length = 0;
  std::vector<uint64_t> blocks;
  LeavingShards leaving;
  MonoTime now{std::chrono::hours(1)};
};

TEST_F(Leaving, EachGetsItsTurn) {
  leaving.hear(heartbeat({place(1, 1, 0, 1), place(1, 2, 0, 2), place(1, 3, 0, 3)}), now);
  EXPECT_THAT(leaving.next(2, now), ElementsAre(place(1, 1, 0, 1), place(1, 2, 0, 2)));
  EXPECT_THAT(leaving.next(2, now), ElementsAre(place(1, 3, 0, 3), place(1, 1, 0, 1)));
  EXPECT_THAT(leaving.next(10, now), SizeIs(3));
}

TEST_F(Leaving, WhatIsNotNamedAnyMoreIsForgotten) {
  leaving.hear(heartbeat({place(1, 1, 0, 1), place(1, 2, 0, 2)}), now);
  leaving.hear(heartbeat({place(1, 2, 0, 2)}), now + kLeavingMemory);
  EXPECT_THAT(leaving.next(10, now + kLeavingMemory + seconds(1)), ElementsAre(place(1, 2, 0, 2)));
  leaving.clear();
  EXPECT_THAT(leaving.next(10, now), IsEmpty());
}

TEST_F(Leaving, OnlyWhatTheMapListsAsWholeIsToBeMoved) {
  const PlacedShard other_generation = place(1, blocks[1], 0, 9'999);
  const PlacedShard other_server = place(6, blocks[1], 0, listed(1, 0).generation.value());
  const PlacedShard no_block = place(1, 777, 0, 1);
  wire::Command damage;
  set_placed_shard(listed(2, 0), *damage.mutable_mark_damaged()->add_shards());
  machine.apply(damage);
  const auto found = find({listed(0, 0), listed(0, 1), other_generation, other_server, no_block, listed(2, 0)});
  ASSERT_THAT(found.blocks, SizeIs(1));
  EXPECT_EQ(found.blocks[0].block(), blocks[0]);
  EXPECT_THAT(found.settled, UnorderedElementsAre(other_generation, other_server, no_block, listed(2, 0)));
}

TEST_F(Leaving, ThePlannerMovesThemAndNothingElse) {
  leaving.hear(heartbeat({listed(0, 1)}), now);
  RepairSituation situation;
  for (uint64_t id = 1; id <= 8; ++id) {
    situation.servers[ServerId(id)] = {
        .rack = "/r" + std::to_string(id), .state_since_ms = 0, .reachable = true, .free_bytes = 1ULL << 40};
  }
  situation.blocks = {row(0), row(1)};
  std::set<PlacedShard> moves;
  for (wire::BlockRow& block : situation.blocks) leaving.mark(block, moves);
  EXPECT_THAT(moves, ElementsAre(listed(0, 1)));
  const std::vector<PlannedRepair> planned = plan_repairs(situation, RepairLimits()).repairs;
  ASSERT_THAT(planned, SizeIs(1));
  EXPECT_EQ(planned[0].index, ShardIndex(1));
  EXPECT_EQ(planned[0].replaced_server, listed(0, 1).server);
  EXPECT_TRUE(planned[0].target == planned[0].replaced_server || planned[0].target.value() > 5)
      << planned[0].target.value();
  // It copies: the shard itself is the first source.
  EXPECT_EQ(repair_sources(situation.blocks[0], ShardIndex(1), situation.servers).front().index(), 1u);
}

}  // namespace
}  // namespace dogfs
