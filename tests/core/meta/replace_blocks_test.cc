#include "core/meta/replace_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/base/limits.h"
#include "core/meta/invariants.h"
#include "core/meta/queries.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::IsEmpty;

class ReplaceBlocks : public ::testing::Test {
 protected:
  ReplaceBlocks() { machine.add_servers(8); }
  void TearDown() override { EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty()); }

  // What would commit a new block of `length` bytes at `offset`.
  wire::CommitBlock written(uint64_t offset, uint64_t length, const std::vector<uint64_t>& servers = {1, 2, 3, 4, 5}) {
    const Outcome block = machine.allocate(file, 0, servers);
    EXPECT_EQ(block.code, ErrorCode::kOk) << block.detail;
    return MachineHarness::full_commit(file, block.result.allocate_block(), offset, length);
  }

  std::vector<uint64_t> file_with(const std::vector<uint64_t>& lengths) {
    std::vector<uint64_t> ids;
    uint64_t end = 0;
    for (const uint64_t length : lengths) {
      const wire::CommitBlock block = written(end, length);
      EXPECT_EQ(machine.commit(block).code, ErrorCode::kOk);
      ids.push_back(block.block());
      end += length;
    }
    return ids;
  }

  wire::GetBlocksReply blocks() const {
    wire::GetBlocksRequest request;
    request.set_path("/f");
    return query_blocks(machine.tables(), request).value();
  }

  MachineHarness machine;
  wire::CreateFileResult file = machine.create("/f").result.create_file();
};

TEST_F(ReplaceBlocks, NeighboursBecomeOneAndTheirShardsGarbage) {
  const std::vector<uint64_t> ids = file_with({10, 20, 30, 40});
  const size_t garbage = machine.garbage().size();
  const wire::CommitBlock joined = written(10, 50);
  ASSERT_EQ(machine.replace_blocks(file, {ids[1], ids[2]}, {joined}).code, ErrorCode::kOk);
  const wire::GetBlocksReply reply = blocks();
  ASSERT_EQ(reply.blocks_size(), 3);
  EXPECT_EQ(reply.blocks(1).block(), joined.block());
  EXPECT_EQ(reply.blocks(1).offset(), 10u);
  EXPECT_EQ(reply.blocks(1).length(), 50u);
  EXPECT_EQ(reply.blocks(2).block(), ids[3]);
  EXPECT_EQ(reply.file_length(), 100u);
  EXPECT_EQ(machine.counters().blocks(), 3u);
  EXPECT_EQ(machine.counters().bytes(), 100u);
  EXPECT_EQ(machine.garbage().size(), garbage + 3 + 3 + 2) << "of each short block its shards, and two spare targets";
  EXPECT_EQ(machine.close(file, 100).code, ErrorCode::kOk);
}

TEST_F(ReplaceBlocks, OneBecomesSeveralOfAnotherPolicy) {
  const std::vector<uint64_t> ids = file_with({40'000});
  ASSERT_EQ(machine.close(file, 40'000).code, ErrorCode::kOk);
  wire::EcPolicy policy = geometry_to_wire(kTestGeometry);
  policy.set_block_bytes(3 * 4096);
  wire::Mutation again;
  again.mutable_append_file()->set_path("/f");
  *again.mutable_append_file()->mutable_policy() = policy;
  file = MachineHarness::writer_of(machine.mutate(again).result.append_file());
  EXPECT_EQ(file.policy().block_bytes(), policy.block_bytes());
  const std::vector<wire::CommitBlock> parts = {written(0, 12'288), written(12'288, 12'288), written(24'576, 12'288),
                                                written(36'864, 3136)};
  ASSERT_EQ(machine.replace_blocks(file, {ids[0]}, parts).code, ErrorCode::kOk);
  ASSERT_EQ(blocks().blocks_size(), 4);
  EXPECT_EQ(blocks().blocks(3).policy().block_bytes(), policy.block_bytes());
  EXPECT_EQ(machine.counters().blocks(), 4u);
  EXPECT_EQ(machine.close(file, 40'000).code, ErrorCode::kOk);
}

TEST_F(ReplaceBlocks, OfATruncatedBlockOnlyWhatTheFileHasIsReplaced) {
  const std::vector<uint64_t> ids = file_with({100, 100});
  ASSERT_EQ(machine.truncate(file, 130).code, ErrorCode::kOk);
  EXPECT_EQ(machine.replace_blocks(file, ids, {written(0, 200)}).code, ErrorCode::kConflict);
  ASSERT_EQ(machine.replace_blocks(file, ids, {written(0, 130)}).code, ErrorCode::kOk);
  EXPECT_EQ(blocks().blocks(0).length(), 130u);
}

TEST_F(ReplaceBlocks, WhatDoesNotFitIsRefusedAndChangesNothing) {
  const std::vector<uint64_t> ids = file_with({10, 20, 30});
  const wire::CommitBlock fits = written(10, 20);
  const std::string before = blocks().SerializeAsString();
  const auto code = [&](const std::vector<uint64_t>& replaced, const std::vector<wire::CommitBlock>& with) {
    return machine.replace_blocks(file, replaced, with).code;
  };
  EXPECT_EQ(code({}, {fits}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({ids[1]}, {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(std::vector<uint64_t>(kMaxReplacedBlocks + 1, ids[1]), {fits}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({ids[0]}, {fits}), ErrorCode::kConflict) << "another place";
  EXPECT_EQ(code({ids[0], ids[2]}, {fits}), ErrorCode::kConflict) << "no neighbours";
  EXPECT_EQ(code({ids[2], ids[1]}, {fits}), ErrorCode::kConflict) << "in another order";
  EXPECT_EQ(code({ids[1], ids[1]}, {fits}), ErrorCode::kConflict);
  EXPECT_EQ(code({fits.block()}, {fits}), ErrorCode::kConflict) << "it is pending itself";
  EXPECT_EQ(code({999}, {fits}), ErrorCode::kConflict);
  EXPECT_EQ(code({ids[1]}, {fits, fits}), ErrorCode::kConflict) << "twice as much";
  wire::CommitBlock shorter = fits;
  shorter.set_length(19);
  EXPECT_EQ(code({ids[1]}, {shorter}), ErrorCode::kConflict);
  wire::CommitBlock unsealed = fits;
  for (wire::Shard& shard : *unsealed.mutable_shards()) {
    shard.clear_server();
    shard.clear_generation();
  }
  EXPECT_EQ(code({ids[1]}, {unsealed}), ErrorCode::kInsufficientServers);
  EXPECT_EQ(blocks().SerializeAsString(), before);
  EXPECT_EQ(code({ids[1]}, {fits}), ErrorCode::kOk);
  EXPECT_EQ(code({ids[1]}, {fits}), ErrorCode::kConflict) << "the block is not there any more";
  ASSERT_EQ(machine.recover_lease("/f").code, ErrorCode::kOk);
  EXPECT_EQ(code({ids[0]}, {fits}), ErrorCode::kLeaseLost);
}

}  // namespace
}  // namespace dogfs
