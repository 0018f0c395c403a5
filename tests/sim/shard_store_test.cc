#include "sim/shard_store.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "sim/world.h"

namespace dogfs::sim {
namespace {

using File = std::shared_ptr<ShardFile>;

class SimShardStoreTest : public ::testing::Test {
 protected:
  void start(uint64_t seed) {
    world_ = std::make_unique<World>(WorldOptions{.seed = seed});
    node_ = &world_->add_node("chunk-1");
  }
  template <class T>
  T run(Task<T> task) {
    return world_->run(*node_, std::move(task), seconds(1)).value();
  }
  File create(const std::string& name) { return run(node_->shards().create(name)).value(); }
  std::string content(const std::string& name) {
    const std::optional<Result<File>> opened = world_->run(*node_, node_->shards().open(name), seconds(1));
    if (!opened || !opened->has_value()) return "(none)";
    const File& file = opened->value();
    const uint64_t size = run(file->size()).value();
    return std::string(run(file->read(0, size)).value().view());
  }
  void power_cycle() {
    node_->crash(CrashKind::kPower);
    node_->boot();
  }
  static BytesChain bytes(const std::string& text) { return BytesChain(Bytes::copy_of(text)); }

  std::unique_ptr<World> world_;
  Node* node_ = nullptr;
};

TEST_F(SimShardStoreTest, WhatWasReadDoesNotChangeWithTheFile) {
  start(1);
  const File file = create("f");
  ASSERT_TRUE(run(file->write(0, bytes("hello"))).has_value());
  const Bytes before = run(file->read(0, 5)).value();
  ASSERT_TRUE(run(file->write(1, bytes("oh"))).has_value());
  EXPECT_EQ(before.view(), "hello");
  EXPECT_EQ(content("f"), "hohlo");
}

TEST_F(SimShardStoreTest, WritesMayReachOverTheEndAndBeginBehindIt) {
  start(1);
  const File file = create("f");
  BytesChain pieces(Bytes::copy_of("ab"));
  pieces.append(Bytes::copy_of("cd"));
  ASSERT_TRUE(run(file->write(0, pieces)).has_value());
  ASSERT_TRUE(run(file->write(3, pieces)).has_value());
  EXPECT_EQ(content("f"), "abcabcd");
  ASSERT_TRUE(run(file->write(9, bytes("e"))).has_value());
  EXPECT_EQ(content("f"), std::string("abcabcd\0\0e", 10));
}

TEST_F(SimShardStoreTest, ADiskThatHangsAnswersOnlyWhenItIsGivenUpOrStartedAgain) {
  start(1);
  const File file = create("f");
  node_->shard_disk()->begin_to_hang();
  auto ended = std::make_shared<std::optional<Status>>();
  const auto keep = [](File to, BytesChain data, std::shared_ptr<std::optional<Status>> out) -> Task<void> {
    out->emplace(co_await to->write(0, std::move(data)));
  };
  world_->spawn(*node_, keep(file, bytes("hello"), ended));
  world_->run_for(std::chrono::hours(1));
  EXPECT_FALSE(ended->has_value());
  node_->shards().give_up();
  world_->run_for(milliseconds(1));
  EXPECT_EQ(code_of(ended->value()), ErrorCode::kIoError);
  EXPECT_EQ(node_->harms(Harm::kUnanswered), 1U);
  node_->crash(CrashKind::kProcess);
  node_->boot();
  EXPECT_TRUE(run(node_->shards().create("g")).has_value());
}

TEST_F(SimShardStoreTest, WhatIsSyncedSurvivesAPowerCut) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(file->write(0, bytes("hello "))).has_value());
    ASSERT_TRUE(run(file->write(6, bytes("world"))).has_value());
    ASSERT_TRUE(run(file->sync()).has_value());
    ASSERT_TRUE(run(node_->shards().sync_directory()).has_value());
    power_cycle();
    EXPECT_EQ(content("f"), "hello world");
  }
}

TEST_F(SimShardStoreTest, WhatIsNotSyncedIsKeptLostOrTornByAPowerCut) {
  std::set<size_t> sizes;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(node_->shards().sync_directory()).has_value());
    ASSERT_TRUE(run(file->write(0, bytes(std::string(2048, 'x')))).has_value());
    power_cycle();
    sizes.insert(content("f").size());
  }
  EXPECT_TRUE(sizes.contains(0));
  EXPECT_TRUE(sizes.contains(2048));
  EXPECT_GT(sizes.size(), 2U);
}

TEST_F(SimShardStoreTest, ASyncDoesNotCoverAWriteThatIsStillUnderWay) {
  bool lost = false;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(node_->shards().sync_directory()).has_value());
    Task<Status> write = file->write(0, bytes("late"));
    Task<Status> sync = file->sync();  // called before the write has completed
    ASSERT_TRUE(run(std::move(write)).has_value());
    ASSERT_TRUE(run(std::move(sync)).has_value());
    power_cycle();
    lost = lost || content("f").empty();
  }
  EXPECT_TRUE(lost);
}

TEST_F(SimShardStoreTest, APowerCutKeepsUnsyncedWritesInAnyOrderAndAnyOfTheirSectors) {
  bool later_without_earlier = false;
  bool hole = false;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(node_->shards().sync_directory()).has_value());
    ASSERT_TRUE(run(file->write(0, bytes(std::string(1024, 'a')))).has_value());
    ASSERT_TRUE(run(file->write(1024, bytes(std::string(2048, 'b')))).has_value());
    power_cycle();
    const std::string left = content("f");
    later_without_earlier = later_without_earlier || (left.size() == 3072 && left.find('a') == std::string::npos);
    hole = hole || left.find(std::string("b") + '\0') != std::string::npos;
  }
  EXPECT_TRUE(later_without_earlier);
  EXPECT_TRUE(hole);
}

TEST_F(SimShardStoreTest, AKillMakesNothingDurable) {
  bool lost = false;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(file->write(0, bytes("hello"))).has_value());
    node_->crash(CrashKind::kProcess);
    node_->boot();
    power_cycle();
    lost = lost || content("f") != "hello";
  }
  EXPECT_TRUE(lost);
}

TEST_F(SimShardStoreTest, WhatAFailedSyncWasToWriteIsGoneAlthoughTheNextSucceeds) {
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(node_->shards().sync_directory()).has_value());
    ASSERT_TRUE(run(file->write(0, bytes("hello"))).has_value());
    node_->shard_disk()->set_sync_failure(true);
    EXPECT_EQ(code_of(run(file->sync())), ErrorCode::kIoError);
    ASSERT_TRUE(run(file->sync()).has_value());
    EXPECT_EQ(node_->harms(Harm::kFailedSync), 1U);
    EXPECT_EQ(node_->harms(Harm::kRowFailedSync), 0U);
    seen.insert(content("f"));
    power_cycle();
    EXPECT_EQ(content("f"), "");
  }
  EXPECT_EQ(seen, (std::set<std::string>{"", "hello"})) << "until its pages are evicted it is seen";
}

TEST_F(SimShardStoreTest, AFailedWriteMayBeHalfDone) {
  std::set<size_t> sizes;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    start(seed);
    const File file = create("f");
    node_->shard_disk()->begin_trouble({.write_errors_per_million = 1'000'000});
    EXPECT_EQ(code_of(run(file->write(0, bytes(std::string(2048, 'x'))))), ErrorCode::kIoError);
    sizes.insert(content("f").size());
  }
  EXPECT_TRUE(sizes.contains(0));
  EXPECT_GT(sizes.size(), 2U);
}

TEST_F(SimShardStoreTest, TroublesAddUpAndEnd) {
  start(1);
  ShardDisk& disk = *node_->shard_disk();
  const File file = create("f");
  disk.begin_trouble({.full = 1, .delay_min = seconds(1), .delay_max = seconds(2)});
  disk.begin_trouble({.full = 1});
  EXPECT_EQ(world_->run(*node_, file->write(0, bytes("hello")), milliseconds(900)), std::nullopt);
  world_->run_for(seconds(2));
  EXPECT_EQ(content("f"), "(none)") << "opening takes longer than a second, too";
  disk.end_trouble({.full = 1, .delay_min = seconds(1), .delay_max = seconds(2)});
  EXPECT_EQ(code_of(run(file->write(0, bytes("hello")))), ErrorCode::kNoSpace);
  EXPECT_EQ(run(node_->shards().space()).value().free_bytes, 0U);
  disk.end_trouble({.full = 1});
  EXPECT_EQ(code_of(run(file->write(0, bytes("hello")))), ErrorCode::kOk);
  EXPECT_EQ(node_->harms(Harm::kFull), 2U);
  EXPECT_GT(node_->harms(Harm::kDelay), 0U);
  EXPECT_EQ(node_->harms(Harm::kRowDelay), 0U);
}

// What a power cut left of a file says what it did to it.
TEST_F(SimShardStoreTest, WhatAPowerCutDoesIsCounted) {
  const std::string whole(2048, 'x');
  uint64_t lost = 0;
  uint64_t torn = 0;
  uint64_t names = 0;
  Harms counted;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(node_->shards().sync_directory()).has_value());
    ASSERT_TRUE(run(file->write(0, bytes(whole))).has_value());
    create("g");
    power_cycle();
    const std::string left = content("f");
    const bool nothing = left.find('x') == std::string::npos;
    lost += nothing ? 1 : 0;
    torn += !nothing && left != whole ? 1 : 0;
    names += content("g") == "(none)" ? 1 : 0;
    counted.add(node_->all_harms());
  }
  EXPECT_EQ(counted.of(Harm::kUnsyncedLost), lost);
  EXPECT_EQ(counted.of(Harm::kTornWrite), torn);
  EXPECT_EQ(counted.of(Harm::kNameLost), names);
  EXPECT_EQ(counted.of(Harm::kPowerLost), 40U);
  EXPECT_EQ(counted.of(Harm::kUnsyncedReordered), 0U) << "of a single write";
  for (const uint64_t count : {lost, torn, names}) EXPECT_GT(count, 0U);
}

TEST_F(SimShardStoreTest, AWriteThatOutlivesAnEarlierOneIsCounted) {
  uint64_t reordered = 0;
  Harms counted;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(node_->shards().sync_directory()).has_value());
    ASSERT_TRUE(run(file->write(0, bytes(std::string(512, 'a')))).has_value());
    ASSERT_TRUE(run(file->write(512, bytes(std::string(512, 'b')))).has_value());
    power_cycle();
    const std::string left = content("f");
    const bool later = left.find('b') != std::string::npos;
    reordered += later && left.find('a') == std::string::npos ? 1 : 0;
    counted.add(node_->all_harms());
  }
  EXPECT_EQ(counted.of(Harm::kUnsyncedReordered), reordered);
  EXPECT_GT(reordered, 0U);
}

class OneFile final : public DamageGuard {
 public:
  bool may_damage(const std::string& file) override { return spared_ != file; }
  void damaged(const std::string& file) override { damaged_.insert(file); }
  void created(const std::string& file) override { damaged_.erase(file); }
  std::string spared_;
  std::set<std::string> damaged_;
};

TEST_F(SimShardStoreTest, AMisdirectedWriteHitsAnotherPlaceAndIsMissingFromItsOwn) {
  std::set<std::string> hit;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    start(seed);
    OneFile guard;
    node_->shard_disk()->set_guard(&guard);
    const File other = create("other");
    ASSERT_TRUE(run(other->write(0, bytes(std::string(4096, 'o')))).has_value());
    ASSERT_TRUE(run(other->sync()).has_value());
    const File file = create("f");
    node_->shard_disk()->begin_trouble({.misdirected_writes_per_million = 1'000'000});
    ASSERT_TRUE(run(file->write(0, bytes(std::string(512, 'x')))).has_value());
    EXPECT_EQ(content("f"), std::string(512, '\0'));
    const bool struck = content("other").find('x') != std::string::npos;
    EXPECT_EQ(content("other").size(), 4096U);
    EXPECT_EQ(guard.damaged_.contains("other"), struck);
    EXPECT_TRUE(guard.damaged_.contains("f"));
    hit.insert(struck ? "other" : "none");
    guard.spared_ = "f";
    ASSERT_TRUE(run(file->write(0, bytes(std::string(512, 'y')))).has_value());
    EXPECT_EQ(content("f"), std::string(512, 'y')) << "what must be spared is";
  }
  EXPECT_TRUE(hit.contains("other"));
}

TEST_F(SimShardStoreTest, AMisdirectedReadGivesOtherBytesUntilTheCacheIsDropped) {
  start(1);
  const File other = create("other");
  ASSERT_TRUE(run(other->write(0, bytes(std::string(100, 'o')))).has_value());
  ASSERT_TRUE(run(other->sync()).has_value());
  const File file = create("f");
  ASSERT_TRUE(run(file->write(0, bytes("hello"))).has_value());
  node_->shard_disk()->begin_trouble({.misdirected_reads_per_million = 1'000'000});
  EXPECT_EQ(run(file->read(0, 5)).value().view(), "ooooo");
  EXPECT_EQ(run(file->read(1, 3)).value().view(), "ooo");
  ASSERT_TRUE(run(file->drop_cache()).has_value());
  EXPECT_EQ(run(file->read(0, 5)).value().view(), "hello");
}

TEST_F(SimShardStoreTest, AKilledProcessLosesNothingThatItWrote) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    start(seed);
    const File file = create("f");
    ASSERT_TRUE(run(file->write(0, bytes("hello"))).has_value());
    node_->crash(CrashKind::kProcess);
    node_->boot();
    EXPECT_EQ(content("f"), "hello");
  }
}

TEST_F(SimShardStoreTest, NamesAreDurableOnlyAfterADirectorySync) {
  bool name_lost = false;
  bool removal_lost = false;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    start(seed);
    create("new");
    create("old");
    ASSERT_TRUE(run(node_->shards().sync_directory()).has_value());
    create("newer");
    ASSERT_TRUE(run(node_->shards().remove("old")).has_value());
    power_cycle();
    EXPECT_NE(content("new"), "(none)");
    name_lost = name_lost || content("newer") == "(none)";
    removal_lost = removal_lost || content("old") != "(none)";
  }
  EXPECT_TRUE(name_lost);
  EXPECT_TRUE(removal_lost);
}

TEST_F(SimShardStoreTest, ARemovedFileStaysReadableThroughItsHandle) {
  start(1);
  const File file = create("f");
  ASSERT_TRUE(run(file->write(0, bytes("hello"))).has_value());
  ASSERT_TRUE(run(node_->shards().remove("f")).has_value());
  EXPECT_EQ(run(file->read(1, 3)).value().view(), "ell");
  EXPECT_EQ(content("f"), "(none)");
}

TEST_F(SimShardStoreTest, ErrorsAreTold) {
  start(1);
  const File file = create("f");
  EXPECT_EQ(code_of(run(node_->shards().create("f"))), ErrorCode::kAlreadyExists);
  EXPECT_EQ(code_of(run(node_->shards().create("a/b"))), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(run(node_->shards().open("g"))), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(run(node_->shards().remove("g"))), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(run(file->read(0, 1))), ErrorCode::kCorrupt);
  node_->shard_disk()->set_capacity(3);
  EXPECT_EQ(code_of(run(file->write(0, bytes("hello")))), ErrorCode::kNoSpace);
  ASSERT_TRUE(run(file->write(0, bytes("abc"))).has_value());
  EXPECT_EQ(run(node_->shards().space()).value().free_bytes, 0U);
  node_->shard_disk()->begin_trouble({.read_errors_per_million = 1'000'000});
  EXPECT_EQ(code_of(run(file->read(0, 3))), ErrorCode::kIoError);
}

TEST_F(SimShardStoreTest, RotFlipsOneStoredBit) {
  start(1);
  RandomStream draws{StreamKey(1)};
  EXPECT_TRUE(node_->shard_disk()->stored_files().empty());
  const File file = create("f");
  ASSERT_TRUE(run(file->write(0, bytes("hello"))).has_value());
  ASSERT_TRUE(run(file->sync()).has_value());
  ASSERT_EQ(node_->shard_disk()->stored_files(), std::vector<std::string>{"f"});
  node_->shard_disk()->rot("f", draws);
  EXPECT_NE(content("f"), "hello");
  EXPECT_EQ(content("f").size(), 5U);
}

}  // namespace
}  // namespace dogfs::sim
