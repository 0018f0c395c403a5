#include "runtime/kv_store.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "tests/conformance/kv_store_conformance.h"
#include "tests/runtime/real_harness.h"
#include "tests/runtime/temporary_directory.h"

namespace dogfs {
namespace {

class RocksKvWorld {
 public:
  RocksKvWorld() { reopen(); }

  RealHarness& harness() { return harness_; }
  KvStore& store() { return *store_; }
  void reopen() {
    store_.reset();
    store_ = RocksKvStore::open(directory_ / "kv", harness_.executor(), {}).value();
  }

 private:
  TemporaryDirectory directory_;
  RealHarness harness_;
  std::unique_ptr<RocksKvStore> store_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, KvStoreConformance, RocksKvWorld);

TEST(RocksKvStore, TellsHowMuchRoomItsDiskHas) {
  RocksKvWorld world;
  const DiskSpace space = world.store().space().value();
  EXPECT_GT(space.total_bytes, 0U);
  EXPECT_LE(space.free_bytes, space.total_bytes);
}

// Counts the syncs of write-ahead logs, and fails them or holds them on demand.
struct LogFaults {
  std::atomic<int> syncs = 0;
  std::atomic<bool> fail_syncs = false;
  std::atomic<bool> hold_syncs = false;
};

class FaultyLogFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyLogFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, LogFaults& faults)
      : rocksdb::FSWritableFileOwnerWrapper(std::move(file)), faults_(faults) {}
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    ++faults_.syncs;
    faults_.hold_syncs.wait(true);
    if (faults_.fail_syncs) return rocksdb::IOStatus::IOError("planted");
    return rocksdb::FSWritableFileOwnerWrapper::Sync(options, debug);
  }

 private:
  LogFaults& faults_;
};

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyFileSystem(LogFaults& faults)
      : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()), faults_(faults) {}
  const char* Name() const override { return "FaultyFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    const rocksdb::IOStatus status = rocksdb::FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (status.ok() && name.ends_with(".log")) *file = std::make_unique<FaultyLogFile>(std::move(*file), faults_);
    return status;
  }

 private:
  LogFaults& faults_;
};

class RocksKv : public testing::Test {
 protected:
  std::string path() const { return directory_ / "kv"; }

  std::unique_ptr<RocksKvStore> open(RocksKvOptions options = {}) {
    return RocksKvStore::open(path(), harness_.executor(), options).value();
  }

  ErrorCode write(KvStore& store, std::string key, std::string value, Durability durability = Durability::kSynced) {
    ErrorCode code{};
    harness_.run(write_task(store, std::move(key), std::move(value), durability, code));
    return code;
  }

  static Task<void> write_task(KvStore& store, std::string key, std::string value, Durability durability,
                               ErrorCode& code) {
    WriteBatch batch;
    batch.put(std::move(key), std::move(value));
    const Status status = co_await store.write(std::move(batch), durability);
    code = code_of(status);
  }

  // The one write-ahead log that has something in it.
  std::filesystem::path log_file() const {
    for (const auto& entry : std::filesystem::directory_iterator(path())) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0) return entry.path();
    }
    ADD_FAILURE() << "no write-ahead log";
    return {};
  }

  TemporaryDirectory directory_;
  RealHarness harness_;
};

TEST_F(RocksKv, WritesThatWaitShareOneSync) {
  LogFaults faults;
  const auto env = rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem>(faults));
  RocksKvOptions options;
  options.env = env.get();
  const auto store = open(options);
  EXPECT_EQ(write(*store, "warm", "up"), ErrorCode::kOk);
  const int before = faults.syncs;
  TaskGroup group(harness_.executor(), harness_.clock());
  std::vector<ErrorCode> codes(1000, ErrorCode::kInternal);
  for (size_t i = 0; i < codes.size(); ++i) {
    group.spawn(write_task(*store, std::to_string(i), "v", Durability::kSynced, codes[i]));
  }
  harness_.run(group.join());
  EXPECT_EQ(codes, std::vector<ErrorCode>(1000, ErrorCode::kOk));
  EXPECT_LT(faults.syncs - before, 500);
  EXPECT_GT(faults.syncs - before, 0);
}

TEST_F(RocksKv, BufferedWriteDoesNotSync) {
  LogFaults faults;
  const auto env = rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem>(faults));
  RocksKvOptions options;
  options.env = env.get();
  const auto store = open(options);
  const int before = faults.syncs;
  EXPECT_EQ(write(*store, "a", "1", Durability::kBuffered), ErrorCode::kOk);
  EXPECT_EQ(faults.syncs, before);
  EXPECT_EQ(write(*store, "b", "2", Durability::kSynced), ErrorCode::kOk);
  EXPECT_GT(faults.syncs, before);
}

TEST_F(RocksKv, FailedSyncPoisonsTheStore) {
  LogFaults faults;
  const auto env = rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem>(faults));
  RocksKvOptions options;
  options.env = env.get();
  const auto store = open(options);
  EXPECT_EQ(write(*store, "a", "1"), ErrorCode::kOk);
  faults.fail_syncs = true;
  EXPECT_EQ(write(*store, "b", "2"), ErrorCode::kIoError);
  faults.fail_syncs = false;
  EXPECT_EQ(write(*store, "c", "3"), ErrorCode::kIoError) << "a sync was tried again after it had failed";
  EXPECT_EQ(write(*store, "d", "4", Durability::kBuffered), ErrorCode::kIoError);
}

TEST_F(RocksKv, WhoWaitsWhenItIsGivenUpIsAnsweredOnceAndTheWriteMayHappenAllTheSame) {
  LogFaults faults;
  const auto env = rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem>(faults));
  RocksKvOptions options;
  options.env = env.get();
  auto store = open(options);
  EXPECT_EQ(write(*store, "warm", "up"), ErrorCode::kOk);
  const int before = faults.syncs;
  faults.hold_syncs = true;
  TaskGroup group(harness_.executor(), harness_.clock());
  std::vector<ErrorCode> codes(2, ErrorCode::kInternal);
  group.spawn(write_task(*store, "a", "1", Durability::kSynced, codes[0]));
  harness_.io().restart();
  while (faults.syncs == before) harness_.io().poll();
  group.spawn(write_task(*store, "b", "2", Durability::kSynced, codes[1]));
  group.post([&store] { store->give_up(); });
  harness_.run(group.join());
  EXPECT_EQ(codes, std::vector<ErrorCode>(2, ErrorCode::kIoError));
  faults.hold_syncs = false;
  faults.hold_syncs.notify_all();
  store.reset();
  harness_.io().restart();
  harness_.io().poll();
  store = open(options);
  EXPECT_EQ(store->get("a").value(), "1");
}

TEST_F(RocksKv, TornEndOfTheLogIsDropped) {
  {
    const auto store = open();
    EXPECT_EQ(write(*store, "a", "1"), ErrorCode::kOk);
    EXPECT_EQ(write(*store, "b", std::string(1000, 'x')), ErrorCode::kOk);
  }
  const auto log = log_file();
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 10);
  const auto store = open();
  EXPECT_EQ(collect(*store, "", ""), (KvPairs{{"a", "1"}}));
}

// RocksDB's default would open, and have forgotten everything from the damage on.
TEST_F(RocksKv, DamageWithinTheLogIsNotPassedOver) {
  {
    const auto store = open();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(write(*store, std::to_string(i), std::string(10'000, 'x')), ErrorCode::kOk);
  }
  {
    std::fstream log(log_file(), std::ios::in | std::ios::out | std::ios::binary);
    log.seekp(50'000);
    log.put('?');
  }
  const auto store = RocksKvStore::open(path(), harness_.executor(), {});
  EXPECT_EQ(code_of(store), ErrorCode::kCorrupt);
}

TEST_F(RocksKv, SecondOpenerIsTurnedAway) {
  const auto store = open();
  const auto second = RocksKvStore::open(path(), harness_.executor(), {});
  EXPECT_EQ(code_of(second), ErrorCode::kUnavailable);
}

// A lock that is taken is told from what else may be wrong by RocksDB's words, which have the path in them.
TEST_F(RocksKv, ABrokenStoreInAPathOfBlocksIsNotCalledInUse) {
  std::filesystem::create_directory(directory_ / "blocks");
  const std::string in_the_way = directory_ / "blocks/file";
  std::ofstream(in_the_way) << "x";
  EXPECT_EQ(code_of(RocksKvStore::open(in_the_way, harness_.executor(), {})), ErrorCode::kIoError);

  const std::string broken = directory_ / "blocks/store";
  EXPECT_TRUE(RocksKvStore::open(broken, harness_.executor(), {}).has_value());
  std::ofstream(broken + "/CURRENT") << "MANIFEST-999999\n";
  const auto store = RocksKvStore::open(broken, harness_.executor(), {});
  ASSERT_FALSE(store.has_value());
  EXPECT_NE(store.error().code, ErrorCode::kUnavailable) << store.error().to_string();
}

TEST_F(RocksKv, MissingStoreIsNotMadeAnew) {
  RocksKvOptions options;
  options.create_if_missing = false;
  const auto store = RocksKvStore::open(path(), harness_.executor(), options);
  EXPECT_EQ(code_of(store), ErrorCode::kNotFound);
}

TEST_F(RocksKv, DirectoryWithoutParentIsAnError) {
  const auto store = RocksKvStore::open("/proc/nothing/here", harness_.executor(), {});
  EXPECT_FALSE(store.has_value());
}

TEST_F(RocksKv, QueuedWritesAreFinishedWhenTheStoreCloses) {
  {
    const auto store = open();
    WriteBatch batch;
    batch.put("never", "awaited");
    const Task<Status> dropped = store->write(std::move(batch), Durability::kSynced);
  }
  EXPECT_EQ(collect(*open(), "", ""), (KvPairs{{"never", "awaited"}}));
}

}  // namespace
}  // namespace dogfs
