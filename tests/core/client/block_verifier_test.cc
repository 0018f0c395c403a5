#include "core/client/block_verifier.h"

#include <gtest/gtest.h>

#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kBlock = kSmallGeometry.block_bytes;
using Kind = ShardFinding::Kind;

class BlockVerifierTest : public ClientFixture {
 protected:
  BlockVerifierTest() { EXPECT_TRUE(write("/f", pattern(kBlock)).has_value()); }

  FakeBlock& block() { return cluster_.file("/f").blocks.at(0); }
  FakeShard& shard(size_t position) { return cluster_.stored(block().shards.at(position), block().block); }

  VerifyRequest request() {
    const Result<wire::GetBlocksReply> page = world_.run(client_->blocks("/f", 0, 0));
    EXPECT_TRUE(page.has_value());
    return {.inode = page.value().inode(), .block = page.value().blocks(0), .on_bytes = [this](uint64_t bytes) {
              bytes_ += bytes;
            }};
  }
  std::vector<ShardFinding> verify(VerifyRequest request) {
    const auto found = world_.run(client_->verify_block(std::move(request)));
    EXPECT_TRUE(found.has_value()) << found.error().to_string();
    return found.has_value() ? found.value() : std::vector<ShardFinding>();
  }
  std::vector<Kind> kinds(const std::vector<ShardFinding>& findings) {
    std::vector<Kind> out;
    for (const ShardFinding& finding : findings) out.push_back(finding.kind);
    return out;
  }
  std::vector<Kind> all_intact_but(size_t position, Kind kind) {
    std::vector<Kind> out(5, Kind::kIntact);
    out[position] = kind;
    return out;
  }

  uint64_t bytes_ = 0;
};

TEST_F(BlockVerifierTest, AWholeBlockIsReadToTheLastByteOfEachShard) {
  EXPECT_EQ(kinds(verify(request())), std::vector<Kind>(5, Kind::kIntact));
  EXPECT_EQ(bytes_, kBlock / 3 * 5);
  EXPECT_TRUE(cluster_.damage_reports.empty());
}

TEST_F(BlockVerifierTest, ReadsGiveWayToThoseOfOthers) {
  int reads = 0;
  world_.transport.fate = [&reads](const Address&, const Request& message) {
    if (message.type != MessageType::kReadShard) return Fate::kDeliver;
    ++reads;
    EXPECT_TRUE(parse_message<wire::ReadShardRequest>(message.body).value().background());
    return Fate::kDeliver;
  };
  verify(request());
  EXPECT_GE(reads, 5);
}

TEST_F(BlockVerifierTest, AFlippedBitOfASpareIsFoundAndReported) {
  shard(4).bytes.back() ^= 1;
  const std::vector<ShardFinding> findings = verify(request());
  EXPECT_EQ(kinds(findings), all_intact_but(4, Kind::kDamaged));
  EXPECT_EQ(findings[4].error.code, ErrorCode::kChecksumMismatch);
  ASSERT_EQ(cluster_.damage_reports.size(), 1u);
  EXPECT_EQ(cluster_.damage_reports[0].server(), block().shards[4].server());
  EXPECT_EQ(cluster_.damage_reports[0].shard().index(), 4u);
}

TEST_F(BlockVerifierTest, DamageThatCannotBeReportedIsSaidSo) {
  shard(4).bytes.back() ^= 1;
  world_.transport.fate = [](const Address&, const Request& message) {
    return message.type == MessageType::kReportDamage ? Fate::kRefuse : Fate::kDeliver;
  };
  const std::vector<ShardFinding> findings = verify(request());
  EXPECT_EQ(findings[4].kind, Kind::kDamaged);
  EXPECT_FALSE(findings[4].reported.has_value());
}

TEST_F(BlockVerifierTest, WhatReadsRightTheSecondTimeIsNotDamaged) {
  shard(2).bytes[5] ^= 1;
  const Address server = cluster_.server_address(block().shards[2].server());
  int asked = 0;
  world_.transport.fate = [&](const Address& to, const Request& message) {
    if (message.type == MessageType::kReadShard && to == server && ++asked == 2) shard(2).bytes[5] ^= 1;
    return Fate::kDeliver;
  };
  EXPECT_EQ(kinds(verify(request())), std::vector<Kind>(5, Kind::kIntact));
  EXPECT_TRUE(cluster_.damage_reports.empty());
  EXPECT_EQ(bytes_, kBlock / 3 * 5) << "what is read again is not counted again";
}

TEST_F(BlockVerifierTest, AShardThatItsServerDoesNotHaveIsMissing) {
  cluster_.server(block().shards[1].server()).shards.clear();
  EXPECT_EQ(kinds(verify(request())), all_intact_but(1, Kind::kMissing));
  EXPECT_TRUE(cluster_.damage_reports.empty());
}

TEST_F(BlockVerifierTest, AServerThatDoesNotAnswerIsNotCalledDamaged) {
  cluster_.kill(block().shards[0].server());
  const std::vector<ShardFinding> findings = verify(request());
  EXPECT_EQ(kinds(findings), all_intact_but(0, Kind::kUnreachable));
  EXPECT_EQ(findings[0].error.code, ErrorCode::kRefused);
  EXPECT_TRUE(cluster_.damage_reports.empty());
}

TEST_F(BlockVerifierTest, AShardThatWasMovedMeanwhileIsReadWhereItIsNow) {
  VerifyRequest before = request();
  wire::Shard& place = block().shards[3];
  FakeServer& from = cluster_.server(place.server());
  const FakeShardKey key{block().block, 3, place.generation()};
  uint64_t free = 1;
  while (std::ranges::any_of(block().shards, [&](const wire::Shard& s) { return s.server() == free; })) ++free;
  cluster_.server(free).shards[key] = from.shards.at(key);
  from.shards.erase(key);
  place.set_server(free);
  const std::vector<ShardFinding> findings = verify(std::move(before));
  EXPECT_EQ(kinds(findings), std::vector<Kind>(5, Kind::kIntact));
  EXPECT_EQ(findings[3].shard.server(), free);
}

TEST_F(BlockVerifierTest, ABlockThatWasDeletedMeanwhileIsGone) {
  VerifyRequest before = request();
  for (const wire::Shard& place : block().shards) cluster_.server(place.server()).shards.clear();
  cluster_.file("/f").blocks.clear();
  const auto found = world_.run(client_->verify_block(std::move(before)));
  EXPECT_EQ(code_of(found), ErrorCode::kGone);
}

TEST_F(BlockVerifierTest, AShardThatIsStoredNowhereIsNotRead) {
  block().shards[4].set_server(0);
  block().shards[4].set_generation(0);
  EXPECT_EQ(kinds(verify(request())), all_intact_but(4, Kind::kNotStored));
}

}  // namespace
}  // namespace dogfs::test
