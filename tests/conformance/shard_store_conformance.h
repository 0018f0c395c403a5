// The rules of the ShardStore port (core/env/shard_store.h), for both twins.
//
// A World is default-constructible and gives:
//   Harness& harness();
//   ShardStore& store();  // empty at first
//   void reopen();        // closes the store in good order and opens what it left; the old reference is dead
//   bool reopen_read_only();  // the same on a disk that has become read-only; false, and nothing done, where a test
//                             // may not make it so
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/hash.h"
#include "core/base/limits.h"
#include "core/env/shard_store.h"
#include "core/env/sync.h"
#include "tests/conformance/harness.h"

namespace dogfs {

// `size` bytes that differ by position and seed.
inline Bytes pattern_bytes(size_t size, uint64_t seed) {
  MutableBuffer buffer(size);
  for (size_t i = 0; i < size; ++i) buffer.data()[i] = static_cast<std::byte>(mix64(seed + i / 8) >> (8 * (i % 8)));
  return buffer.freeze();
}

template <class World>
class ShardStoreConformance : public testing::Test {
 protected:
  using File = std::shared_ptr<ShardFile>;

  World world;
  Harness& harness = world.harness();

  ShardStore& store() { return world.store(); }

  Task<File> create(std::string name) {
    Result<File> file = co_await store().create(std::move(name));
    DOGFS_CHECK(file.has_value());
    co_return std::move(file).value();
  }

  static Task<void> expect_write(File file, uint64_t offset, BytesChain data) {
    const Status status = co_await file->write(offset, std::move(data));
    EXPECT_EQ(code_of(status), ErrorCode::kOk);
  }

  static Task<void> expect_content(File file, uint64_t offset, Bytes expected) {
    const Result<Bytes> read = co_await file->read(offset, expected.size());
    DOGFS_CO_ASSERT(read.has_value());
    EXPECT_TRUE(read.value().view() == expected.view()) << expected.size() << " bytes at " << offset;
  }

  Task<void> written_bytes_are_read() {
    const File file = co_await create("shard-1.data");
    const Bytes data = pattern_bytes(3 * kMiB + 17, 1);
    co_await expect_write(file, 0, BytesChain(data));
    const Status synced = co_await file->sync();
    EXPECT_EQ(code_of(synced), ErrorCode::kOk);
    co_await expect_content(file, 0, data);
    co_await expect_content(file, 1000, data.slice(1000, kMiB));
    const Result<uint64_t> size = co_await file->size();
    DOGFS_CO_ASSERT(size.has_value());
    EXPECT_EQ(size.value(), data.size());
  }

  // Pieces of any length and alignment, at any offset, end up where they belong.
  Task<void> chains_of_any_alignment_are_written() {
    const File file = co_await create("ragged");
    const Bytes source = pattern_bytes(8 * kMiB, 7);
    std::string expected;
    for (uint64_t i = 0; i < 60; ++i) {
      BytesChain chain;
      const uint64_t offset = expected.size();
      for (uint64_t piece = 0; piece <= mix64(i) % 4; ++piece) {
        const uint64_t draw = mix64(i * 100 + piece);
        const bool aligned = draw % 2 == 0;
        const size_t from = aligned ? draw / 2 % 16 * kBufferAlignment : draw / 2 % 70'000;
        const size_t length = (draw / 3) % 3 == 0 ? kBufferAlignment * (1 + draw / 5 % 20) : 1 + draw / 7 % 90'000;
        chain.append(source.slice(from, length));
        expected += source.slice(from, length).view();
      }
      co_await expect_write(file, offset, std::move(chain));
    }
    co_await expect_content(file, 0, Bytes::copy_of(expected));
  }

  Task<void> more_pieces_than_one_system_call_takes() {
    const File file = co_await create("pieces");
    const Bytes source = pattern_bytes(300 * kBufferAlignment, 9);
    BytesChain chain;
    for (size_t i = 0; i < 300; ++i) chain.append(source.slice(i * kBufferAlignment, kBufferAlignment));
    co_await expect_write(file, 0, std::move(chain));
    co_await expect_content(file, 0, source);
  }

  Task<void> what_is_synced_is_read_without_the_cache() {
    const File file = co_await create("dropped");
    const Bytes data = pattern_bytes(kMiB, 4);
    co_await expect_write(file, 0, BytesChain(data));
    const Status synced = co_await file->sync();
    EXPECT_EQ(code_of(synced), ErrorCode::kOk);
    const Status dropped = co_await file->drop_cache();
    EXPECT_EQ(code_of(dropped), ErrorCode::kOk);
    co_await expect_content(file, 0, data);
  }

  static Task<void> end_write(File file, uint64_t offset, std::vector<ErrorCode>& ends) {
    const Status status = co_await file->write(offset, BytesChain(Bytes::zeros(kMiB)));
    ends.push_back(code_of(status));
  }

  Task<void> nobody_waits_for_a_store_that_was_given_up() {
    const File file = co_await create("given-up");
    TaskGroup group(harness.executor(), harness.clock());
    std::vector<ErrorCode> ends;
    for (uint64_t i = 0; i < 16; ++i) group.spawn(end_write(file, i * kMiB, ends));
    store().give_up();
    co_await group.join();
    EXPECT_EQ(ends.size(), 16U);
    for (const ErrorCode end : ends) EXPECT_TRUE(end == ErrorCode::kOk || end == ErrorCode::kIoError);
  }

  Task<void> writes_under_way_together_all_land() {
    const File file = co_await create("parallel");
    const Bytes data = pattern_bytes(4 * kMiB, 3);
    TaskGroup group(harness.executor(), harness.clock());
    constexpr size_t kPart = 256 * kKiB;
    for (size_t at = 0; at < data.size(); at += kPart) {
      group.spawn(expect_write(file, at, BytesChain(data.slice(at, kPart))));
    }
    co_await group.join();
    co_await expect_content(file, 0, data);
  }

  Task<void> read_beyond_the_end_is_corrupt() {
    const File file = co_await create("short");
    co_await expect_write(file, 0, BytesChain(Bytes::copy_of("12345")));
    const Result<Bytes> beyond = co_await file->read(3, 3);
    EXPECT_EQ(code_of(beyond), ErrorCode::kCorrupt);
    const Result<Bytes> far_beyond = co_await file->read(100, 1);
    EXPECT_EQ(code_of(far_beyond), ErrorCode::kCorrupt);
    co_await expect_content(file, 3, Bytes::copy_of("45"));
  }

  Task<void> names_are_taken_once() {
    co_await create("one");
    const auto again = co_await store().create("one");
    EXPECT_EQ(code_of(again), ErrorCode::kAlreadyExists);
  }

  Task<void> missing_files_are_not_found() {
    const auto opened = co_await store().open("none");
    EXPECT_EQ(code_of(opened), ErrorCode::kNotFound);
    const Status removed = co_await store().remove("none");
    EXPECT_EQ(code_of(removed), ErrorCode::kNotFound);
  }

  Task<void> bad_names_are_refused() {
    for (const std::string& name :
         {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("../x"),
          std::string("a\0b", 3), std::string("white space"), std::string(201, 'x'), std::string("\xc3\xa4")}) {
      const auto created = co_await store().create(name);
      EXPECT_EQ(code_of(created), ErrorCode::kInvalidArgument) << name;
      const auto opened = co_await store().open(name);
      EXPECT_EQ(code_of(opened), ErrorCode::kInvalidArgument) << name;
      const auto removed = co_await store().remove(name);
      EXPECT_EQ(code_of(removed), ErrorCode::kInvalidArgument) << name;
    }
    co_await create(std::string(200, 'x'));
  }

  Task<void> list_is_sorted_and_follows_changes() {
    for (const char* name : {"b", "a", "c.tmp"}) co_await create(name);
    const Status removed = co_await store().remove("b");
    EXPECT_EQ(code_of(removed), ErrorCode::kOk);
    const Status synced = co_await store().sync_directory();
    EXPECT_EQ(code_of(synced), ErrorCode::kOk);
    const auto names = co_await store().list();
    DOGFS_CO_ASSERT(names.has_value());
    EXPECT_EQ(names.value(), (std::vector<std::string>{"a", "c.tmp"}));
  }

  Task<void> removed_file_stays_readable_through_its_handle() {
    const File file = co_await create("held");
    co_await expect_write(file, 0, BytesChain(Bytes::copy_of("still here")));
    const Status removed = co_await store().remove("held");
    EXPECT_EQ(code_of(removed), ErrorCode::kOk);
    co_await expect_content(file, 0, Bytes::copy_of("still here"));
  }

  Task<void> space_is_told() {
    const auto space = co_await store().space();
    DOGFS_CO_ASSERT(space.has_value());
    EXPECT_GT(space.value().total_bytes, 0U);
    EXPECT_LE(space.value().free_bytes, space.value().total_bytes);
  }

  Task<void> leave_synced_file() {
    const File file = co_await create("kept");
    co_await expect_write(file, 0, BytesChain(pattern_bytes(100'000, 5)));
    const Status synced = co_await file->sync();
    EXPECT_EQ(code_of(synced), ErrorCode::kOk);
    const Status named = co_await store().sync_directory();
    EXPECT_EQ(code_of(named), ErrorCode::kOk);
  }

  Task<void> find_synced_file() {
    Result<File> file = co_await store().open("kept");
    DOGFS_CO_ASSERT(file.has_value());
    co_await expect_content(file.value(), 0, pattern_bytes(100'000, 5));
  }

  // As what a start finds without a record is (core/chunk/disk_recovery.h).
  Task<void> write_anew() {
    Result<File> file = co_await store().open("kept");
    DOGFS_CO_ASSERT(file.has_value());
    const Bytes data = pattern_bytes(100'000, 6);
    co_await expect_write(file.value(), 0, BytesChain(data));
    const Status synced = co_await file.value()->sync();
    EXPECT_EQ(code_of(synced), ErrorCode::kOk);
    co_await expect_content(file.value(), 0, data);
  }

  Task<void> find_all_that_is_read() {
    co_await find_synced_file();
    const auto file = co_await store().open("kept");
    DOGFS_CO_ASSERT(file.has_value());
    const Result<uint64_t> size = co_await file.value()->size();
    DOGFS_CO_ASSERT(size.has_value());
    EXPECT_EQ(size.value(), 100'000U);
    const auto names = co_await store().list();
    DOGFS_CO_ASSERT(names.has_value());
    EXPECT_EQ(names.value(), std::vector<std::string>{"kept"});
    const auto space = co_await store().space();
    DOGFS_CO_ASSERT(space.has_value());
    EXPECT_TRUE(space.value().read_only);
    const auto missing = co_await store().open("none");
    EXPECT_EQ(code_of(missing), ErrorCode::kNotFound);
  }

  Task<void> fail_to_change_anything() {
    const auto created = co_await store().create("new");
    EXPECT_EQ(code_of(created), ErrorCode::kIoError);
    const Status removed = co_await store().remove("kept");
    EXPECT_EQ(code_of(removed), ErrorCode::kIoError);
    const auto file = co_await store().open("kept");
    DOGFS_CO_ASSERT(file.has_value());
    const Status written = co_await file.value()->write(0, BytesChain(Bytes::copy_of("new")));
    EXPECT_EQ(code_of(written), ErrorCode::kIoError);
    co_await find_synced_file();
  }
};

TYPED_TEST_SUITE_P(ShardStoreConformance);

#define DOGFS_SHARD_STORE_TEST(Name, body)    \
  TYPED_TEST_P(ShardStoreConformance, Name) { \
    this->harness.run(this->body());          \
  }

DOGFS_SHARD_STORE_TEST(WrittenBytesAreRead, written_bytes_are_read)
DOGFS_SHARD_STORE_TEST(ChainsOfAnyAlignmentAreWritten, chains_of_any_alignment_are_written)
DOGFS_SHARD_STORE_TEST(MorePiecesThanOneSystemCallTakes, more_pieces_than_one_system_call_takes)
DOGFS_SHARD_STORE_TEST(WhatIsSyncedIsReadWithoutTheCache, what_is_synced_is_read_without_the_cache)
DOGFS_SHARD_STORE_TEST(NobodyWaitsForAStoreThatWasGivenUp, nobody_waits_for_a_store_that_was_given_up)
DOGFS_SHARD_STORE_TEST(WritesUnderWayTogetherAllLand, writes_under_way_together_all_land)
DOGFS_SHARD_STORE_TEST(ReadBeyondTheEndIsCorrupt, read_beyond_the_end_is_corrupt)
DOGFS_SHARD_STORE_TEST(NamesAreTakenOnce, names_are_taken_once)
DOGFS_SHARD_STORE_TEST(MissingFilesAreNotFound, missing_files_are_not_found)
DOGFS_SHARD_STORE_TEST(BadNamesAreRefused, bad_names_are_refused)
DOGFS_SHARD_STORE_TEST(ListIsSortedAndFollowsChanges, list_is_sorted_and_follows_changes)
DOGFS_SHARD_STORE_TEST(RemovedFileStaysReadableThroughItsHandle, removed_file_stays_readable_through_its_handle)
DOGFS_SHARD_STORE_TEST(SpaceIsTold, space_is_told)

#undef DOGFS_SHARD_STORE_TEST

TYPED_TEST_P(ShardStoreConformance, SyncedFileIsThereAfterReopening) {
  this->harness.run(this->leave_synced_file());
  this->world.reopen();
  this->harness.run(this->find_synced_file());
}

TYPED_TEST_P(ShardStoreConformance, WhatIsFoundAfterReopeningCanBeWrittenAnew) {
  this->harness.run(this->leave_synced_file());
  this->world.reopen();
  this->harness.run(this->write_anew());
}

TYPED_TEST_P(ShardStoreConformance, AReadOnlyDiskIsRead) {
  this->harness.run(this->leave_synced_file());
  if (!this->world.reopen_read_only()) GTEST_SKIP() << "this process may not mount anything";
  this->harness.run(this->find_all_that_is_read());
  this->harness.run(this->fail_to_change_anything());
}

REGISTER_TYPED_TEST_SUITE_P(ShardStoreConformance, WrittenBytesAreRead, ChainsOfAnyAlignmentAreWritten,
                            MorePiecesThanOneSystemCallTakes, WhatIsSyncedIsReadWithoutTheCache,
                            NobodyWaitsForAStoreThatWasGivenUp, WritesUnderWayTogetherAllLand,
                            ReadBeyondTheEndIsCorrupt, NamesAreTakenOnce, MissingFilesAreNotFound, BadNamesAreRefused,
                            ListIsSortedAndFollowsChanges, RemovedFileStaysReadableThroughItsHandle, SpaceIsTold,
                            SyncedFileIsThereAfterReopening, WhatIsFoundAfterReopeningCanBeWrittenAnew,
                            AReadOnlyDiskIsRead);

}  // namespace dogfs
