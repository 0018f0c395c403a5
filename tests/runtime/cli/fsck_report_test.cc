#include "runtime/cli/fsck_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dogfs::cli {
namespace {

using Kind = ShardFinding::Kind;
using testing::HasSubstr;
using testing::Not;

// RS(3,2), each shard on the server of its number plus one.
wire::BlockLocation whole_block() {
  wire::BlockLocation block;
  block.set_block(7);
  block.set_length(300);
  block.mutable_policy()->set_data_shards(3);
  block.mutable_policy()->set_parity_shards(2);
  for (uint32_t i = 0; i < 5; ++i) {
    wire::Shard& shard = *block.add_shards();
    shard.set_index(i);
    shard.set_server(i + 1);
    shard.set_generation(10 + i);
    shard.set_length(100);
    shard.set_server_address("host:" + std::to_string(i + 1));
  }
  return block;
}

std::vector<ShardFinding> found(const wire::BlockLocation& block, const std::vector<Kind>& kinds) {
  std::vector<ShardFinding> out;
  for (size_t i = 0; i < kinds.size(); ++i) {
    ShardFinding finding{.kind = kinds[i], .shard = block.shards(static_cast<int>(i))};
    if (kinds[i] == Kind::kDamaged) finding.error = Error(ErrorCode::kChecksumMismatch, "bytes 0+65536");
    if (kinds[i] == Kind::kUnreachable) finding.error = Error(ErrorCode::kRefused);
    out.push_back(finding);
  }
  return out;
}

BlockHealth health(const wire::BlockLocation& block, const std::vector<Kind>& kinds) {
  return judge("/f", block, found(block, kinds)).health();
}

constexpr Kind kOk = Kind::kIntact;

TEST(FsckReport, ABlockIsJudgedByWhatWasRead) {
  const wire::BlockLocation block = whole_block();
  EXPECT_EQ(health(block, {kOk, kOk, kOk, kOk, kOk}), wire::FsckBlock::HEALTHY);
  EXPECT_EQ(health(block, {kOk, kOk, kOk, kOk, Kind::kDamaged}), wire::FsckBlock::DEGRADED);
  EXPECT_EQ(health(block, {kOk, kOk, kOk, Kind::kMissing, Kind::kDamaged}), wire::FsckBlock::AT_RISK);
  EXPECT_EQ(health(block, {kOk, kOk, Kind::kDamaged, Kind::kMissing, Kind::kDamaged}), wire::FsckBlock::LOST);
}

TEST(FsckReport, WhatCannotBeReachedIsNotLost) {
  const wire::BlockLocation block = whole_block();
  const Kind away = Kind::kUnreachable;
  EXPECT_EQ(health(block, {kOk, kOk, kOk, kOk, away}), wire::FsckBlock::DEGRADED);
  EXPECT_EQ(health(block, {kOk, kOk, away, away, away}), wire::FsckBlock::UNREACHABLE);
  EXPECT_EQ(health(block, {kOk, kOk, away, Kind::kDamaged, Kind::kMissing}), wire::FsckBlock::UNREACHABLE);
  EXPECT_EQ(health(block, {kOk, away, Kind::kDamaged, Kind::kDamaged, Kind::kMissing}), wire::FsckBlock::LOST);
}

TEST(FsckReport, ABlockWhoseServersAreDeadIsNotLostAsLongAsTheyMayComeBack) {
  wire::BlockLocation block = whole_block();
  for (const int i : {0, 1, 2}) block.mutable_shards(i)->set_condition(wire::Shard::UNREACHABLE);
  const Kind away = Kind::kUnreachable;
  EXPECT_EQ(judge("/f", block).health(), wire::FsckBlock::UNREACHABLE);
  EXPECT_EQ(health(block, {away, away, away, kOk, kOk}), wire::FsckBlock::UNREACHABLE);
  block.mutable_shards(3)->set_condition(wire::Shard::DAMAGED);
  block.mutable_shards(4)->set_condition(wire::Shard::DAMAGED);
  EXPECT_EQ(judge("/f", block).health(), wire::FsckBlock::UNREACHABLE);
  block.mutable_shards(2)->set_server(0);
  EXPECT_EQ(judge("/f", block).health(), wire::FsckBlock::LOST) << "the repair of its third shard never ended";
  block = whole_block();
  for (const int i : {0, 1, 2}) block.mutable_shards(i)->set_condition(wire::Shard::UNREACHABLE);
  // One that is back before the metadata has noticed counts.
  EXPECT_EQ(health(block, {kOk, away, away, kOk, kOk}), wire::FsckBlock::AT_RISK);
}

TEST(FsckReport, LinesNameWhatIsWrongAndWhere) {
  const wire::BlockLocation block = whole_block();
  const wire::FsckBlock judged = judge("/f", block, found(block, {Kind::kUnreachable, kOk, kOk, Kind::kDamaged, kOk}));
  const std::string text = describe_block(judged, "/f", false);
  EXPECT_THAT(text, HasSubstr("/f: block 7 at 0: at risk, 3 of 5 shards, 3 needed\n"));
  EXPECT_THAT(text, HasSubstr("shard  0: unreachable on server 1 host:1: connection refused\n"));
  EXPECT_THAT(text, HasSubstr("shard  3: damaged on server 4 host:4: checksum mismatch: bytes 0+65536\n"));
  EXPECT_THAT(text, Not(HasSubstr("shard  1")));
  EXPECT_THAT(describe_block(judged, "/f", true), HasSubstr("shard  1: server 2 host:2\n"));
  ASSERT_EQ(judged.findings_size(), 2);
  EXPECT_EQ(judged.findings(1).kind(), wire::FsckFinding::DAMAGED);
  EXPECT_EQ(judged.findings(1).generation(), 13u);
}

TEST(FsckReport, TheSummarySaysHowManyFilesAreInTheTrash) {
  wire::FsckSummary summary;
  summary.set_files(7);
  summary.set_directories(2);
  EXPECT_THAT(describe_summary(summary, false), HasSubstr("7 files in 2 directories"));
  summary.set_files_in_trash(3);
  EXPECT_THAT(describe_summary(summary, false), HasSubstr("7 files (3 of them in the trash) in 2 directories"));
}

TEST(FsckReport, TheSummaryCountsBlocksAndShards) {
  const wire::BlockLocation block = whole_block();
  const auto findings = found(block, {Kind::kUnreachable, kOk, Kind::kMissing, Kind::kDamaged, kOk});
  wire::FsckSummary summary;
  count(judge("/f", block, findings), summary);
  count(findings, summary);
  EXPECT_EQ(summary.blocks(), 1u);
  EXPECT_EQ(summary.unreachable(), 1u);
  EXPECT_EQ(summary.shards_read(), 2u);
  EXPECT_EQ(summary.bytes_read(), 200u);
  EXPECT_EQ(summary.shards_damaged(), 1u);
  EXPECT_EQ(summary.shards_missing(), 1u);
  EXPECT_EQ(summary.shards_unreachable(), 1u);
}

}  // namespace
}  // namespace dogfs::cli
