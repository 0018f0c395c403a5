#include "sim/kv_store.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sim/world.h"

namespace dogfs::sim {
namespace {

using Model = std::map<std::string, std::string>;

Model rows_of(const KvReader& reader) {
  Model rows;
  const Status scanned = reader.scan("", "", [&](std::string_view key, std::string_view value) {
    rows.emplace(key, value);
    return true;
  });
  EXPECT_TRUE(scanned.has_value());
  Model backward;
  EXPECT_TRUE(reader
                  .scan_backward("", "",
                                 [&](std::string_view key, std::string_view value) {
                                   backward.emplace(key, value);
                                   return true;
                                 })
                  .has_value());
  EXPECT_EQ(rows, backward);
  return rows;
}

std::string key_of(int i) {
  return std::string(1, static_cast<char>('a' + i));
}

WriteBatch draw_batch(Model& model) {
  WriteBatch batch;
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) {
    const std::string key = key_of(*rc::gen::inRange(0, 8));
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        batch.erase(key);
        model.erase(key);
        break;
      case 1: {
        const std::string end = key_of(*rc::gen::inRange(0, 9));
        batch.erase_range(key, end);
        if (key < end) model.erase(model.lower_bound(key), model.lower_bound(end));
        break;
      }
      default: {
        const std::string value = std::to_string(*rc::gen::inRange(0, 1000));
        batch.put(key, value);
        model[key] = value;
      }
    }
  }
  return batch;
}

// Batches, snapshots, syncs, crashes and other disks in its place, against a store that copies everything.
RC_GTEST_PROP(KvDisk, AgreesWithAModelThatCopiesEverything, ()) {
  const auto disk = std::make_shared<KvDisk>();
  RandomStream draws(StreamKey(*rc::gen::arbitrary<uint64_t>()));
  std::vector<Model> history(1);  // after each batch since the last durable one
  std::vector<std::pair<std::shared_ptr<const KvReader>, Model>> snapshots;
  for (int step = *rc::gen::inRange(1, 40); step > 0; --step) {
    switch (*rc::gen::inRange(0, 9)) {
      case 0:
        snapshots.emplace_back(disk->snapshot(), history.back());
        break;
      case 1:
        if (!snapshots.empty())
          snapshots.erase(snapshots.begin() + *rc::gen::inRange<long>(0, static_cast<long>(snapshots.size())));
        break;
      case 2:
        disk->mark_durable(disk->sequence());
        history = {history.back()};
        break;
      case 3: {
        disk->crash(draws);
        const Model left = rows_of(*disk);
        RC_ASSERT(std::find(history.begin(), history.end(), left) != history.end());
        history = {left};
        break;
      }
      case 4:
        disk->wipe();
        history = {Model()};
        break;
      default: {
        Model next = history.back();
        disk->apply(draw_batch(next));
        history.push_back(std::move(next));
      }
    }
    RC_ASSERT(rows_of(*disk) == history.back());
    for (const auto& [snapshot, rows] : snapshots) RC_ASSERT(rows_of(*snapshot) == rows);
  }
}

Task<Status> put(KvStore& store, std::string key, Durability durability) {
  WriteBatch batch;
  batch.put(key, "value");
  co_return co_await store.write(std::move(batch), durability);
}

TEST(SimKvStore, ASyncedWriteSurvivesACrashWithAllBeforeIt) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    World world({.seed = seed});
    Node& node = world.add_node("a");
    ASSERT_TRUE(world.run(node, put(node.kv(), "buffered", Durability::kBuffered), seconds(1))->has_value());
    ASSERT_TRUE(world.run(node, put(node.kv(), "synced", Durability::kSynced), seconds(1))->has_value());
    node.crash(CrashKind::kPower);
    node.boot();
    EXPECT_EQ(rows_of(node.kv()).size(), 2U);
  }
}

TEST(SimKvStore, ABufferedWriteIsSometimesLostByACrash) {
  int lost = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    World world({.seed = seed});
    Node& node = world.add_node("a");
    ASSERT_TRUE(world.run(node, put(node.kv(), "buffered", Durability::kBuffered), seconds(1))->has_value());
    EXPECT_EQ(rows_of(node.kv()).size(), 1U);
    node.crash(CrashKind::kPower);
    node.boot();
    lost += rows_of(node.kv()).empty() ? 1 : 0;
  }
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, 30);
}

Task<void> write_in_call_order(KvStore& store) {
  std::vector<Task<Status>> writes;
  for (int i = 0; i < 10; ++i) {
    WriteBatch batch;
    batch.put("key", std::to_string(i));
    writes.push_back(store.write(std::move(batch), i % 3 == 0 ? Durability::kSynced : Durability::kBuffered));
  }
  // Awaited in the opposite order: the order of the calls counts.
  for (auto write = writes.rbegin(); write != writes.rend(); ++write) {
    const Status written = co_await std::move(*write);
    EXPECT_TRUE(written.has_value());
  }
}

TEST(SimKvStore, WritesTakeEffectInTheOrderOfTheCalls) {
  World world;
  Node& node = world.add_node("a");
  ASSERT_TRUE(world.run(node, write_in_call_order(node.kv()), seconds(1)));
  EXPECT_EQ(rows_of(node.kv()).at("key"), "9");
}

TEST(SimKvStore, ASlowDiskDelaysSyncs) {
  World world;
  Node& node = world.add_node("a");
  const DiskTrouble slow{.delay_min = seconds(1), .delay_max = seconds(2)};
  node.kv_disk()->begin_trouble(slow);
  EXPECT_EQ(world.run(node, put(node.kv(), "a", Durability::kSynced), milliseconds(900)), std::nullopt);
  EXPECT_TRUE(world.run(node, put(node.kv(), "b", Durability::kBuffered), milliseconds(900)).has_value());
  node.kv_disk()->end_trouble(slow);
  EXPECT_EQ(node.harms(Harm::kRowDelay), 1U);
  EXPECT_EQ(node.harms(Harm::kDelay), 0U);
  world.run_for(seconds(3));
  EXPECT_TRUE(world.run(node, put(node.kv(), "c", Durability::kSynced), milliseconds(900)).has_value());
}

TEST(SimKvStore, AfterAFailedSyncEveryWriteFails) {
  World world;
  Node& node = world.add_node("a");
  node.kv_disk()->fail_next_sync();
  EXPECT_EQ(code_of(*world.run(node, put(node.kv(), "a", Durability::kSynced), seconds(1))), ErrorCode::kIoError);
  EXPECT_EQ(code_of(*world.run(node, put(node.kv(), "b", Durability::kSynced), seconds(1))), ErrorCode::kIoError);
  EXPECT_EQ(code_of(*world.run(node, put(node.kv(), "c", Durability::kBuffered), seconds(1))), ErrorCode::kIoError);
  EXPECT_EQ(node.harms(Harm::kRowFailedSync), 1U);
  EXPECT_EQ(node.harms(Harm::kFailedSync), 0U);
}

// The same for a write that fails and one that finds no room, once the trouble is over, too; the next process writes.
TEST(SimKvStore, AfterAFailedWriteOrAFullDiskEveryWriteFails) {
  const std::pair<DiskTrouble, ErrorCode> troubles[] = {
      {{.row_write_errors_per_million = 1'000'000}, ErrorCode::kIoError}, {{.rows_full = 1}, ErrorCode::kNoSpace}};
  for (const auto& [trouble, code] : troubles) {
    World world;
    Node& node = world.add_node("a");
    node.kv_disk()->begin_trouble(trouble);
    EXPECT_EQ(code_of(*world.run(node, put(node.kv(), "a", Durability::kSynced), seconds(1))), code);
    node.kv_disk()->end_trouble(trouble);
    EXPECT_EQ(code_of(*world.run(node, put(node.kv(), "b", Durability::kBuffered), seconds(1))), ErrorCode::kIoError);
    EXPECT_TRUE(rows_of(node.kv()).empty());
    EXPECT_EQ(node.disk_errors(), 1U);
    node.crash(CrashKind::kProcess);
    node.boot();
    EXPECT_TRUE(world.run(node, put(node.kv(), "c", Durability::kSynced), seconds(1))->has_value());
  }
}

Task<void> put_rows(KvStore& store) {
  WriteBatch batch;
  for (int i = 0; i < 20; ++i) batch.put(key_of(i), "1");
  const Status written = co_await store.write(std::move(batch), Durability::kSynced);
  EXPECT_TRUE(written.has_value());
}

// Both ways; what was read before it failed was handed over.
TEST(SimKvStore, ReadsOfRowsFailForPrograms) {
  World world;
  Node& node = world.add_node("a");
  ASSERT_TRUE(world.run(node, put_rows(node.kv()), seconds(1)));
  const std::shared_ptr<const KvReader> snapshot = node.kv().snapshot();
  const DiskTrouble trouble{.row_read_errors_per_million = 1'000'000};
  node.kv_disk()->begin_trouble(trouble);
  const auto count_until_failure = [](const KvReader& rows, auto scan) {
    size_t seen = 0;
    const Status scanned = (rows.*scan)("", "", [&seen](std::string_view, std::string_view) {
      ++seen;
      return true;
    });
    EXPECT_EQ(code_of(scanned), ErrorCode::kIoError);
    return seen;
  };
  size_t most = 0;
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(code_of(node.kv().get("a")), ErrorCode::kIoError);
    EXPECT_EQ(code_of(snapshot->get("a")), ErrorCode::kIoError);
    for (const KvReader* rows : {static_cast<const KvReader*>(&node.kv()), snapshot.get()}) {
      most = std::max(most, count_until_failure(*rows, &KvReader::scan));
      most = std::max(most, count_until_failure(*rows, &KvReader::scan_backward));
    }
  }
  EXPECT_GT(most, 0U);
  EXPECT_LT(most, 20U);
  EXPECT_EQ(node.harms(Harm::kRowReadError), 180U);
  EXPECT_EQ(node.disk_errors(), 180U);
  EXPECT_EQ(rows_of(*node.kv_disk()).size(), 20U) << "not for those who look on";
  node.kv_disk()->end_trouble(trouble);
  EXPECT_EQ(rows_of(node.kv()).size(), 20U);
  EXPECT_EQ(rows_of(*snapshot).size(), 20U);
}

// Nobody knows of rows that he did not ask for.
TEST(SimKvStore, AScanThatEndsBeforeTheFailureHasSucceeded) {
  World world;
  Node& node = world.add_node("a");
  ASSERT_TRUE(world.run(node, put_rows(node.kv()), seconds(1)));
  node.kv_disk()->begin_trouble({.row_read_errors_per_million = 1'000'000});
  uint64_t succeeded = 0;
  for (int i = 0; i < 100; ++i) {
    succeeded += node.kv().scan("", "", [](std::string_view, std::string_view) { return false; }).has_value() ? 1 : 0;
  }
  EXPECT_GT(succeeded, 0U);
  EXPECT_LT(succeeded, 100U);
  EXPECT_EQ(node.harms(Harm::kRowReadError), 100 - succeeded);
}

}  // namespace
}  // namespace dogfs::sim
