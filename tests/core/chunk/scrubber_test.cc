// Damage that is found before anybody needs the shard, and the pace of work in the background.
#include "core/chunk/scrubber.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "core/chunk/token_bucket.h"
#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

ChunkOptions scrubbing(Duration interval) {
  ChunkOptions options;
  options.scrub_interval = interval;
  options.report_interval = seconds(20);
  return options;
}

class ScrubberTest : public ::testing::Test {
 protected:
  explicit ScrubberTest(Duration interval = seconds(10)) : w_(1, 1, scrubbing(interval)) {}
  void SetUp() override {
    ASSERT_TRUE(w_.wait_registered());
    for (uint64_t block = 1; block <= 5; ++block) {
      ASSERT_EQ(w_.write(ChunkWorld::key(block), ChunkWorld::data(block, 200'000)), ErrorCode::kOk);
    }
  }
  // Changes one stored byte.
  void rot(const ShardKey& key) {
    auto file = w_.node.shard_disk("disk0")->open(shard_file_name(key)).value();
    for (sim::FileBytes* bytes : {&file->seen, &file->durable}) bytes->flip(kShardHeaderBytes + 100'000, 4);
  }

  // No read that touches the middle of the data succeeds from now on.
  void lose_sectors(const ShardKey& key) {
    auto file = w_.node.shard_disk("disk0")->open(shard_file_name(key)).value();
    file->unreadable = {{.begin = kShardHeaderBytes + 100'000, .end = kShardHeaderBytes + 100'512}};
  }
  void mend(const ShardKey& key) {
    w_.node.shard_disk("disk0")->open(shard_file_name(key)).value()->unreadable.clear();
  }
  ErrorCode read(uint64_t block, uint64_t offset) {
    return w_.code(MessageType::kReadShard, ChunkWorld::read_request(ChunkWorld::key(block), offset, 10));
  }
  bool is_recorded_as_damaged(const ShardKey& key) {
    const auto value = w_.node.kv_disk("disk0")->get(shard_record_key(key)).value();
    return parse_message<wire::ShardRecord>(value.value()).value().damaged();
  }
  // Restarts with the disk as `change` leaves it while the server is down.
  template <class Change>
  void restart_after(Change change) {
    w_.crash(sim::CrashKind::kPower);
    change();
    w_.node.boot();
    w_.boot_server();
    ASSERT_TRUE(w_.wait_registered());
    w_.meta.damaged.clear();
    w_.meta.digest_reports.clear();
  }
  void read_nothing() {
    w_.faults[0].decide = [](const std::string& operation) {
      return operation == "read" ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
    };
  }
  // The blocks of the shards of which the next report says so.
  std::set<uint64_t> read_lately() {
    w_.meta.shard_reports.clear();
    EXPECT_TRUE(w_.world.run_until([this] { return !w_.meta.shard_reports.empty(); }, kPatience));
    std::set<uint64_t> blocks;
    for (const wire::ReportedShard& shard : w_.meta.shard_reports.back().shards()) {
      if (shard.read_lately()) blocks.insert(shard.shard().block());
    }
    return blocks;
  }
  bool wait_for_damage() {
    return w_.world.run_until([this] { return !w_.meta.damaged.empty(); }, kPatience);
  }

  ChunkWorld w_;
};

class FewShardsTest : public ScrubberTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(w_.wait_registered());
    for (const uint64_t block : {1, 2}) {
      ASSERT_EQ(w_.write(ChunkWorld::key(block), ChunkWorld::data(block, 200'000)), ErrorCode::kOk);
    }
  }
};

class LazyScrubberTest : public ScrubberTest {
 protected:
  LazyScrubberTest() : ScrubberTest(std::chrono::hours(1000)) {}
};

TEST_F(ScrubberTest, RotIsFoundReportedAndNotServed) {
  rot(ChunkWorld::key(3));
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.damaged.empty(); }, kPatience));
  EXPECT_EQ(w_.meta.damaged, std::set<ShardKey>{ChunkWorld::key(3)});
  EXPECT_EQ(w_.code(MessageType::kReadShard, ChunkWorld::read_request(ChunkWorld::key(3), 0, 10)), ErrorCode::kCorrupt);
  EXPECT_EQ(w_.code(MessageType::kReadShard, ChunkWorld::read_request(ChunkWorld::key(4), 0, 10)), ErrorCode::kOk);
}

TEST_F(ScrubberTest, DamageIsReportedAgainUntilItIsDeleted) {
  rot(ChunkWorld::key(3));
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.damaged.empty(); }, kPatience));
  w_.meta.damaged.clear();
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.damaged.empty(); }, kPatience));
  w_.meta.deletions = {ChunkWorld::key(3)};
  ASSERT_TRUE(w_.world.run_until([this] { return w_.meta.deleted.contains(ChunkWorld::key(3)); }, kPatience));
  EXPECT_EQ(w_.meta.heartbeats.back().damaged_shards(), 0u);
}

TEST_F(ScrubberTest, AFileThatIsGoneIsDamage) {
  ASSERT_TRUE(w_.node.shard_disk("disk0")->remove(shard_file_name(ChunkWorld::key(2))).has_value());
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.damaged.empty(); }, kPatience));
}

TEST_F(ScrubberTest, OneReadErrorIsNoDamage) {
  int errors = 1;
  w_.faults[0].decide = [&errors](const std::string& operation) {
    return operation == "read" && errors-- > 0 ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
  };
  w_.world.run_for(seconds(40));
  EXPECT_LE(errors, 0);
  EXPECT_TRUE(w_.meta.damaged.empty());
}

TEST_F(ScrubberTest, AShardThatCannotBeReadIsReportedAndStillTried) {
  lose_sectors(ChunkWorld::key(3));
  ASSERT_TRUE(wait_for_damage());
  EXPECT_EQ(w_.meta.damaged, std::set<ShardKey>{ChunkWorld::key(3)});
  EXPECT_EQ(read(3, 0), ErrorCode::kOk) << "it may be the one that saves its block";
  EXPECT_EQ(read(3, 100'000), ErrorCode::kCorrupt);
  EXPECT_EQ(read(4, 100'000), ErrorCode::kOk);
  w_.meta.deletions = {ChunkWorld::key(3)};
  ASSERT_TRUE(w_.world.run_until([this] { return w_.meta.deleted.contains(ChunkWorld::key(3)); }, kPatience));
  EXPECT_EQ(w_.meta.heartbeats.back().damaged_shards(), 0u);
}

TEST_F(ScrubberTest, WhatIsConfirmedIsThereAndNotDamaged) {
  lose_sectors(ChunkWorld::key(3));
  ASSERT_TRUE(wait_for_damage());
  w_.meta.to_confirm = {ChunkWorld::key(2), ChunkWorld::key(3), ChunkWorld::key(77)};
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.heartbeats.back().whole().empty(); }, kPatience));
  ASSERT_EQ(w_.meta.heartbeats.back().whole_size(), 1);
  EXPECT_EQ(shard_key_from_wire(w_.meta.heartbeats.back().whole(0)).value(), ChunkWorld::key(2));
}

TEST_F(ScrubberTest, ReportsDoNotVouchForWhatCannotBeRead) {
  lose_sectors(ChunkWorld::key(3));
  ASSERT_TRUE(wait_for_damage());
  w_.meta.digest_reports.clear();
  w_.meta.differing = {0};
  w_.meta.shard_reports.clear();
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.shard_reports.empty(); }, kPatience));
  EXPECT_EQ(w_.meta.digest_reports.back().buckets(0).shards(), 4u);
  const auto& report = w_.meta.shard_reports.back();
  ASSERT_EQ(report.shards_size(), 5);
  for (const wire::ReportedShard& shard : report.shards()) EXPECT_EQ(shard.damaged(), shard.shard().block() == 3);
}

TEST_F(ScrubberTest, ReadErrorsThatPassAreNoDamage) {
  lose_sectors(ChunkWorld::key(3));
  w_.world.run_for(seconds(25));
  mend(ChunkWorld::key(3));
  w_.world.run_for(seconds(120));
  EXPECT_TRUE(w_.meta.damaged.empty());
  EXPECT_EQ(read(3, 100'000), ErrorCode::kOk);
}

TEST_F(ScrubberTest, ADiskThatReadsNothingForAWhileSaysNothingAboutItsShards) {
  read_nothing();
  w_.world.run_for(seconds(30));
  EXPECT_TRUE(w_.meta.damaged.empty());
  w_.faults[0].decide = DiskFaults().decide;
  for (uint64_t block = 1; block <= 5; ++block) EXPECT_EQ(read(block, 0), ErrorCode::kOk);
  w_.world.run_for(std::chrono::minutes(1));
  EXPECT_TRUE(w_.meta.damaged.empty());
}

TEST_F(ScrubberTest, WhatALastDiskDoesNotReadForLongIsLostAndWholeAgainWhenItReads) {
  read_nothing();
  std::set<ShardKey> all;
  for (uint64_t block = 1; block <= 5; ++block) all.insert(ChunkWorld::key(block));
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.damaged == all; }, std::chrono::minutes(10)));
  w_.faults[0].decide = DiskFaults().decide;
  ASSERT_TRUE(w_.world.run_until([this] { return w_.meta.heartbeats.back().damaged_shards() == 0; }, kPatience));
}

// The pass is over, and the next is far.
TEST_F(LazyScrubberTest, WhatCouldNotBeReadIsLookedAtAgainAndThenAllTheOthers) {
  w_.world.run_for(seconds(20));
  for (const uint64_t block : {1, 2, 3}) {
    lose_sectors(ChunkWorld::key(block));
    EXPECT_EQ(read(block, 100'000), ErrorCode::kIoError);
  }
  ASSERT_TRUE(w_.world.run_until([this] { return w_.meta.damaged.size() == 3; }, kPatience));
  w_.world.run_for(std::chrono::minutes(10));
  EXPECT_EQ(w_.meta.heartbeats.back().damaged_shards(), 3u);
  for (const uint64_t block : {1, 2, 3}) mend(ChunkWorld::key(block));
  ASSERT_TRUE(
      w_.world.run_until([this] { return w_.meta.heartbeats.back().damaged_shards() == 0; }, std::chrono::seconds(90)));
}

TEST_F(LazyScrubberTest, WhatAReaderFindsDamagedIsLookedAtSoon) {
  w_.world.run_for(seconds(20));
  const auto file = w_.node.shard_disk("disk0")->open(shard_file_name(ChunkWorld::key(3))).value();
  file->seen.flip(shard_footer_offset(200'000) + 1, 0x04);
  EXPECT_EQ(read(3, 0), ErrorCode::kCorrupt);
  ASSERT_TRUE(wait_for_damage());
  EXPECT_EQ(w_.meta.damaged, std::set<ShardKey>{ChunkWorld::key(3)});
}

// Nothing of these two is left, and there is nothing else that the disk could be asked for.
TEST_F(FewShardsTest, WhatIsLostWithAllItsSectorsIsNotTakenForADeadDisk) {
  for (const uint64_t block : {1, 2}) {
    auto file = w_.node.shard_disk("disk0")->open(shard_file_name(ChunkWorld::key(block))).value();
    file->unreadable = {{.begin = 0, .end = 1'000'000}};
  }
  const std::set<ShardKey> both = {ChunkWorld::key(1), ChunkWorld::key(2)};
  EXPECT_TRUE(w_.world.run_until([&] { return w_.meta.damaged == both; }, kPatience));
}

TEST_F(ScrubberTest, AShardThatCanBeReadAfterAllIsWhole) {
  lose_sectors(ChunkWorld::key(3));
  ASSERT_TRUE(wait_for_damage());
  mend(ChunkWorld::key(3));
  ASSERT_TRUE(w_.world.run_until([this] { return w_.meta.heartbeats.back().damaged_shards() == 0; }, kPatience));
}

TEST_F(LazyScrubberTest, WhatAReadFailedAtIsLookedAtWithoutAnybodysAsking) {
  w_.world.run_for(seconds(20));
  lose_sectors(ChunkWorld::key(5));
  w_.world.run_for(seconds(60));
  EXPECT_TRUE(w_.meta.damaged.empty()) << "the pass is over, and the next is far";
  EXPECT_EQ(read(5, 100'000), ErrorCode::kIoError);
  ASSERT_TRUE(wait_for_damage());
  EXPECT_EQ(w_.meta.damaged, std::set<ShardKey>{ChunkWorld::key(5)});
}

TEST_F(ScrubberTest, WhatCannotBeReadIsNotVouchedForAfterARestart) {
  lose_sectors(ChunkWorld::key(3));
  ASSERT_TRUE(wait_for_damage());
  restart_after([] {});
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.damaged.empty(); }, seconds(5)));
  EXPECT_EQ(w_.meta.damaged, std::set<ShardKey>{ChunkWorld::key(3)});
  EXPECT_EQ(read(3, 0), ErrorCode::kOk);
  EXPECT_EQ(read(3, 100'000), ErrorCode::kCorrupt);
  w_.world.run_for(seconds(60));
  EXPECT_GE(w_.meta.digest_reports.size(), 3u);
  for (const auto& report : w_.meta.digest_reports) EXPECT_EQ(report.buckets(0).shards(), 4u);
}

TEST_F(ScrubberTest, WhatIsDamagedIsNotVouchedForAfterARestart) {
  rot(ChunkWorld::key(3));
  ASSERT_TRUE(wait_for_damage());
  EXPECT_TRUE(is_recorded_as_damaged(ChunkWorld::key(3)));
  int looks = 0;
  w_.faults[0].decide = [&looks](const std::string& operation) {
    if (operation == "read") ++looks;
    return operation == "read" ? DiskFaults::Fate::kHang : DiskFaults::Fate::kProceed;
  };
  restart_after([] {});
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.damaged.empty(); }, seconds(5))) << "before any look";
  EXPECT_EQ(w_.meta.damaged, std::set<ShardKey>{ChunkWorld::key(3)});
  EXPECT_GE(looks, 1);
}

TEST_F(LazyScrubberTest, WhatIsOnRecordAsDamagedIsLookedAtAgainAfterARestart) {
  w_.world.run_for(seconds(60));
  rot(ChunkWorld::key(2));
  lose_sectors(ChunkWorld::key(3));
  w_.meta.suspects = {ChunkWorld::key(2), ChunkWorld::key(3)};
  ASSERT_TRUE(w_.world.run_until([this] { return w_.meta.damaged.size() == 2; }, kPatience));
  restart_after([] {});
  w_.world.run_for(seconds(30));
  EXPECT_EQ(w_.meta.damaged.size(), 2u);
  EXPECT_TRUE(is_recorded_as_damaged(ChunkWorld::key(2)) && is_recorded_as_damaged(ChunkWorld::key(3)));
  restart_after([this] {
    rot(ChunkWorld::key(2));  // back to what it was
    mend(ChunkWorld::key(3));
  });
  ASSERT_TRUE(w_.world.run_until([this] { return w_.meta.heartbeats.back().damaged_shards() == 0; }, kPatience));
  EXPECT_FALSE(is_recorded_as_damaged(ChunkWorld::key(2)) || is_recorded_as_damaged(ChunkWorld::key(3)));
  restart_after([] {});
  w_.world.run_for(seconds(30));
  EXPECT_TRUE(w_.meta.damaged.empty());
  for (const uint64_t block : {2, 3}) EXPECT_EQ(read(block, 100'000), ErrorCode::kOk);
}

TEST_F(LazyScrubberTest, AReportSaysWhatWasReadThroughLately) {
  w_.world.run_for(seconds(60));
  rot(ChunkWorld::key(5));
  w_.meta.differing = {0};
  EXPECT_EQ(read_lately(), std::set<uint64_t>{});
  w_.meta.suspects = {ChunkWorld::key(4), ChunkWorld::key(5)};
  ASSERT_TRUE(wait_for_damage());
  EXPECT_EQ(read_lately(), std::set<uint64_t>{4});
  w_.world.run_for(seconds(40));
  EXPECT_EQ(read_lately(), std::set<uint64_t>{}) << "a while ago";
}

TEST_F(LazyScrubberTest, AReportDoesNotVouchForWhatCannotBeReadAnyMore) {
  w_.world.run_for(seconds(60));
  w_.meta.differing = {0};
  w_.meta.suspects = {ChunkWorld::key(3), ChunkWorld::key(4)};
  w_.world.run_for(seconds(3));
  lose_sectors(ChunkWorld::key(4));
  w_.meta.suspects = {ChunkWorld::key(4)};
  w_.world.run_for(seconds(3));
  EXPECT_EQ(read_lately(), std::set<uint64_t>{3});
}

TEST_F(ScrubberTest, OneReadThatWentAstrayIsNoDamage) {
  w_.node.shard_disk("disk0")->begin_trouble({.misdirected_reads_per_million = 1'000'000});
  w_.world.run_for(seconds(40));
  EXPECT_GE(w_.node.harms(sim::Harm::kMisdirectedRead), 5U);
  EXPECT_TRUE(w_.meta.damaged.empty());
  EXPECT_EQ(w_.code(MessageType::kReadShard, ChunkWorld::read_request(ChunkWorld::key(4), 0, 10)), ErrorCode::kOk);
}

TEST_F(ScrubberTest, TheLastPassIsRememberedOverARestart) {
  ASSERT_TRUE(w_.world.run_until(
      [this] { return !w_.meta.heartbeats.empty() && w_.meta.heartbeats.back().last_scrub_ms() >= 0; }, kPatience));
  w_.restart(sim::CrashKind::kProcess);
  ASSERT_TRUE(w_.wait_registered());
  const size_t before = w_.meta.heartbeats.size();
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.heartbeats.size() > before; }, kPatience));
  EXPECT_GE(w_.meta.heartbeats.back().last_scrub_ms(), 0);
}

TEST_F(ScrubberTest, EachDiskSaysSinceWhenAllOfItWasRead) {
  const auto last = [this] {
    return w_.meta.heartbeats.empty() || w_.meta.heartbeats.back().disks().empty() ? wire::DiskInfo()
                                                                                   : w_.meta.heartbeats.back().disks(0);
  };
  ASSERT_TRUE(w_.world.run_until([&] { return last().last_scrub_ms() > 0; }, kPatience));
  // A pass each ten seconds, which takes a moment: what it read last is as old as its begin.
  int64_t oldest = 0;
  for (int i = 0; i < 40; ++i) {
    w_.world.run_for(seconds(1));
    EXPECT_GE(last().all_read_ms(), last().last_scrub_ms());
    EXPECT_GE(last().last_scrub_ms(), 0);
    oldest = std::max(oldest, last().all_read_ms());
  }
  EXPECT_GE(oldest, 9'000);
  EXPECT_LE(oldest, 30'000);
  w_.restart(sim::CrashKind::kProcess);
  ASSERT_TRUE(w_.wait_registered());
  const size_t before = w_.meta.heartbeats.size();
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.heartbeats.size() > before; }, kPatience));
  EXPECT_GE(last().all_read_ms(), 0) << "it is remembered";
}

TEST_F(LazyScrubberTest, WhatAReaderSuspectsIsLookedAtAtOnce) {
  w_.world.run_for(seconds(20));
  rot(ChunkWorld::key(5));
  w_.world.run_for(seconds(60));
  EXPECT_TRUE(w_.meta.damaged.empty()) << "the pass is over, and the next is far";
  w_.meta.suspects = {ChunkWorld::key(4), ChunkWorld::key(5)};
  ASSERT_TRUE(w_.world.run_until([this] { return !w_.meta.damaged.empty(); }, kPatience));
  EXPECT_EQ(w_.meta.damaged, std::set<ShardKey>{ChunkWorld::key(5)});
}

// The model: what was taken by some moment is at most the burst and the rate's worth of the time since.
RC_GTEST_PROP(TokenBucketProperty, NeverLetsMoreThroughThanTheRateAndTheBurst, ()) {
  const auto rate = *rc::gen::inRange<uint64_t>(1, 1'000'000);
  const auto burst = *rc::gen::inRange<uint64_t>(1, 1'000'000);
  TokenBucket bucket(rate, burst);
  MonoTime now{};
  uint64_t taken = 0;
  for (int i = 0; i < 50; ++i) {
    now += milliseconds(*rc::gen::inRange(0, 2000));
    const auto bytes = *rc::gen::inRange<uint64_t>(0, 500'000);
    now += bucket.take(bytes, now);
    taken += bytes;
    const double seconds_passed = std::chrono::duration<double>(now.time_since_epoch()).count();
    RC_ASSERT(static_cast<double>(taken) <=
              static_cast<double>(burst) + seconds_passed * static_cast<double>(rate) + 2);
  }
}

TEST(TokenBucketTest, WhoIsRefusedOwesNothing) {
  TokenBucket bucket(1000, 500);
  const MonoTime now{};
  EXPECT_EQ(bucket.take_by(500, now, now), Duration(0));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(bucket.take_by(500, now, now + milliseconds(499)), std::nullopt);
  EXPECT_EQ(bucket.take_by(500, now, now + milliseconds(500)), milliseconds(500));
}

TEST(TokenBucketTest, AFullBucketLetsABurstThroughAtOnce) {
  TokenBucket bucket(1000, 500);
  const MonoTime now = MonoTime{} + seconds(100);
  EXPECT_EQ(bucket.take(500, now), Duration(0));
  EXPECT_EQ(bucket.take(500, now), milliseconds(500));
  EXPECT_EQ(bucket.take(0, now + seconds(5)), Duration(0));
}

}  // namespace
}  // namespace dogfs
