// What a server has, held against what the map says.
#include "core/meta/block_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kServer = 1;

// Two committed blocks of RS(3,2), whose shard 0 is on server 1.
class BlockReport : public ::testing::Test {
 protected:
  BlockReport() {
    machine.add_servers(8);
    file = machine.create("/f").result.create_file();
    for (uint64_t offset = 0; offset < 2 * kFull; offset += kFull) {
      const auto block = machine.allocate(file, 0, {1, 2, 3, 4, 5}).result.allocate_block();
      EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, block, offset, kFull)).code, ErrorCode::kOk);
      blocks.push_back(block.block());
    }
    heard = machine.log.size();
  }

  wire::Shard shard(uint64_t block) const { return machine.tables().required_block(BlockId(block)).value().shards(0); }

  wire::ReportedShard reported(uint64_t block) const {
    wire::ReportedShard each;
    each.mutable_shard()->set_block(block);
    each.mutable_shard()->set_generation(shard(block).generation());
    each.set_length(shard(block).length());
    each.set_crc32c(shard(block).crc32c());
    return each;
  }

  wire::ReportShardsRequest report(const std::vector<wire::ReportedShard>& shards) const {
    wire::ReportShardsRequest report;
    report.set_server(kServer);
    report.set_heard_index(heard);
    for (const auto& each : shards) *report.add_shards() = each;
    return report;
  }

  void mark_damaged(uint64_t block) {
    wire::Command command;
    wire::ServerShard& damaged = *command.mutable_mark_damaged()->add_shards();
    damaged.set_block(block);
    damaged.set_server(kServer);
    damaged.set_generation(shard(block).generation());
    ASSERT_EQ(machine.apply(command).error(), 0u);
    ASSERT_EQ(shard(block).condition(), wire::Shard::DAMAGED);
  }

  ReportFindings read(const wire::ReportShardsRequest& message) const {
    return read_report(machine.tables(), message).value();
  }

  static constexpr uint64_t kFull = kTestGeometry.block_bytes;
  MachineHarness machine;
  wire::CreateFileResult file;
  std::vector<uint64_t> blocks;
  uint64_t heard = 0;
};

TEST_F(BlockReport, ThatAgreesFindsNothing) {
  const ReportFindings found = read(report({reported(blocks[0]), reported(blocks[1])}));
  EXPECT_THAT(found.damaged, IsEmpty());
  EXPECT_THAT(found.absent, IsEmpty());
  EXPECT_THAT(found.unwanted, IsEmpty());
}

TEST_F(BlockReport, DigestsOfTheSameShardsAgree) {
  std::map<uint64_t, ShardDigest> there;
  for (const uint64_t block : {blocks[1], blocks[0]}) {
    there[report_bucket(BlockId(block))].add(BlockId(block), ShardIndex(0), ShardGeneration(shard(block).generation()),
                                             shard(block).crc32c());
  }
  const auto listed = listed_digests(machine.tables(), ServerId(kServer)).value();
  EXPECT_THAT(differing_buckets(listed, there), IsEmpty());
  EXPECT_THAT(differing_buckets(listed, {}), ElementsAre(0));
  there[7].add(BlockId(30000), ShardIndex(0), ShardGeneration(1), 0);
  EXPECT_THAT(differing_buckets(listed, there), ElementsAre(7));
}

TEST_F(BlockReport, AListedShardThatIsNotThereIsAbsent) {
  EXPECT_THAT(read(report({reported(blocks[0])})).absent, SizeIs(1));
}

TEST_F(BlockReport, AbsenceDoesNotCountBeforeTheServerHadHeardOfTheBlock) {
  heard = shard(blocks[1]).listed_at() - 1;
  EXPECT_THAT(read(report({reported(blocks[0])})).absent, IsEmpty());
}

TEST_F(BlockReport, AServerThatCouldNotReadADiskDoesNotKnowWhatItLacks) {
  wire::ReportShardsRequest incomplete = report({});
  incomplete.set_incomplete(true);
  EXPECT_THAT(read(incomplete).absent, IsEmpty());
}

TEST_F(BlockReport, WhatTheServerCallsDamagedIsDamaged) {
  wire::ReportedShard damaged = reported(blocks[0]);
  damaged.set_damaged(true);
  EXPECT_THAT(read(report({damaged, reported(blocks[1])})).damaged, SizeIs(1));
}

TEST_F(BlockReport, ShardsThatWereNotLookedAtYetAreThere) {
  wire::ReportedShard unverified = reported(blocks[0]);
  unverified.set_unverified(true);
  unverified.set_crc32c(0);
  unverified.set_length(0);
  const ReportFindings found = read(report({unverified, reported(blocks[1])}));
  EXPECT_THAT(found.absent, IsEmpty());
  EXPECT_THAT(found.damaged, IsEmpty());
}

TEST_F(BlockReport, AShardIsAdoptableOnceItsServerHasReadAllOfIt) {
  mark_damaged(blocks[0]);
  wire::ReportShardsRequest message = report({reported(blocks[0])});
  message.set_server(6);
  const ReportFindings unread = read(message);
  EXPECT_THAT(unread.adoptable, IsEmpty());
  EXPECT_THAT(unread.unread, SizeIs(1));
  message.mutable_shards(0)->set_damaged(true);
  EXPECT_THAT(read(message).unread, IsEmpty()) << "it was read, and found damaged";
  message.mutable_shards(0)->set_damaged(false);
  message.mutable_shards(0)->set_read_lately(true);
  const ReportFindings whole = read(message);
  EXPECT_THAT(whole.adoptable, SizeIs(1));
  EXPECT_THAT(whole.unread, IsEmpty());
  ReportMemory memory;
  EXPECT_THAT(memory.confirm(ServerId(6), {1, 1}, unread).adoptable, IsEmpty());
  EXPECT_THAT(memory.confirm(ServerId(6), {1, 2}, whole).adoptable, SizeIs(1)) << "seen twice";
  ReportMemory other;
  EXPECT_THAT(other.confirm(ServerId(6), {1, 1}, whole).adoptable, IsEmpty());
}

TEST_F(BlockReport, WhatBothCallDamagedIsNoDifference) {
  mark_damaged(blocks[0]);
  std::map<uint64_t, ShardDigest> there;
  there[0].add(BlockId(blocks[1]), ShardIndex(0), ShardGeneration(shard(blocks[1]).generation()),
               shard(blocks[1]).crc32c());
  EXPECT_THAT(differing_buckets(listed_digests(machine.tables(), ServerId(kServer)).value(), there), IsEmpty());
  EXPECT_THAT(read(report({reported(blocks[1])})).absent, IsEmpty()) << "known already";
}

TEST_F(BlockReport, AListedShardThatWasCalledDamagedIsAdoptableOnceItsServerHasReadAllOfIt) {
  mark_damaged(blocks[0]);
  wire::ReportedShard back = reported(blocks[0]);
  EXPECT_THAT(read(report({back, reported(blocks[1])})).unread, SizeIs(1));
  back.set_read_lately(true);
  const ReportFindings whole = read(report({back, reported(blocks[1])}));
  EXPECT_THAT(whole.adoptable, SizeIs(1));
  EXPECT_THAT(whole.damaged, IsEmpty());
  back.set_damaged(true);
  EXPECT_THAT(read(report({back, reported(blocks[1])})).adoptable, IsEmpty());
}

TEST_F(BlockReport, AnUnknownShardIsUnwantedAndAnImpossibleOneAnAlarm) {
  wire::ReportedShard impossible = reported(blocks[0]);
  impossible.mutable_shard()->set_block(machine.counters().next_block() + 3);
  // Server 1 still has what was superseded long ago: shard 1, whole elsewhere.
  wire::ReportedShard superseded = reported(blocks[0]);
  superseded.mutable_shard()->set_index(1);
  superseded.mutable_shard()->set_generation(1);
  const ReportFindings found = read(report({reported(blocks[0]), reported(blocks[1]), impossible, superseded}));
  EXPECT_THAT(found.impossible, SizeIs(1));
  EXPECT_THAT(found.unwanted, SizeIs(1));
}

TEST_F(BlockReport, OnlyDifferencesThatAreSeenTwiceAreActedOn) {
  ReportMemory memory;
  const ReportFindings found = read(report({reported(blocks[0])}));
  EXPECT_THAT(memory.confirm(ServerId(kServer), {1, 1}, found).absent, IsEmpty());
  EXPECT_THAT(memory.confirm(ServerId(kServer), {1, 1}, found).absent, IsEmpty()) << "the same report";
  EXPECT_THAT(memory.confirm(ServerId(kServer), {1, 2}, found).absent, SizeIs(1));
  EXPECT_THAT(memory.confirm(ServerId(kServer), {1, 1}, found).absent, IsEmpty()) << "overtaken on the way";
  EXPECT_THAT(memory.confirm(ServerId(kServer), {2, 1}, found).absent, IsEmpty()) << "another process";
  EXPECT_THAT(memory.confirm(ServerId(kServer), {2, 2}, {}).absent, IsEmpty());
  EXPECT_THAT(memory.confirm(ServerId(kServer), {2, 3}, found).absent, IsEmpty()) << "it was there in between";
}

// The model is a set: equal digests for equal sets, whatever the order, and other ones for other sets.
RC_GTEST_PROP(ShardDigestProperty, StandsForTheSet, ()) {
  using Member = std::tuple<uint8_t, uint8_t, uint8_t, uint8_t>;
  auto members = *rc::gen::unique<std::vector<Member>>(rc::gen::arbitrary<Member>());
  const auto sum = [](const std::vector<Member>& set) {
    ShardDigest digest;
    for (const auto& [block, index, generation, crc] : set) {
      digest.add(BlockId(block), ShardIndex(index), ShardGeneration(generation), crc);
    }
    return digest;
  };
  const ShardDigest whole = sum(members);
  std::ranges::reverse(members);
  RC_ASSERT(sum(members) == whole);
  if (members.empty()) return;
  auto changed = members;
  changed.pop_back();
  RC_ASSERT(!(sum(changed) == whole));
  auto& generation = std::get<2>(members.back());
  generation = static_cast<uint8_t>(generation + 1);
  if (std::ranges::count(members, members.back()) == 1) RC_ASSERT(!(sum(members) == whole));
}

}  // namespace
}  // namespace dogfs
