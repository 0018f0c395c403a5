#include "core/meta/tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <tuple>

#include "core/meta/state_machine.h"
#include "tests/core/meta/machine_harness.h"
#include "tests/core/meta/memory_rows.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;

RC_GTEST_PROP(MetaKeys, SortAsTheirIdsDo, (uint64_t a, uint64_t b)) {
  const MetaKeys keys{GroupId(3)};
  RC_ASSERT((keys.inode(InodeId(a)) < keys.inode(InodeId(b))) == (a < b));
  RC_ASSERT((keys.file_block(InodeId(7), a) < keys.file_block(InodeId(7), b)) == (a < b));
  RC_ASSERT((MetaKeys(GroupId(a)).counters() < MetaKeys(GroupId(b)).counters()) == (a < b));
  RC_ASSERT(last_id(keys.lease(InodeId(a))) == a);
}

RC_GTEST_PROP(MetaKeys, AnEntryIsInItsDirectoryAlone, (uint64_t parent, const std::string& name, uint64_t other)) {
  RC_PRE(parent != other && parent != UINT64_MAX && other != UINT64_MAX && !name.empty());
  const MetaKeys keys{GroupId()};
  const std::string key = keys.entry(InodeId(parent), name);
  RC_ASSERT(entry_parent(key) == InodeId(parent));
  RC_ASSERT(entry_name(key) == name);
  const auto within = [&](const KeyRange& range) { return range.begin <= key && key < range.end; };
  RC_ASSERT(within(keys.entries(InodeId(parent), {})));
  RC_ASSERT(!within(keys.entries(InodeId(other), {})));
  RC_ASSERT(!within(keys.entries(InodeId(parent), name)));  // names greater than it
  RC_ASSERT(within(keys.all_entries()) && within(keys.all()));
}

RC_GTEST_PROP(MetaKeys, GarbageIsReadBackFromItsKey,
              (uint64_t server, uint64_t block, uint32_t index, uint64_t generation)) {
  const GarbageShard shard{.server = ServerId(server),
                           .block = BlockId(block),
                           .index = ShardIndex(index),
                           .generation = ShardGeneration(generation)};
  RC_ASSERT(garbage_shard(MetaKeys(GroupId(1)).garbage(shard)) == shard);
}

TEST(MetaTables, RowsAreReadBackAsTheyWereWritten) {
  MemoryRows rows;
  KvOverlay overlay(rows);
  MutableTables tables(overlay, GroupId());
  wire::InodeRow inode;
  inode.set_inode(7);
  inode.set_entry_name("n\xff");
  tables.put(inode);
  wire::ChunkServerRow server;
  server.set_server(9);
  server.set_uuid("0123456789abcdef");
  tables.put(server);
  tables.put_lease(InodeId(7), wire::LeaseRow());
  tables.put_applied(LogIndex(12));
  rows.write(overlay.take());
  const MetaTables read(rows, GroupId());
  EXPECT_EQ(read.inode(InodeId(7)).value()->entry_name(), "n\xff");
  EXPECT_EQ(read.server_by_uuid("0123456789abcdef").value(), ServerId(9));
  EXPECT_TRUE(read.lease(InodeId(7)).value().has_value());
  EXPECT_EQ(read.applied().value(), LogIndex(12));
  EXPECT_FALSE(read.inode(InodeId(8)).value().has_value());
  EXPECT_FALSE(MetaTables(rows, GroupId(1)).inode(InodeId(7)).value().has_value()) << "another group's";
}

TEST(MetaTables, ADamagedRowIsCorruptAndNamed) {
  MemoryRows rows;
  const MetaTables tables(rows, GroupId());
  rows.rows[tables.keys().inode(InodeId(7))] = "\xff\xff";
  const auto damaged = tables.inode(InodeId(7));
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(damaged.error().detail, HasSubstr("i\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07"));
  wire::InodeRow other;
  other.set_inode(8);
  rows.rows[tables.keys().inode(InodeId(7))] = other.SerializeAsString();
  EXPECT_EQ(tables.inode(InodeId(7)).error().code, ErrorCode::kCorrupt) << "misplaced";
  EXPECT_TRUE(is_store_error(tables.inode(InodeId(7)).error()));
  rows.rows[tables.keys().applied()] = "x";
  EXPECT_EQ(tables.applied().error().code, ErrorCode::kCorrupt);
}

TEST(MetaTables, AMissingRowIsNoFailureOfTheStore) {
  MemoryRows rows;
  const MetaTables tables(rows, GroupId());
  for (const Error& error :
       {tables.required_inode(InodeId(9)).error(), tables.required_block(BlockId(9)).error(),
        tables.required_inline_tail(InodeId(9)).error(), tables.required_trash(wire::InodeRow()).error()}) {
    EXPECT_TRUE(is_missing_row(error));
    EXPECT_FALSE(is_store_error(error));
    EXPECT_THAT(error.detail, HasSubstr("is missing"));
  }
}

TEST(MetaTables, ApplyFailsAsAWholeOnADamagedRow) {
  MachineHarness machine;
  machine.rows.rows[machine.tables().keys().inode(kRootInode)] = "\xff";
  wire::Mutation mutation;
  mutation.mutable_make_directory()->set_path("/a");
  const wire::Command command = machine.next_request(mutation);
  const CommittedEntry entry{.index = LogIndex(99), .term = Term(1), .command = command.SerializeAsString()};
  const auto batch = apply_entries(machine.rows, GroupId(), {entry});
  EXPECT_EQ(code_of(batch), ErrorCode::kCorrupt) << "a refusal would differ from what other nodes answer";
  machine.rows.rows.erase(machine.tables().keys().inode(kRootInode));
  EXPECT_EQ(code_of(apply_entries(machine.rows, GroupId(), {entry})), ErrorCode::kInternal) << "missing";
}

}  // namespace
}  // namespace dogfs
