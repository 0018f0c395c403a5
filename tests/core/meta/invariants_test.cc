// Each invariant is seen to catch the row that breaks it.
#include "core/meta/invariants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class Invariants : public ::testing::Test {
 protected:
  Invariants() {
    machine.add_servers(5);
    file = machine.create("/d/f", {.parents = true}).result.create_file();
    const Outcome block = machine.allocate(file, 0, {1, 2, 3, 4, 5});
    committed = block.result.allocate_block().block();
    machine.commit(MachineHarness::full_commit(file, block.result.allocate_block(), 0, 20'000));
    pending = machine.allocate(file, 0, {1, 2, 3, 4, 5}).result.allocate_block().block();
    EXPECT_THAT(check(), IsEmpty());
  }

  std::vector<std::string> check() const { return check_meta_invariants(machine.rows, GroupId()).value(); }

  template <class Change>
  void change_inode(uint64_t id, Change change) {
    wire::InodeRow row = machine.tables().required_inode(InodeId(id)).value();
    change(row);
    machine.rows.rows[machine.tables().keys().inode(InodeId(id))] = row.SerializeAsString();
  }

  template <class Change>
  void change_block(uint64_t id, Change change) {
    wire::BlockRow row = machine.tables().required_block(BlockId(id)).value();
    change(row);
    machine.rows.rows[machine.tables().keys().block(BlockId(id))] = row.SerializeAsString();
  }

  template <class Change>
  void change_counters(Change change) {
    wire::CountersRow row = machine.counters();
    change(row);
    machine.rows.rows[machine.tables().keys().counters()] = row.SerializeAsString();
  }

  MachineHarness machine;
  wire::CreateFileResult file;
  uint64_t committed = 0;
  uint64_t pending = 0;
};

TEST_F(Invariants, AnEntryWithoutItsInode) {
  machine.rows.rows.erase(machine.tables().keys().inode(InodeId(file.inode())));
  EXPECT_THAT(check(), Contains(StartsWith("I1")));
}

TEST_F(Invariants, AnInodeWithoutItsEntry) {
  machine.rows.rows.erase(machine.tables().keys().entry(InodeId(file.inode() - 1), "f"));
  EXPECT_THAT(check(), Contains(StartsWith("I1")));
}

TEST_F(Invariants, ADirectoryThatMiscounts) {
  change_inode(1, [](auto& row) { row.set_entries(2); });
  EXPECT_THAT(check(), Contains(StartsWith("I2")));
}

TEST_F(Invariants, ACycle) {
  const uint64_t directory = file.inode() - 1;
  change_inode(directory, [&](auto& row) { row.set_parent(directory); });
  EXPECT_THAT(check(), Contains(StartsWith("I2")));
}

TEST_F(Invariants, AFileWithAGap) {
  change_inode(file.inode(), [](auto& row) { row.set_length(row.length() + 1); });
  EXPECT_THAT(check(), Contains(StartsWith("I3")));
}

TEST_F(Invariants, ABlockThatNobodyLists) {
  change_inode(file.inode(), [](auto& row) { row.clear_pending_blocks(); });
  EXPECT_THAT(check(), Contains(StartsWith("I3")));
}

TEST_F(Invariants, TwoShardsOfABlockOnOneServer) {
  change_block(committed, [](auto& row) { row.mutable_shards(0)->set_server(row.shards(1).server()); });
  EXPECT_THAT(check(), Contains(StartsWith("I4")));
}

TEST_F(Invariants, AShardThatDoesNotFitItsGeometry) {
  change_block(committed, [](auto& row) { row.mutable_shards(0)->set_length(1); });
  EXPECT_THAT(check(), Contains(StartsWith("I4")));
}

TEST_F(Invariants, TwoTargetsOnOneServer) {
  change_block(pending, [](auto& row) { row.mutable_shards(0)->set_server(row.shards(1).server()); });
  EXPECT_THAT(check(), Contains(StartsWith("I5")));
}

TEST_F(Invariants, AnOpenFileWithoutALease) {
  machine.rows.rows.erase(machine.tables().keys().lease(InodeId(file.inode())));
  EXPECT_THAT(check(), Contains(StartsWith("I6")));
}

TEST_F(Invariants, AGenerationThatIsLiveAndGarbage) {
  const wire::BlockRow row = machine.tables().required_block(BlockId(committed)).value();
  const GarbageShard shard{.server = ServerId(row.shards(0).server()),
                           .block = BlockId(committed),
                           .index = ShardIndex(0),
                           .generation = ShardGeneration(row.shards(0).generation())};
  machine.rows.rows[machine.tables().keys().garbage(shard)] = "";
  EXPECT_THAT(check(), Contains(StartsWith("I7")));
}

TEST_F(Invariants, CountersThatMiscount) {
  change_counters([](auto& row) { row.set_bytes(row.bytes() + 1); });
  EXPECT_THAT(check(), Contains(StartsWith("I8")));
}

TEST_F(Invariants, AnIdThatWasNotGivenOut) {
  change_counters([](auto& row) { row.set_next_inode(row.next_inode() - 1); });
  EXPECT_THAT(check(), Contains(StartsWith("I8")));
}

TEST_F(Invariants, ATreeInTheTrashWithoutItsRow) {
  ASSERT_EQ(machine.set_trash_period(1000), ErrorCode::kOk);
  ASSERT_EQ(machine.remove("/d", true).code, ErrorCode::kOk);
  EXPECT_THAT(check(), IsEmpty());
  const uint64_t directory = file.inode() - 1;
  change_inode(directory, [](auto& row) { row.set_trash_expires_ms(row.trash_expires_ms() + 1); });
  EXPECT_THAT(check(), Contains(StartsWith("I13")));
  change_inode(directory, [](auto& row) { row.clear_trash_expires_ms(); });
  EXPECT_THAT(check(), Contains(StartsWith("I13")));
  change_inode(directory, [](auto& row) { row.set_trash_expires_ms(row.trash_expires_ms() - 1); });
  machine.rows.rows.erase(machine.rows.rows.lower_bound(machine.tables().keys().all_trash().begin));
  EXPECT_THAT(check(), Contains(StartsWith("I1")));
}

TEST_F(Invariants, AQuotaThatIsChargedWithSomethingElse) {
  ASSERT_EQ(machine.set_quota("/d", 10, 0).code, ErrorCode::kOk);
  EXPECT_THAT(check(), IsEmpty());
  const std::string key = machine.tables().keys().quota(InodeId(file.inode() - 1));
  const std::string before = machine.rows.rows[key];
  wire::QuotaRow row;
  ASSERT_TRUE(row.ParseFromString(before));
  EXPECT_EQ(row.names(), 2u);
  row.set_names(1);
  machine.rows.rows[key] = row.SerializeAsString();
  EXPECT_THAT(check(), Contains(StartsWith("I14")));
  machine.rows.rows[key] = before;
  change_inode(file.inode(), [](auto& inode) { inode.set_stored_bytes(inode.stored_bytes() - 1); });
  EXPECT_THAT(check(), Contains(StartsWith("I14")));
}

TEST_F(Invariants, AReplyBeyondItsWindow) {
  machine.rows.rows[machine.tables().keys().reply(machine.session, SequenceNumber(1))] = "";
  EXPECT_THAT(check(), Contains(StartsWith("I9")));
}

}  // namespace
}  // namespace dogfs
