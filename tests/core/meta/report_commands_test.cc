// What chunk servers say of their shards, as the log knows it.
#include "core/meta/report_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/meta/risk.h"
#include "core/meta/server_states.h"
#include "tests/core/meta/repair_harness.h"

namespace dogfs {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReportCommands : public RepairHarness {};

// HDFS-17003: another block than the damaged one was invalidated.
TEST_F(ReportCommands, Hdfs17003DamageIsOfTheVeryShardThatWasNamed) {
  wire::ServerShard other = on_server(3, 2, shard(2).generation());
  other.set_generation(other.generation() + 1);
  mark_damaged(other);
  mark_damaged(on_server(4, 2, shard(2).generation()));
  mark_damaged(on_server(3, 1, shard(2).generation()));
  EXPECT_EQ(risk_of(row()), Risk::kWhole);
}

// HDFS-17003: of two damaged shards of a block, the servers of both were told to delete the one that was found last.
TEST_F(ReportCommands, Hdfs17003OfTwoDamagedShardsEachServerDeletesItsOwn) {
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

TEST_F(ReportCommands, NoStateOfItsServerMendsADamagedShard) {
  mark_damaged(on_server(3, 2, shard(2).generation()));
  kill(3);
  machine.add_server("2");
  sweep(3);
  EXPECT_EQ(shard(2).condition(), wire::Shard::DAMAGED);
}

TEST_F(ReportCommands, AReportedShardIsWhatTheMapSaysItIs) {
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

TEST_F(ReportCommands, AShardThatTheMapMissesIsAdopted) {
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
TEST_F(ReportCommands, AReplacedShardIsTakenBackWhenItsSuccessorIsDamaged) {
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

// More shards cannot be read than the block can bear: no repair mends it, and it was lost although they came back.
TEST_F(ReportCommands, AListedShardThatWasCalledDamagedIsTakenBack) {
  for (const uint32_t index : {0, 1, 2})
    mark_damaged(on_server(shard(index).server(), index, shard(index).generation()));
  ASSERT_EQ(risk_of(row()), Risk::kLost);
  const wire::Shard before = shard(0);
  const wire::ServerShard back = on_server(before.server(), 0, before.generation());
  wire::ServerShard other_bytes = back;
  other_bytes.set_crc32c(1);
  EXPECT_EQ(kind(other_bytes), ReportedShard::kListed);
  ASSERT_EQ(kind(back), ReportedShard::kAdoptable);
  wire::Command command;
  *command.mutable_adopt_shards()->add_shards() = back;
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_TRUE(is_intact(shard(0)));
  EXPECT_EQ(shard(0).generation(), before.generation());
  EXPECT_EQ(risk_of(row()), Risk::kNoSpare);
  EXPECT_THAT(machine.garbage(), IsEmpty()) << "it has no successor that it would have to make room for";
  EXPECT_EQ(kind(back), ReportedShard::kListed);
}

TEST_F(ReportCommands, AnAbandonedShardIsDiscardedAfterAGrace) {
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

TEST_F(ReportCommands, OnlyWhatTheMapHasNoUseForIsDiscarded) {
  const wire::Shard listed = shard(0);
  wire::Command command;
  *command.mutable_discard_shards()->add_shards() = on_server(1, 0, listed.generation());
  wire::ServerShard impossible = on_server(6, 0, machine.counters().next_generation() + 5);
  *command.mutable_discard_shards()->add_shards() = impossible;
  EXPECT_EQ(apply(command), ErrorCode::kOk);
  EXPECT_THAT(machine.garbage(), IsEmpty());
}

}  // namespace
}  // namespace dogfs
