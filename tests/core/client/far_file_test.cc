// What lies more than 4 GiB into a file: a file with blocks at 1 GiB and at 5 GiB, which is the same place for whoever
// counts in 32 bits.
#include <gtest/gtest.h>

#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kCell = kSmallGeometry.cell_bytes;
constexpr uint64_t kStripe = 3 * kCell;
constexpr uint64_t kBlock = kSmallGeometry.block_bytes;
constexpr uint64_t kNear = 1 * kGiB;
constexpr uint64_t kFar = kNear + 4 * kGiB;
constexpr size_t kBlocks = 3;  // at each place: a page of locations
constexpr uint64_t kEnd = kFar + kBlocks * kBlock;

class FarFileTest : public ClientFixture {
 protected:
  FarFileTest() { keep_tails_inline(); }
  void SetUp() override {
    data_ = pattern(2 * kBlocks * kBlock);
    const Result<WriteOutcome> outcome = write("/f", data_);
    ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
    for (size_t i = 0; i < 2 * kBlocks; ++i) {
      file().blocks.at(i).offset = (i < kBlocks ? kNear : kFar) + i % kBlocks * kBlock;
    }
    file().length = kEnd;
  }

  FakeFile& file() { return cluster_.file("/f"); }
  std::string bytes_of(FileRange range) const {
    const uint64_t at = range.offset < kFar ? range.offset - kNear : range.offset - kFar + kBlocks * kBlock;
    return data_.substr(at, range.length);
  }
  std::unique_ptr<FileReader> open() {
    auto opened = world_.run(client_->open("/f"));
    EXPECT_TRUE(opened.has_value());
    return std::move(opened).value();
  }
  void expect_bytes(FileReader& reader, FileRange range) {
    const Result<std::string> got = read(reader, range.offset, range.length);
    ASSERT_TRUE(got.has_value()) << range.offset << ": " << got.error().to_string();
    EXPECT_TRUE(got.value() == bytes_of(range)) << range.offset;
  }
  void put(FileWriter& writer, const std::string& data) {
    data_ += data;
    const Status written = world_.run(writer.write(Bytes::copy_of(data)));
    ASSERT_TRUE(written.has_value()) << written.error().to_string();
  }
  void sync(FileWriter& writer) {
    const Status synced = world_.run(writer.sync());
    ASSERT_TRUE(synced.has_value()) << synced.error().to_string();
    EXPECT_EQ(file().length, kFar + data_.size() - kBlocks * kBlock);
  }

  std::string data_;  // near, far
};

// HDFS-16272: stripe numbers and offsets went through 32-bit integers.
TEST_F(FarFileTest, Hdfs16272BytesBeyondFourGibibytesAreThoseOfTheirOffset) {
  const std::unique_ptr<FileReader> reader = open();
  EXPECT_EQ(reader->size(), kEnd);
  for (const uint64_t at : {uint64_t{0}, kCell - 5, kStripe + 1, kBlock - 7, kBlocks * kBlock - 20}) {
    expect_bytes(*reader, {.offset = kFar + at, .length = 20});
    expect_bytes(*reader, {.offset = kNear + at, .length = 20});
  }
  expect_bytes(*reader, {.offset = kFar + 1, .length = kBlocks * kBlock});
  EXPECT_EQ(read(*reader, kEnd, 10).value(), "");
}

TEST_F(FarFileTest, Hdfs16272SeveralRangesAtOnceAreThoseOfTheirOffsets) {
  const std::vector<FileRange> ranges{{.offset = kFar + kBlock - 100, .length = kBlock},
                                      {.offset = kNear + kCell, .length = 2 * kCell},
                                      {.offset = kFar + 3, .length = 3},
                                      {.offset = kEnd - 10, .length = 100}};
  const auto got = world_.run(open()->read_ranges(ranges));
  ASSERT_TRUE(got.has_value()) << got.error().to_string();
  for (size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_TRUE(got.value()[i].flatten().view() == bytes_of(ranges[i])) << i;
  }
}

TEST_F(FarFileTest, Hdfs16272SequentialReadsRunAheadThereToo) {
  int requests = 0;
  world_.transport.fate = [&](const Address&, const Request& request) {
    if (request.type == MessageType::kReadShard) ++requests;
    return Fate::kDeliver;
  };
  const std::unique_ptr<FileReader> reader = open();
  for (uint64_t at = kFar; at < kEnd; at += 10'000) expect_bytes(*reader, {.offset = at, .length = 10'000});
  EXPECT_LT(requests, 30) << "a positional read asks at least once each time, and these are 236";
}

TEST_F(FarFileTest, Hdfs16272StaleLocationsAreFetchedAgainThereToo) {
  const std::unique_ptr<FileReader> reader = open();
  expect_bytes(*reader, {.offset = kFar + kBlock, .length = 10});
  for (size_t position = 0; position < 5; ++position) cluster_.move_shard(file().blocks.at(kBlocks + 1), position);
  expect_bytes(*reader, {.offset = kFar + kBlock, .length = kBlock});
}

TEST_F(FarFileTest, Hdfs16272WhatIsAppendedThereIsFoundThere) {
  auto opened = world_.run(client_->append("/f"));
  ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
  const std::unique_ptr<FileWriter> writer = std::move(opened).value();
  put(*writer, pattern(kBlock + kCell + 777, 2));
  sync(*writer);
  EXPECT_EQ(file().blocks.at(2 * kBlocks).offset, kEnd);
  put(*writer, pattern(100, 3));
  sync(*writer);
  EXPECT_EQ(file().tail.size(), 100u);
  put(*writer, pattern(200, 4));
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().bytes, kBlock + kCell + 777 + 300);
  EXPECT_EQ(file().tail.size(), 300u);
  const std::unique_ptr<FileReader> reader = open();
  expect_bytes(*reader, {.offset = kEnd - 50, .length = 2 * kBlock});
  expect_bytes(*reader, {.offset = kEnd + kBlock + kCell + 777 + 50, .length = 250});
}

TEST_F(FarFileTest, Hdfs16272AWriterThatIsGivenUpThereKeepsWhatWasSynced) {
  auto opened = world_.run(client_->append("/f"));
  ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
  put(*opened.value(), pattern(100, 3));
  sync(*opened.value());
  world_.run(opened.value()->abort());
  EXPECT_TRUE(file().closed);
  EXPECT_EQ(file().length, kEnd + 100);
}

TEST_F(FarFileTest, Hdfs16272AFileIsCutThereAtTheByte) {
  const Status cut = world_.run(client_->truncate("/f", kFar + kBlock + 5));
  ASSERT_TRUE(cut.has_value()) << cut.error().to_string();
  EXPECT_EQ(file().length, kFar + kBlock + 5);
  EXPECT_TRUE(file().closed);
  EXPECT_EQ(open()->size(), kFar + kBlock + 5);
}

}  // namespace
}  // namespace dogfs::test
