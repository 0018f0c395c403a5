#include "core/chunk/disk_recovery.h"

#include <gtest/gtest.h>

#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

constexpr size_t kPiece = kChecksumPieceBytes;

TEST(PlanRecovery, ComparesRecordsWithFiles) {
  wire::ShardRecord sealed;
  sealed.set_length(5);
  wire::ShardRecord going;
  going.set_deleting(true);
  const ShardKey both = ChunkWorld::key(1);
  const ShardKey record_only = ChunkWorld::key(2);
  const ShardKey file_only = ChunkWorld::key(3);
  const ShardKey going_with_file = ChunkWorld::key(4);
  const ShardKey going_without = ChunkWorld::key(5);
  const RecoveryPlan plan = plan_recovery(
      {{both, sealed}, {record_only, sealed}, {going_with_file, going}, {going_without, going}},
      {"LOST.DIR", shard_file_name(both), shard_file_name(file_only), shard_file_name(going_with_file), "notes.txt"});
  ASSERT_EQ(plan.served.size(), 1U);
  EXPECT_EQ(plan.served[0].first, both);
  EXPECT_EQ(plan.served[0].second.length(), 5U);
  EXPECT_EQ(plan.lost, std::vector<ShardKey>{record_only});
  EXPECT_EQ(plan.unrecorded, std::vector<ShardKey>{file_only});
  EXPECT_EQ(plan.going, (std::vector<ShardKey>{going_with_file, going_without}));
  EXPECT_EQ(plan.foreign, 2U);
}

class DiskRecoveryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(w_.wait_registered());
    ASSERT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  }
  void erase_record(const ShardKey& key) {
    WriteBatch batch;
    batch.erase(shard_record_key(key));
    w_.node.kv_disk("disk0")->apply(batch);
    w_.node.kv_disk("disk0")->mark_durable(w_.node.kv_disk("disk0")->sequence());
  }
  bool has_record(const ShardKey& key) {
    return w_.node.kv_disk("disk0")->get(shard_record_key(key)).value().has_value();
  }
  std::shared_ptr<sim::ShardFileContent> file(const ShardKey& key) {
    return w_.node.shard_disk("disk0")->open(shard_file_name(key)).value();
  }
  void damage(const ShardKey& key, size_t at) {
    file(key)->durable.flip(at, 1);
    file(key)->seen.flip(at, 1);
  }
  // Restarts with the disk as `change` leaves it while the server is down.
  template <class Change>
  void restart_after(Change change) {
    w_.node.crash(sim::CrashKind::kPower);
    change();
    w_.node.boot();
    w_.boot_server();
    ASSERT_TRUE(w_.started && w_.started->has_value());
  }
  void settle() { w_.world.run_for(seconds(5)); }

  ChunkWorld w_;
  const ShardKey key_ = ChunkWorld::key(18, 3, 7);
  const std::string data_ = ChunkWorld::data(1, 5 * kPiece + 777);
};

TEST_F(DiskRecoveryTest, SealedShardsAreServedAfterARestart) {
  restart_after([] {});
  EXPECT_EQ(w_.read(key_, 0, data_.size()).value(), data_);
  EXPECT_EQ(w_.seal(key_, data_), ErrorCode::kOk) << "the reply may have been lost";
}

TEST_F(DiskRecoveryTest, AFileWithoutARecordIsRecordedAgainIfItIsWhole) {
  restart_after([&] { erase_record(key_); });
  settle();
  EXPECT_TRUE(has_record(key_));
  EXPECT_EQ(w_.read(key_, 0, data_.size()).value(), data_);
  restart_after([] {});
  EXPECT_EQ(w_.read(key_, 0, data_.size()).value(), data_);
}

// The pages of a sync that failed count as clean: they are seen, and no later sync puts them on the disk.
TEST_F(DiskRecoveryTest, AFileIsWrittenAnewBeforeItIsRecordedAgain) {
  restart_after([&] {
    erase_record(key_);
    file(key_)->durable.resize(0);
  });
  settle();
  EXPECT_TRUE(has_record(key_));
  restart_after([] {});
  EXPECT_EQ(w_.read(key_, 0, data_.size()).value(), data_);
}

TEST_F(DiskRecoveryTest, WhatCannotBeWrittenAnewIsNotRecorded) {
  w_.faults[0].decide = [](const std::string& operation) {
    return operation == "write" ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
  };
  restart_after([&] { erase_record(key_); });
  settle();
  EXPECT_FALSE(has_record(key_));
  EXPECT_TRUE(w_.node.fatal().has_value()) << "its only disk is bad";
}

TEST_F(DiskRecoveryTest, AReadThatWentAstrayGivesNoShardUp) {
  restart_after([&] {
    erase_record(key_);
    w_.node.shard_disk("disk0")->begin_trouble({.misdirected_reads_per_million = 1'000'000});
  });
  w_.world.run_for(std::chrono::hours(1));
  EXPECT_GT(w_.node.harms(sim::Harm::kMisdirectedRead), 0U);
  EXPECT_TRUE(has_record(key_));
  EXPECT_EQ(w_.read(key_, 0, data_.size()).value(), data_);
}

TEST_F(DiskRecoveryTest, ADamagedFileWithoutARecordIsKeptAndNotServed) {
  for (const size_t at : {size_t{100}, kShardHeaderBytes + 3 * kPiece, shard_file_bytes(data_.size()) - 4000}) {
    restart_after([&] {
      erase_record(key_);
      damage(key_, at);
    });
    settle();
    EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kCorrupt) << at;
    EXPECT_FALSE(has_record(key_));
    w_.world.run_for(std::chrono::hours(1));
    EXPECT_EQ(w_.files().size(), 1U);
    restart_after([&] { damage(key_, at); });
    settle();
    EXPECT_TRUE(has_record(key_)) << "mended, it is whole again";
  }
}

TEST_F(DiskRecoveryTest, ARecordWithoutAFileIsNotServed) {
  restart_after([&] {
    ASSERT_TRUE(w_.node.shard_disk("disk0")->remove(shard_file_name(key_)).has_value());
    w_.node.shard_disk("disk0")->make_names_durable(w_.node.shard_disk("disk0")->name_changes_made());
  });
  EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kCorrupt) << "damage, not a stale location";
  EXPECT_TRUE(has_record(key_)) << "the loss stays on record";
  w_.meta.deletions = {key_};
  EXPECT_TRUE(w_.world.run_until([&] { return w_.meta.deletions.empty(); }, kPatience));
  EXPECT_FALSE(has_record(key_));
  EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kNotFound);
}

TEST_F(DiskRecoveryTest, ATruncatedFileIsDamaged) {
  restart_after([&] {
    file(key_)->seen.resize(kShardHeaderBytes + kPiece);
    file(key_)->durable = file(key_)->seen;
  });
  settle();
  EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kCorrupt);
  EXPECT_EQ(w_.files().size(), 1U);
}

TEST_F(DiskRecoveryTest, AFileWithoutAFooterGoesAfterTheIdleTimeOnly) {
  const ShardKey open = ChunkWorld::key(19);
  ASSERT_EQ(w_.open(open), ErrorCode::kOk);
  ASSERT_EQ(w_.append(open, 0, data_), ErrorCode::kOk);
  w_.world.run_for(seconds(1));
  w_.restart(sim::CrashKind::kProcess);
  settle();
  EXPECT_EQ(w_.files().size(), 2U);
  EXPECT_EQ(code_of(w_.read(open, 0, 1)), ErrorCode::kNotSealed);
  EXPECT_EQ(w_.seal(open, data_), ErrorCode::kNotFound);
  w_.world.run_for(std::chrono::minutes(9));
  EXPECT_EQ(w_.files().size(), 2U);
  w_.world.run_for(std::chrono::minutes(2));
  EXPECT_EQ(w_.files(), std::vector<std::string>{shard_file_name(key_)});
}

TEST_F(DiskRecoveryTest, AWriterMayBeginAnewAfterARestart) {
  const ShardKey open = ChunkWorld::key(19);
  ASSERT_EQ(w_.open(open), ErrorCode::kOk);
  ASSERT_EQ(w_.append(open, 0, data_), ErrorCode::kOk);
  w_.world.run_for(seconds(1));
  w_.restart(sim::CrashKind::kProcess);
  settle();
  EXPECT_EQ(w_.write(open, data_), ErrorCode::kOk);
  EXPECT_EQ(w_.read(open, 0, data_.size()).value(), data_);
}

TEST_F(DiskRecoveryTest, FilesOfOthersAreLeftAlone) {
  const ShardKey moved = ChunkWorld::key(77);
  restart_after([&] {
    sim::ShardDisk& disk = *w_.node.shard_disk("disk0");
    for (const std::string& name : {std::string("LOST.DIR"), std::string("notes.txt"), shard_file_name(moved)}) {
      const auto content = disk.create(name).value();
      content->seen = content->durable = file(key_)->durable;
    }
    disk.make_names_durable(disk.name_changes_made());
  });
  w_.world.run_for(std::chrono::hours(1));
  EXPECT_EQ(w_.files().size(), 4U);
  EXPECT_EQ(code_of(w_.read(moved, 0, 1)), ErrorCode::kNotFound) << "the name of one shard, the header of another";
}

TEST_F(DiskRecoveryTest, AFileWithoutARecordThatCannotBeReadIsDamagedAndKeepsNoOtherWaiting) {
  const ShardKey other = ChunkWorld::key(17, 3, 6);
  ASSERT_EQ(w_.write(other, data_), ErrorCode::kOk);
  restart_after([&] {
    for (const ShardKey& key : {key_, other}) erase_record(key);
    file(key_)->unreadable = {{.begin = 0, .end = 512}};
  });
  ASSERT_TRUE(w_.world.run_until([this] { return w_.meta.damaged.contains(key_); }, kPatience));
  ASSERT_TRUE(w_.world.run_until([&] { return has_record(other); }, kPatience));
  EXPECT_EQ(w_.read(other, 0, data_.size()).value(), data_);
  EXPECT_EQ(w_.meta.damaged, std::set<ShardKey>{key_});
}

TEST_F(DiskRecoveryTest, ADiskThatCannotBeReadIsLeftOutAndNothingIsCalledGone) {
  ChunkWorld w(1, 2);
  ASSERT_TRUE(w.wait_registered());
  ASSERT_EQ(w.write(key_, data_), ErrorCode::kOk);
  ASSERT_EQ(w.files(0).size(), 1U);
  w.node.crash(sim::CrashKind::kPower);
  w.faults[0].decide = [](const std::string& operation) {
    return operation == "list" ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
  };
  w.node.boot();
  w.boot_server();
  ASSERT_TRUE(w.started && w.started->has_value());
  w.meta.deletions = {key_};
  w.world.run_for(seconds(10));
  EXPECT_TRUE(w.meta.deleted.empty());
  EXPECT_EQ(w.write(ChunkWorld::key(20), data_), ErrorCode::kOk);
  EXPECT_EQ(w.files(1).size(), 1U);
}

}  // namespace
}  // namespace dogfs
