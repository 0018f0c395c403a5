#include "core/meta/queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "core/base/limits.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

wire::ListRequest list_of(const std::string& path, const std::string& after = {}, uint32_t limit = 0) {
  wire::ListRequest request;
  request.set_path(path);
  request.set_after(after);
  request.set_limit(limit);
  return request;
}

wire::GetBlocksRequest blocks_of(const std::string& path, uint64_t offset, uint64_t length) {
  wire::GetBlocksRequest request;
  request.set_path(path);
  request.set_offset(offset);
  request.set_length(length);
  return request;
}

// Writes a file whose blocks have these lengths.
wire::CreateFileResult write_file(MachineHarness& machine, const std::string& path,
                                  const std::vector<uint64_t>& lengths) {
  const wire::CreateFileResult file = machine.create(path, {.parents = true}).result.create_file();
  uint64_t end = 0;
  for (const uint64_t length : lengths) {
    const Outcome block = machine.allocate(file, 0, {1, 2, 3, 4, 5});
    EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, block.result.allocate_block(), end, length)).code,
              ErrorCode::kOk);
    end += length;
  }
  EXPECT_EQ(machine.close(file, end).code, ErrorCode::kOk);
  return file;
}

TEST(Queries, ALargeDirectoryIsListedPageByPageInTheOrderOfNames) {
  MachineHarness machine;
  constexpr int kEntries = 2500;
  for (int i = 0; i < kEntries; ++i) machine.mkdir("/d/" + std::to_string(i), true);
  std::vector<std::string> names;
  std::string after;
  for (bool more = true; more;) {
    const wire::ListReply page = query_list(machine.tables(), list_of("/d", after)).value();
    EXPECT_LE(page.entries_size(), static_cast<int>(kMaxListPageEntries));
    for (const wire::FileStatus& entry : page.entries()) names.push_back(entry.name());
    more = page.more();
    after = names.back();
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kEntries));
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(query_list(machine.tables(), list_of("/d", "zzz")).value().entries_size(), 0);
  EXPECT_EQ(query_list(machine.tables(), list_of("/d", "", 1'000'000)).value().entries_size(), 1000);
}

TEST(Queries, ListSaysWhatIsWrong) {
  MachineHarness machine;
  machine.create("/f");
  EXPECT_EQ(query_list(machine.tables(), list_of("/f")).error().code, ErrorCode::kNotADirectory);
  EXPECT_EQ(query_list(machine.tables(), list_of("/none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(query_list(machine.tables(), list_of("none")).error().code, ErrorCode::kInvalidArgument);
}

TEST(Queries, StatShowsTheInheritedPolicyAndTheWriter) {
  MachineHarness machine;
  machine.add_servers(5);
  machine.mkdir("/a/b", true);
  machine.create("/a/b/f");
  wire::StatRequest request;
  request.set_path("/a/b");
  EXPECT_EQ(query_stat(machine.tables(), request).value().status().policy().data_shards(), 3u);
  EXPECT_EQ(query_stat(machine.tables(), request).value().status().entries(), 1u);
  request.set_path("/a/b/f");
  EXPECT_TRUE(query_stat(machine.tables(), request).value().status().being_written());
  request.set_path("/");
  EXPECT_TRUE(query_stat(machine.tables(), request).value().status().directory());
  request.set_path("/a/x/y");
  EXPECT_EQ(query_stat(machine.tables(), request).error().detail, "/a/x");
}

TEST(Queries, BlocksCarryTheAddressesOfTheirServers) {
  MachineHarness machine;
  machine.add_servers(5);
  write_file(machine, "/f", {100});
  const wire::GetBlocksReply reply = query_blocks(machine.tables(), blocks_of("/f", 0, 0)).value();
  ASSERT_EQ(reply.blocks_size(), 1);
  EXPECT_EQ(reply.blocks(0).length(), 100u);
  EXPECT_EQ(reply.blocks(0).shards(0).server_address(), "0:1");
}

RC_GTEST_PROP(Queries, BlocksAreExactlyThoseThatTheRangeTouches, ()) {
  MachineHarness machine;
  machine.add_servers(5);
  const auto lengths = *rc::gen::container<std::vector<uint64_t>>(rc::gen::inRange<uint64_t>(1, 50));
  write_file(machine, "/f", lengths);
  const auto offset = *rc::gen::inRange<uint64_t>(0, 300);
  const auto length = *rc::gen::inRange<uint64_t>(0, 300);
  std::vector<uint64_t> expected;
  uint64_t begin = 0;
  for (const uint64_t each : lengths) {
    const bool touched = begin + each > offset && (length == 0 || begin < offset + length);
    if (touched) expected.push_back(begin);
    begin += each;
  }
  const wire::GetBlocksReply reply = query_blocks(machine.tables(), blocks_of("/f", offset, length)).value();
  std::vector<uint64_t> offsets;
  for (const wire::BlockLocation& block : reply.blocks()) offsets.push_back(block.offset());
  RC_ASSERT(offsets == expected);
  RC_ASSERT(reply.file_length() == begin);
  RC_ASSERT(!reply.more());
}

TEST(Queries, ManyBlocksComeInPages) {
  MachineHarness machine;
  machine.add_servers(5);
  write_file(machine, "/f", std::vector<uint64_t>(kMaxBlocksPerPage + 5, 1));
  const wire::GetBlocksReply first = query_blocks(machine.tables(), blocks_of("/f", 0, 0)).value();
  EXPECT_EQ(first.blocks_size(), kMaxBlocksPerPage);
  EXPECT_TRUE(first.more());
  const wire::GetBlocksReply rest = query_blocks(machine.tables(), blocks_of("/f", kMaxBlocksPerPage, 0)).value();
  EXPECT_EQ(rest.blocks_size(), 5);
  EXPECT_FALSE(rest.more());
}

TEST(Queries, ADeletedFileIsReadByItsInodeUntilItIsReclaimed) {
  MachineHarness machine;
  machine.add_servers(5);
  const wire::CreateFileResult file = write_file(machine, "/f", {10});
  machine.remove("/f", false);
  wire::GetBlocksRequest request;
  request.set_inode(file.inode());
  EXPECT_EQ(query_blocks(machine.tables(), request).value().blocks_size(), 1);
  machine.reclaim_all(100);
  EXPECT_EQ(query_blocks(machine.tables(), request).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(query_blocks(machine.tables(), blocks_of("/", 0, 0)).error().code, ErrorCode::kIsADirectory);
}

TEST(Queries, ADeletedDirectoryIsListedByItsInodeUntilItIsReclaimed) {
  MachineHarness machine;
  machine.add_servers(5);
  machine.mkdir("/d/e", true);
  const wire::CreateFileResult file = write_file(machine, "/d/f", {10});
  wire::StatRequest stat;
  stat.set_path("/d");
  wire::ListRequest request;
  request.set_inode(query_stat(machine.tables(), stat).value().status().inode());
  EXPECT_EQ(query_list(machine.tables(), request).value().entries_size(), 2) << "it need not be deleted";
  machine.remove("/d", true);
  request.set_limit(1);
  const wire::ListReply first = query_list(machine.tables(), request).value();
  ASSERT_EQ(first.entries_size(), 1);
  EXPECT_TRUE(first.more());
  EXPECT_EQ(first.entries(0).name(), "e");
  request.set_after("e");
  const wire::ListReply second = query_list(machine.tables(), request).value();
  ASSERT_EQ(second.entries_size(), 1);
  EXPECT_FALSE(second.more());
  EXPECT_EQ(second.entries(0).inode(), file.inode());
  EXPECT_EQ(second.entries(0).length(), 10u);
  wire::ListRequest of_file;
  of_file.set_inode(file.inode());
  EXPECT_EQ(query_list(machine.tables(), of_file).error().code, ErrorCode::kNotADirectory);
  machine.reclaim_all(100);
  EXPECT_EQ(query_list(machine.tables(), request).error().code, ErrorCode::kNotFound);
}

RC_GTEST_PROP(Queries, ASummaryIsTheSameWhateverItsSteps, ()) {
  MachineHarness machine;
  machine.add_servers(5);
  const int files = *rc::gen::inRange(0, 12);
  uint64_t bytes = 0, blocks = 0;
  for (int i = 0; i < files; ++i) {
    const auto lengths = *rc::gen::container<std::vector<uint64_t>>(rc::gen::inRange<uint64_t>(1, 50));
    for (const uint64_t length : lengths) bytes += length;
    blocks += lengths.size();
    write_file(machine, "/d/" + std::to_string(i % 3) + "/" + std::to_string(i), lengths);
  }
  machine.mkdir("/d", true);
  wire::SummaryRequest request;
  request.set_path("/d");
  SummaryWalk walk(machine.rows, GroupId());
  RC_ASSERT(walk.start(request).has_value());
  const auto step = *rc::gen::inRange<size_t>(1, 20);
  while (!walk.step(step).value()) {
  }
  RC_ASSERT(walk.sum().files() == static_cast<uint64_t>(files));
  RC_ASSERT(walk.sum().directories() == static_cast<uint64_t>(1 + std::min(files, 3)));
  RC_ASSERT(walk.sum().bytes() == bytes);
  RC_ASSERT(walk.sum().blocks() == blocks);
  RC_ASSERT(walk.sum().blocks_short() == 0u);
  RC_ASSERT(walk.sum().least_spares() == (blocks == 0 ? 0u : 2u));
  RC_ASSERT(walk.sum().stored_bytes() == 3 * bytes);  // of one cell: one data shard, two of parity
}

TEST(Queries, ASummaryNamesTheWeakestBlock) {
  MachineHarness machine;
  machine.add_servers(5);
  const wire::CreateFileResult file = machine.create("/f").result.create_file();
  const Outcome block = machine.allocate(file, 0, {1, 2, 3, 4});
  ASSERT_EQ(
      machine.commit(MachineHarness::full_commit(file, block.result.allocate_block(), 0, kTestGeometry.block_bytes))
          .code,
      ErrorCode::kOk);
  wire::SummaryRequest request;
  request.set_path("/f");
  SummaryWalk walk(machine.rows, GroupId());
  ASSERT_TRUE(walk.start(request).has_value());
  EXPECT_TRUE(walk.step(100).value());
  EXPECT_EQ(walk.sum().least_spares(), 1u);
  EXPECT_EQ(walk.sum().blocks_short(), 1u);
}

}  // namespace
}  // namespace dogfs
