#include "runtime/shard_store.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "runtime/file_descriptor.h"
#include "runtime/shard_file.h"
#include "tests/conformance/shard_store_conformance.h"
#include "tests/runtime/read_only_mount.h"
#include "tests/runtime/real_harness.h"
#include "tests/runtime/temporary_directory.h"

namespace dogfs {
namespace {

template <bool kDirect>
class FileShardWorld {
 public:
  FileShardWorld() { reopen(); }

  RealHarness& harness() { return harness_; }
  ShardStore& store() { return *store_; }
  void reopen() {
    store_.reset();
    FileShardOptions options;
    options.direct_io = kDirect;
    store_ = FileShardStore::open(directory_ / "shards", options).value();
  }
  bool reopen_read_only() {
    read_only_ = std::make_unique<ReadOnlyMount>(path());
    if (read_only_->is_read_only()) reopen();
    return read_only_->is_read_only();
  }
  std::string path() const { return directory_ / "shards"; }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<ReadOnlyMount> read_only_;
  RealHarness harness_;
  std::unique_ptr<FileShardStore> store_;
};

using DirectWorld = FileShardWorld<true>;
using BufferedWorld = FileShardWorld<false>;

INSTANTIATE_TYPED_TEST_SUITE_P(Direct, ShardStoreConformance, DirectWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Buffered, ShardStoreConformance, BufferedWorld);

TEST(OpenError, WhatTheProcessOrTheMachineLacksIsNotTheDisksFault) {
  for (const int number : {EMFILE, ENFILE, ENOMEM}) {
    errno = number;
    EXPECT_EQ(open_error("open").code, ErrorCode::kBusy) << number;
  }
  errno = EIO;
  EXPECT_EQ(open_error("open").code, ErrorCode::kIoError);
}

Task<void> open_without_descriptors(ShardStore& store, std::vector<ErrorCode>& codes) {
  const auto kept = co_await store.create("kept");
  DOGFS_CO_ASSERT(kept.has_value());
  rlimit old{};
  DOGFS_CO_ASSERT(::getrlimit(RLIMIT_NOFILE, &old) == 0);
  const rlimit none{0, old.rlim_max};
  DOGFS_CO_ASSERT(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  codes.push_back(code_of(co_await store.create("new")));
  codes.push_back(code_of(co_await store.open("kept")));
  codes.push_back(code_of(co_await store.list()));
  DOGFS_CO_ASSERT(::setrlimit(RLIMIT_NOFILE, &old) == 0);
  codes.push_back(code_of(co_await store.open("kept")));
}

TEST(FileShardStore, WithoutFileDescriptorsItIsBusyAndNotBroken) {
  DirectWorld world;
  std::vector<ErrorCode> codes;
  world.harness().run(open_without_descriptors(world.store(), codes));
  EXPECT_EQ(codes, (std::vector{ErrorCode::kBusy, ErrorCode::kBusy, ErrorCode::kBusy, ErrorCode::kOk}));
}

TEST(FileShardStore, MissingParentIsAnError) {
  EXPECT_EQ(code_of(FileShardStore::open("/proc/nothing/here", {})), ErrorCode::kNotFound);
}

TEST(FileShardStore, FilesThatAreNotShardsAreNotListed) {
  DirectWorld world;
  std::ofstream(world.path() + "/not a shard") << "x";
  ErrorCode code{};
  size_t count = 1;
  const auto list = [](ShardStore& store, ErrorCode& out, size_t& names) -> Task<void> {
    const auto listed = co_await store.list();
    out = code_of(listed);
    if (listed) names = listed.value().size();
  };
  world.harness().run(list(world.store(), code, count));
  EXPECT_EQ(code, ErrorCode::kOk);
  EXPECT_EQ(count, 0U);
}

// A limit on the size of files stands in for a full disk: the call fails in the middle of a chain.
Task<void> write_too_much(ShardStore& store, ErrorCode& code) {
  const auto file = co_await store.create("big");
  DOGFS_CO_ASSERT(file.has_value());
  const Status status = co_await file.value()->write(0, BytesChain(pattern_bytes(2 * kMiB, 1)));
  code = code_of(status);
}

TEST(FileShardStore, FailedWriteIsAnError) {
  DirectWorld world;
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{kMiB, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  ErrorCode code{};
  world.harness().run(write_too_much(world.store(), code));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_EQ(code, ErrorCode::kIoError);
}

// /dev/full is the kernel's own full disk.
TEST(BlockingShardFile, FullDiskIsNoSpace) {
  BlockingShardFile file("full", FileDescriptor(::open("/dev/full", O_RDWR | O_CLOEXEC)), FileDescriptor());
  EXPECT_EQ(code_of(file.write(0, BytesChain(pattern_bytes(100, 1)))), ErrorCode::kNoSpace);
}

TEST(BlockingShardFile, FailedSyncIsNotTriedAgain) {
  // A pipe cannot be synced.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const FileDescriptor other_end(ends[0]);
  BlockingShardFile file("pipe", FileDescriptor(ends[1]), FileDescriptor());
  EXPECT_EQ(code_of(file.sync()), ErrorCode::kIoError);
  const Status again = file.sync();
  EXPECT_EQ(again.error().detail, "pipe: an earlier sync failed");
}

TEST(BlockingShardFile, ReadsAtOnceOnlyWhatTheMemoryHas) {
  const TemporaryDirectory directory;
  const std::string path = directory / "file";
  const Bytes data = pattern_bytes(kMiB, 1);
  BlockingShardFile file("file", FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
                         FileDescriptor());
  const auto cached = [&file](size_t length) {
    const std::optional<Bytes> bytes = file.read_cached(0, length);
    return bytes && bytes->view() == pattern_bytes(length, 1).view();
  };
  ASSERT_TRUE(file.write(0, BytesChain(data)));
  ASSERT_TRUE(file.sync());
  EXPECT_TRUE(cached(data.size()));
  EXPECT_FALSE(cached(data.size() + 1)) << "reaches beyond the end";

  ASSERT_TRUE(file.drop_cache());
  EXPECT_FALSE(file.read_cached(0, data.size()).has_value()) << "would wait for the disk";
  EXPECT_EQ(file.read(0, data.size()).value().view(), data.view());
  EXPECT_TRUE(cached(data.size()));
}

TEST(FileShardStore, LinksAreNotFollowed) {
  DirectWorld world;
  std::filesystem::create_symlink("/dev/full", world.path() + "/link");
  ErrorCode code{};
  const auto open = [](ShardStore& store, ErrorCode& out) -> Task<void> {
    const auto file = co_await store.open("link");
    out = code_of(file);
  };
  world.harness().run(open(world.store(), code));
  EXPECT_EQ(code, ErrorCode::kIoError);
}

}  // namespace
}  // namespace dogfs
