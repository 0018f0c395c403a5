// Files whose end lies in the metadata.
#include <gtest/gtest.h>

#include <string>

#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kCell = kSmallGeometry.cell_bytes;
constexpr uint64_t kBlock = kSmallGeometry.block_bytes;

class InlineTest : public ClientFixture {
 protected:
  InlineTest() { keep_tails_inline(); }

  std::unique_ptr<FileWriter> append(const std::string& path) {
    auto opened = world_.run(client_->append(path));
    EXPECT_TRUE(opened.has_value()) << opened.error().to_string();
    return std::move(opened).value();
  }
  Status put(FileWriter& writer, std::string_view data) { return world_.run(writer.write(Bytes::copy_of(data))); }
  int commits() { return cluster_.effects[wire::Mutation::kCommitBlock]; }
};

TEST_F(InlineTest, ASmallFileNeedsNoChunkServer) {
  for (uint64_t id = 1; id <= 7; ++id) cluster_.kill(id);
  const std::string data = pattern(kMaxInlineTailBytes);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().bytes, data.size());
  EXPECT_EQ(outcome.value().blocks, 0u);
  EXPECT_EQ(read("/f").value(), data);
  EXPECT_EQ(read("/f", 10, 5).value(), data.substr(10, 5));
  EXPECT_EQ(cluster_.effects[wire::Mutation::kAllocateBlock], 0);
  EXPECT_EQ(cluster_.effects[wire::Mutation::kCommitTail], 0) << "it comes with the close";
}

TEST_F(InlineTest, AFileThatIsALittleLargerIsABlock) {
  const std::string data = pattern(kMaxInlineTailBytes + 1);
  ASSERT_EQ(write("/f", data).value().blocks, 1u);
  EXPECT_EQ(cluster_.file("/f").tail, "");
  EXPECT_EQ(read("/f").value(), data);
}

TEST_F(InlineTest, TheEndOfALargeFileIsKeptInline) {
  const std::string data = pattern(2 * kBlock + 100);
  ASSERT_EQ(write("/f", data).value().blocks, 2u);
  EXPECT_EQ(cluster_.file("/f").tail.size(), 100u);
  EXPECT_EQ(read("/f").value(), data);
  EXPECT_EQ(read("/f", 2 * kBlock - 7, 20).value(), data.substr(2 * kBlock - 7, 20)) << "across its beginning";
}

TEST_F(InlineTest, WhatIsSyncedIsInTheFileAndTheNextBlockTakesItIn) {
  const std::string data = pattern(kCell + 5000);
  const std::unique_ptr<FileWriter> writer = create("/f");
  for (const size_t length : {10, 300, 4096}) {
    ASSERT_TRUE(
        put(*writer, std::string_view(data).substr(cluster_.file("/f").length, length - cluster_.file("/f").length))
            .has_value());
    ASSERT_TRUE(world_.run(writer->sync()).has_value());
    EXPECT_EQ(cluster_.file("/f").tail, data.substr(0, length));
  }
  ASSERT_TRUE(put(*writer, std::string_view(data).substr(4096)).has_value());
  EXPECT_EQ(read("/f").value(), data.substr(0, 4096)) << "until the block is committed";
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_EQ(cluster_.file("/f").tail, "");
  EXPECT_EQ(commits(), 1);
  EXPECT_TRUE(read("/f").value() == data);
}

TEST_F(InlineTest, ASyncWithNothingNewCostsNothing) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(put(*writer, "abc").has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  EXPECT_EQ(cluster_.effects[wire::Mutation::kCommitTail], 1);
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_EQ(read("/f").value(), "abc");
}

TEST_F(InlineTest, AnAppendGoesOnFromTheTail) {
  const std::string data = pattern(kBlock + 300);
  ASSERT_TRUE(write("/f", data.substr(0, 100)).has_value());
  for (const auto& [from, to] : {std::pair<size_t, size_t>{100, 200}, {200, 200}, {200, kBlock + 300}}) {
    const std::unique_ptr<FileWriter> writer = append("/f");
    ASSERT_TRUE(put(*writer, std::string_view(data).substr(from, to - from)).has_value());
    const Result<WriteOutcome> outcome = world_.run(writer->close());
    ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
    EXPECT_EQ(outcome.value().bytes, to - from) << "what this writer wrote";
    EXPECT_TRUE(read("/f").value() == data.substr(0, to));
  }
  EXPECT_EQ(commits(), 1) << "one block, which begins with the tail";
  EXPECT_EQ(cluster_.file("/f").tail.size(), 300u);
}

TEST_F(InlineTest, AWriterThatFailsKeepsTheTailThatWasSynced) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(put(*writer, "synced").has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  ASSERT_TRUE(put(*writer, pattern(2 * kCell)).has_value());
  world_.run(writer->abort());
  EXPECT_EQ(read("/f").value(), "synced");
  EXPECT_TRUE(cluster_.file("/f").closed);
}

TEST_F(InlineTest, ASyncOfAWriterThatLostItsLeaseFails) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(put(*writer, "x").has_value());
  cluster_.file("/f").lease_epoch = 2;
  EXPECT_EQ(code_of(world_.run(writer->sync())), ErrorCode::kLeaseLost);
  EXPECT_EQ(cluster_.file("/f").length, 0u);
}

TEST_F(InlineTest, AClientThatKeepsNothingInlineTakesATailIntoABlock) {
  ASSERT_TRUE(write("/f", "tail").has_value());
  restart_client(cluster_.client_options());
  ASSERT_TRUE(world_.run(append("/f")->close()).has_value());
  EXPECT_EQ(cluster_.file("/f").tail, "tail") << "nothing was written";
  const std::unique_ptr<FileWriter> writer = append("/f");
  ASSERT_TRUE(put(*writer, " and more").has_value());
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_EQ(cluster_.file("/f").blocks.size(), 1u);
  EXPECT_EQ(read("/f").value(), "tail and more");
}

TEST_F(InlineTest, AReaderOfAnOlderTailReadsTheBlockThatTookItsPlace) {
  ASSERT_TRUE(write("/f", pattern(kBlock + 10)).has_value());
  const std::unique_ptr<FileReader> reader = std::move(world_.run(client_->open("/f"))).value();
  const std::unique_ptr<FileWriter> writer = append("/f");
  ASSERT_TRUE(put(*writer, pattern(2 * kCell)).has_value());
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_TRUE(read(*reader, 0, kBlock + 10).value() == pattern(kBlock + 10));
}

}  // namespace
}  // namespace dogfs::test
