#include "core/chunk/block_reporter.h"

#include <gtest/gtest.h>

#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

ChunkOptions reporting() {
  ChunkOptions options;
  options.report_interval = seconds(20);
  return options;
}

class BlockReporterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(w_.wait_registered());
    for (const uint64_t block : {1, 2, 5000}) {
      ASSERT_EQ(w_.write(ChunkWorld::key(block), ChunkWorld::data(block, 1000)), ErrorCode::kOk);
    }
  }
  bool wait_for_digests() {
    const size_t before = w_.meta.digest_reports.size();
    return w_.world.run_until([&] { return w_.meta.digest_reports.size() > before; }, kPatience);
  }
  ShardDigest digest(std::initializer_list<uint64_t> blocks) const {
    ShardDigest sum;
    for (const uint64_t block : blocks) {
      sum.add(BlockId(block), ShardIndex(0), ShardGeneration(1), crc32c(ChunkWorld::data(block, 1000)));
    }
    return sum;
  }

  ChunkWorld w_{1, 1, reporting()};
};

TEST_F(BlockReporterTest, DigestsAreOfTheSealedShardsByBucket) {
  ASSERT_TRUE(wait_for_digests());
  const auto& report = w_.meta.digest_reports.back();
  ASSERT_EQ(report.buckets_size(), 2);
  EXPECT_EQ(report.buckets(0).bucket(), 0u);
  EXPECT_EQ(report.buckets(0).low(), digest({1, 2}).low);
  EXPECT_EQ(report.buckets(0).high(), digest({2, 1}).high) << "the order does not matter";
  EXPECT_EQ(report.buckets(1).bucket(), 5000 / kBlocksPerReportBucket);
  EXPECT_EQ(report.buckets(1).shards(), 1u);
}

TEST_F(BlockReporterTest, ShardsAreReportedOnlyWhereThereIsADifference) {
  ASSERT_TRUE(wait_for_digests());
  ASSERT_TRUE(wait_for_digests());
  EXPECT_TRUE(w_.meta.shard_reports.empty());
  w_.meta.differing = {1};
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.shard_reports.empty(); }, kPatience));
  const auto& report = w_.meta.shard_reports.back();
  ASSERT_EQ(report.shards_size(), 1);
  EXPECT_EQ(report.shards(0).shard().block(), 5000u);
  EXPECT_EQ(report.shards(0).length(), 1000u);
  EXPECT_FALSE(report.shards(0).damaged());
  EXPECT_FALSE(report.incomplete());
  EXPECT_EQ(report.sequence(), w_.meta.digest_reports.back().sequence());
}

// What is damaged is in no digest of either side. Where nothing lists it, such as what a writer has left, it would never go.
TEST_F(BlockReporterTest, WhatIsDamagedIsReportedThoughNoDigestDiffers) {
  auto file = w_.node.shard_disk("disk0")->open(shard_file_name(ChunkWorld::key(5000))).value();
  for (sim::FileBytes* bytes : {&file->seen, &file->durable}) bytes->flip(kShardHeaderBytes + 100, 4);
  w_.meta.suspects = {ChunkWorld::key(5000)};
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.shard_reports.empty(); }, kPatience));
  const auto& report = w_.meta.shard_reports.back();
  ASSERT_EQ(report.shards_size(), 1);
  EXPECT_EQ(report.shards(0).shard().block(), 5000u);
  EXPECT_TRUE(report.shards(0).damaged());
}

// Absence may count only against what the server had heard of before it began.
TEST_F(BlockReporterTest, AReportSaysWhichStateWasHeardOfBeforeItBegan) {
  w_.meta.differing = {0};
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.shard_reports.empty(); }, kPatience));
  EXPECT_GT(w_.meta.shard_reports.back().heard_index(), 0u);
  EXPECT_LE(w_.meta.shard_reports.back().heard_index(), w_.meta.heartbeats.size());
}

TEST_F(BlockReporterTest, ReportsOfOneProcessCountUp) {
  ASSERT_TRUE(wait_for_digests());
  const uint64_t first = w_.meta.digest_reports.back().sequence();
  ASSERT_TRUE(wait_for_digests());
  EXPECT_GT(w_.meta.digest_reports.back().sequence(), first);
}

}  // namespace
}  // namespace dogfs
