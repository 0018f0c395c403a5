// A chunk server of several disks, each with some shards.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "core/chunk/shard_disk.h"
#include "core/chunk/shard_format.h"
#include "tests/core/chunk/chunk_world.h"

namespace dogfs {

class Disks : public ::testing::Test {
 protected:
  static constexpr uint64_t kShards = 24;
  static constexpr size_t kBytes = 10'000;
  static constexpr uint64_t kDiskBytes = 1ULL << 40;

  explicit Disks(size_t disks = 2, ChunkOptions options = {}) : w_(1, disks, std::move(options)) {}
  void SetUp() override {
    ASSERT_TRUE(w_.wait_registered());
    write(1, kShards);
    for (size_t disk = 0; disk < w_.faults.size(); ++disk) ASSERT_FALSE(w_.files(disk).empty());
  }
  void write(uint64_t first, uint64_t count) {
    for (uint64_t block = first; block < first + count; ++block) {
      ASSERT_EQ(w_.write(ChunkWorld::key(block), ChunkWorld::data(block, kBytes)), ErrorCode::kOk);
      // The disks are asked for their room.
      w_.world.run_for(milliseconds(1'100));
    }
  }
  // The shards whose files are on a disk.
  std::set<ShardKey> on(size_t disk) {
    std::set<ShardKey> keys;
    for (const std::string& file : w_.files(disk)) keys.insert(*parse_shard_file_name(file));
    return keys;
  }
  void expect_readable(const std::set<ShardKey>& keys) {
    for (const ShardKey& key : keys) {
      const Result<std::string> read = w_.read(key, 0, kBytes);
      ASSERT_TRUE(read.has_value()) << to_string(key) << ": " << read.error().to_string();
      EXPECT_EQ(read.value(), ChunkWorld::data(key.block.value(), kBytes));
    }
  }
  void fail_to_read(const ShardKey& key) { EXPECT_FALSE(w_.read(key, 0, kBytes).has_value()); }
  void wipe(size_t disk, bool files = true) {
    const std::string name = "disk" + std::to_string(disk);
    w_.node.kv_disk(name)->wipe();
    if (files) *w_.node.shard_disk(name) = sim::ShardDisk(1ULL << 40);
  }
  // Puts what one disk has of a shard on another, too.
  void copy(size_t from, size_t to, const ShardKey& key) {
    const std::string name = shard_file_name(key);
    const auto file = w_.node.shard_disk("disk" + std::to_string(from))->open(name).value();
    const auto made = w_.node.shard_disk("disk" + std::to_string(to))->create(name).value();
    made->seen = file->seen;
    made->durable = file->seen;
    const auto record = w_.node.kv_disk("disk" + std::to_string(from))->get(shard_record_key(key)).value();
    wire::ShardRecord parsed;
    ASSERT_TRUE(parsed.ParseFromString(*record));
    put_record(to, key, parsed);
  }
  void put_record(size_t disk, const ShardKey& key, const wire::ShardRecord& record) {
    WriteBatch batch;
    put_shard_record(batch, key, record);
    sim::KvDisk& rows = *w_.node.kv_disk("disk" + std::to_string(disk));
    rows.apply(batch);
    rows.mark_durable(rows.sequence());
  }
  bool has_record(size_t disk, const ShardKey& key) {
    return w_.node.kv_disk("disk" + std::to_string(disk))->get(shard_record_key(key)).value().has_value();
  }
  void wait_until_none_is_on_both(size_t shards) {
    const auto settled = [&] {
      return w_.files(0).size() + w_.files(1).size() == shards && !w_.meta.heartbeats.empty() &&
             w_.disk_info(0).shards() + w_.disk_info(1).shards() == shards;
    };
    ASSERT_TRUE(w_.world.run_until(settled, std::chrono::hours(1)));
  }
  void start_again() {
    w_.node.boot();
    w_.meta.heartbeats.clear();
    w_.boot_server();
    ASSERT_TRUE(w_.started && w_.started->has_value()) << w_.started->error().to_string();
    ASSERT_TRUE(w_.wait_registered());
  }
  void set_free(size_t disk, uint64_t free_bytes, uint64_t total_bytes = kDiskBytes) {
    w_.faults[disk].space = DiskSpace{.total_bytes = total_bytes, .free_bytes = free_bytes};
  }
  void fail(size_t disk, const std::set<std::string>& operations) {
    w_.faults[disk].decide = [operations](const std::string& operation) {
      return operations.contains(operation) ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
    };
  }
  // Every operation, for ever.
  void hang(size_t disk) {
    w_.faults[disk].decide = [](const std::string&) { return DiskFaults::Fate::kHang; };
  }

  ChunkWorld w_;
};

class OneDisk : public Disks {
 protected:
  OneDisk() : Disks(1) {}
};

}  // namespace dogfs
