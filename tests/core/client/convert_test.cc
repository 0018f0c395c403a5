// Files whose blocks are written anew, by another policy or to be fewer.
#include <gtest/gtest.h>

#include <string>

#include "core/ec/policy_wire.h"
#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kCell = kSmallGeometry.cell_bytes;
constexpr uint64_t kBlock = kSmallGeometry.block_bytes;

class ConvertTest : public ClientFixture {
 protected:
  static wire::EcPolicy policy(uint32_t data, uint64_t stripes) {
    wire::EcPolicy policy = geometry_to_wire(kSmallGeometry);
    policy.set_data_shards(data);
    policy.set_block_bytes(data * kCell * stripes);
    return policy;
  }

  Result<ConvertOutcome> convert(std::optional<wire::EcPolicy> policy) {
    return world_.run(client_->convert("/f", std::move(policy)));
  }

  // A file whose blocks have these lengths.
  std::string file_with(const std::vector<size_t>& lengths) {
    std::string data;
    const std::unique_ptr<FileWriter> writer = create("/f");
    for (const size_t length : lengths) {
      const std::string piece = pattern(length, data.size() + 1);
      EXPECT_TRUE(world_.run(writer->write(Bytes::copy_of(piece))).has_value());
      EXPECT_TRUE(world_.run(writer->sync()).has_value());
      data += piece;
    }
    EXPECT_TRUE(world_.run(writer->close()).has_value());
    return data;
  }

  const std::vector<FakeBlock>& blocks() { return cluster_.file("/f").blocks; }
};

TEST_F(ConvertTest, ShortNeighboursBecomeOneBlock) {
  const std::string data = file_with({100, 200, 300, kBlock, 5, 6});
  const Result<ConvertOutcome> outcome = convert(std::nullopt);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_before, 6u);
  EXPECT_EQ(outcome.value().blocks, 3u);
  EXPECT_EQ(outcome.value().written.blocks, 2u) << "the full one stays";
  EXPECT_EQ(outcome.value().written.bytes, 611u);
  EXPECT_EQ(blocks().size(), 3u);
  EXPECT_EQ(blocks()[0].length, 600u);
  EXPECT_TRUE(cluster_.file("/f").closed);
  EXPECT_TRUE(read("/f").value() == data);
}

TEST_F(ConvertTest, WhatIsAsItShouldBeIsLeftAlone) {
  const std::string data = file_with({kBlock, kBlock, 7});
  const Result<ConvertOutcome> outcome = convert(geometry_to_wire(kSmallGeometry));
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks, 3u);
  EXPECT_EQ(outcome.value().written.blocks, 0u);
  EXPECT_EQ(cluster_.effects[wire::Mutation::kReplaceBlocks], 0);
  EXPECT_TRUE(read("/f").value() == data);
}

TEST_F(ConvertTest, LargerBlocksBecomeSeveralOfTheNewPolicy) {
  const std::string data = file_with({kBlock, kBlock, kCell + 1});
  const Result<ConvertOutcome> outcome = convert(policy(2, 1));
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(blocks().size(), 6u + 6u + 1u);
  for (const FakeBlock& block : blocks()) EXPECT_EQ(block.geometry.data_shards, 2u);
  EXPECT_EQ(cluster_.file("/f").geometry.data_shards, 2u) << "what is appended later has it, too";
  EXPECT_TRUE(read("/f").value() == data);
}

TEST_F(ConvertTest, ATailStaysWhereItIs) {
  keep_tails_inline();
  const std::string data = pattern(kBlock + 100);
  ASSERT_TRUE(write("/f", data).has_value());
  ASSERT_TRUE(convert(policy(2, 2)).has_value());
  EXPECT_EQ(cluster_.file("/f").tail.size(), 100u);
  EXPECT_TRUE(read("/f").value() == data);
}

TEST_F(ConvertTest, OfATruncatedBlockOnlyWhatTheFileHasIsWritten) {
  const std::string data = file_with({kBlock, kBlock});
  ASSERT_TRUE(world_.run(client_->truncate("/f", kBlock + 10)).has_value());
  ASSERT_EQ(convert(policy(3, 1)).value().written.bytes, kBlock + 10);
  EXPECT_TRUE(read("/f").value() == data.substr(0, kBlock + 10));
}

TEST_F(ConvertTest, ABlockThatWouldBecomeTooManyIsRefusedAndNothingIsLost) {
  const std::string data = file_with({kBlock});
  wire::EcPolicy small = policy(1, 1);
  small.set_cell_bytes(4096);
  small.set_block_bytes(4096);
  EXPECT_EQ(code_of(convert(small)), ErrorCode::kLimitExceeded);
  EXPECT_TRUE(cluster_.file("/f").closed);
  EXPECT_TRUE(read("/f").value() == data);
}

TEST_F(ConvertTest, AFileThatIsBeingWrittenIsNotConverted) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  EXPECT_EQ(code_of(convert(std::nullopt)), ErrorCode::kLeaseHeld);
  ASSERT_TRUE(world_.run(writer->close()).has_value());
}

TEST_F(ConvertTest, AReaderThatIsOpenFindsTheBlocksThatTookTheOthersPlace) {
  const std::string data = file_with({kCell, kCell, kBlock, kBlock});
  const std::unique_ptr<FileReader> reader = std::move(world_.run(client_->open("/f"))).value();
  EXPECT_TRUE(read(*reader, 0, 100).value() == data.substr(0, 100));
  const std::vector<FakeBlock> old = blocks();
  ASSERT_TRUE(convert(policy(2, 1)).has_value());
  for (const FakeBlock& block : old) {
    for (const wire::Shard& shard : block.shards) {
      cluster_.server(shard.server()).shards.erase({block.block, shard.index(), shard.generation()});
    }
  }
  EXPECT_TRUE(read(*reader, 0, data.size()).value() == data);
}

TEST_F(ConvertTest, WithTooFewServersItFailsAndTheFileIsAsItWas) {
  const std::string data = file_with({100, 200});
  for (uint64_t id = 4; id <= 7; ++id) {
    cluster_.kill(id);
    cluster_.know_dead(id);
  }
  EXPECT_EQ(code_of(convert(policy(3, 4))), ErrorCode::kOk) << "of 300 bytes one data shard and two of parity: enough";
  EXPECT_TRUE(read("/f").value() == data);
  for (uint64_t id = 2; id <= 3; ++id) {
    cluster_.kill(id);
    cluster_.know_dead(id);
  }
  EXPECT_EQ(code_of(convert(policy(2, 4))), ErrorCode::kInsufficientServers);
  EXPECT_TRUE(cluster_.file("/f").closed);
  EXPECT_TRUE(cluster_.file("/f").pending.empty());
}

}  // namespace
}  // namespace dogfs::test
