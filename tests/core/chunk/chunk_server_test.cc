#include "core/chunk/chunk_server.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/chunk/shard_format.h"
#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

using KeptReply = std::shared_ptr<std::optional<Result<Reply>>>;

Task<void> keep(Task<Result<Reply>> task, KeptReply out) {
  out->emplace(co_await std::move(task));
}

constexpr size_t kPiece = kChecksumPieceBytes;

class ChunkServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(w_.started && w_.started->has_value());
    ASSERT_TRUE(w_.wait_registered());
  }

  ChunkWorld w_;
  const ShardKey key_ = ChunkWorld::key(18, 3, 7);
  const std::string data_ = ChunkWorld::data(1, 5 * kPiece + 777);
};

TEST_F(ChunkServerTest, ASealedShardReadsBackAtEveryRange) {
  ASSERT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  for (const size_t begin : {size_t{0}, size_t{1}, kPiece - 1, kPiece, kPiece + 1, data_.size() - 1}) {
    for (const size_t end : {size_t{1}, kPiece, kPiece + 1, 3 * kPiece, data_.size() - 1, data_.size()}) {
      if (begin >= end) continue;
      const Result<std::string> read = w_.read(key_, begin, end - begin);
      ASSERT_TRUE(read.has_value()) << read.error().to_string();
      EXPECT_EQ(read.value(), data_.substr(begin, end - begin));
    }
  }
}

TEST_F(ChunkServerTest, ShardsOfAllSizesKeepToTheFormat) {
  uint64_t block = 1;
  for (const size_t size : {size_t{1}, size_t{4095}, size_t{4096}, size_t{4097}, kPiece - 1, kPiece, kPiece + 1,
                            4 * kPiece, 4 * kPiece + 4096, 9 * kPiece + 1}) {
    const ShardKey key = ChunkWorld::key(block++);
    const std::string data = ChunkWorld::data(size, size);
    ASSERT_EQ(w_.write(key, data, 3 * kPiece), ErrorCode::kOk) << size;
    const std::string file(w_.node.shard_disk("disk0")->open(shard_file_name(key)).value()->durable.view());
    ASSERT_EQ(file.size(), shard_file_bytes(size));
    const auto bytes = std::as_bytes(std::span(file));
    EXPECT_EQ(decode_shard_header(bytes.first(kShardHeaderBytes)).value().key, key);
    EXPECT_EQ(file.substr(kShardHeaderBytes, size), data);
    const ShardFooter footer = decode_shard_footer(bytes.subspan(shard_footer_offset(size))).value();
    EXPECT_EQ(footer.crc, crc32c(data));
    EXPECT_EQ(footer.length, size);
  }
}

TEST_F(ChunkServerTest, ASmallShardIsOneWrite) {
  w_.faults[0].seen.clear();
  ASSERT_EQ(w_.write(key_, "small"), ErrorCode::kOk);
  EXPECT_EQ(std::count(w_.faults[0].seen.begin(), w_.faults[0].seen.end(), "write"), 1);
}

TEST_F(ChunkServerTest, AnEmptyShardCanBeSealedAndHasNothingToRead) {
  EXPECT_EQ(w_.write(key_, ""), ErrorCode::kOk);
  EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kInvalidArgument);
}

TEST_F(ChunkServerTest, RetriedRequestsSucceedOnceMore) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  EXPECT_EQ(w_.open(key_), ErrorCode::kOk);
  ASSERT_EQ(w_.append(key_, 0, data_.substr(0, 2 * kPiece)), ErrorCode::kOk);
  EXPECT_EQ(w_.append(key_, 0, data_.substr(0, 2 * kPiece)), ErrorCode::kOk);
  ASSERT_EQ(w_.append(key_, 2 * kPiece, data_.substr(2 * kPiece)), ErrorCode::kOk);
  EXPECT_EQ(w_.append(key_, 2 * kPiece, data_.substr(2 * kPiece)), ErrorCode::kOk);
  EXPECT_EQ(w_.append(key_, 0, data_.substr(0, 2 * kPiece)), ErrorCode::kOk);
  ASSERT_EQ(w_.seal(key_, data_), ErrorCode::kOk);
  EXPECT_EQ(w_.seal(key_, data_), ErrorCode::kOk);
  EXPECT_EQ(w_.read(key_, 0, data_.size()).value(), data_);
}

TEST_F(ChunkServerTest, AppendsThatOvertakeEachOtherAreTakenInOrder) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  std::vector<KeptReply> replies;
  for (const size_t offset : {4 * kPiece, 2 * kPiece, 3 * kPiece, size_t{0}, kPiece}) {
    const std::string part = data_.substr(offset, offset == 4 * kPiece ? std::string::npos : kPiece);
    Request request = make_request(MessageType::kAppendShard, GroupId(0),
                                   ChunkWorld::append_request(key_, offset, part), BytesChain(Bytes::copy_of(part)));
    replies.push_back(std::make_shared<KeptReply::element_type>());
    Transport& transport = w_.client.env().transport;
    const MonoTime deadline = w_.client.env().clock.now() + seconds(30);
    w_.world.spawn(w_.client, keep(transport.call(w_.node.address(), std::move(request), deadline), replies.back()));
    w_.world.run_for(milliseconds(50));
  }
  for (const auto& reply : replies) {
    ASSERT_TRUE(reply->has_value());
    EXPECT_EQ((*reply)->value().error.code, ErrorCode::kOk);
  }
  EXPECT_EQ(w_.seal(key_, data_), ErrorCode::kOk);
  EXPECT_EQ(w_.read(key_, 0, data_.size()).value(), data_);
}

TEST_F(ChunkServerTest, AnAppendWhosePredecessorNeverComesIsAConflict) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  const auto message = ChunkWorld::append_request(key_, kPiece, "later");
  // The server's deadline comes before the client's own.
  Request request = make_request(MessageType::kAppendShard, GroupId(0), message, BytesChain(Bytes::copy_of("later")));
  auto task = w_.server->handle(std::move(request), w_.node.env().clock.now() + seconds(2));
  const std::optional<Reply> reply = w_.world.run(w_.node, std::move(task), kPatience);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->error.code, ErrorCode::kConflict);
}

TEST_F(ChunkServerTest, OtherBytesInPlaceOfARetryAreAConflict) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  ASSERT_EQ(w_.append(key_, 0, data_.substr(0, kPiece)), ErrorCode::kOk);
  EXPECT_EQ(w_.append(key_, 0, data_.substr(kPiece, kPiece)), ErrorCode::kConflict);
}

TEST_F(ChunkServerTest, BytesThatDoNotMatchTheirChecksumAreRefusedAndNotWritten) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  w_.faults[0].seen.clear();
  std::string damaged = data_.substr(0, 2 * kPiece);
  const auto message = ChunkWorld::append_request(key_, 0, damaged);
  damaged[kPiece + 5] ^= 0x10;
  EXPECT_EQ(w_.code(MessageType::kAppendShard, message, BytesChain(Bytes::copy_of(damaged))),
            ErrorCode::kChecksumMismatch);
  EXPECT_TRUE(w_.faults[0].seen.empty());
  // The sender may try again.
  EXPECT_EQ(w_.append(key_, 0, data_.substr(0, 2 * kPiece)), ErrorCode::kOk);
}

TEST_F(ChunkServerTest, ASealOfAnythingElseThanWasReceivedIsRefused) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  ASSERT_EQ(w_.append(key_, 0, data_), ErrorCode::kOk);
  EXPECT_EQ(w_.seal(key_, data_.substr(0, kPiece)), ErrorCode::kConflict);
  std::string other = data_;
  other[0] ^= 1;
  EXPECT_EQ(w_.seal(key_, other), ErrorCode::kChecksumMismatch);
  EXPECT_EQ(w_.seal(key_, data_), ErrorCode::kOk);
  EXPECT_EQ(w_.seal(key_, data_.substr(0, kPiece)), ErrorCode::kConflict);
  EXPECT_EQ(w_.seal(key_, other), ErrorCode::kChecksumMismatch);
  EXPECT_EQ(w_.append(key_, 0, data_), ErrorCode::kConflict);
  EXPECT_EQ(w_.open(key_), ErrorCode::kAlreadyExists);
  EXPECT_EQ(w_.abort(key_), ErrorCode::kConflict);
}

TEST_F(ChunkServerTest, ReadsNameTheirShardExactly) {
  ASSERT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  EXPECT_EQ(code_of(w_.read(ChunkWorld::key(18, 3, 8), 0, 1)), ErrorCode::kWrongGeneration);
  EXPECT_EQ(code_of(w_.read(ChunkWorld::key(18, 4, 7), 0, 1)), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(w_.read(ChunkWorld::key(19, 3, 7), 0, 1)), ErrorCode::kNotFound);
  const ShardKey open = ChunkWorld::key(20);
  ASSERT_EQ(w_.open(open), ErrorCode::kOk);
  EXPECT_EQ(code_of(w_.read(open, 0, 1)), ErrorCode::kNotSealed);
}

TEST_F(ChunkServerTest, ReadsBeyondTheShardOrTheTransferLimitAreRefused) {
  const std::string big = ChunkWorld::data(9, kMaxTransferBytes + 2 * kPiece);
  ASSERT_EQ(w_.write(key_, big, kMaxTransferBytes), ErrorCode::kOk);
  EXPECT_EQ(code_of(w_.read(key_, 0, 0)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(w_.read(key_, big.size(), 1)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(w_.read(key_, 1, ~0ULL)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(w_.read(key_, 0, big.size())), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(w_.read(key_, 1, kMaxTransferBytes)), ErrorCode::kInvalidArgument) << "its pieces are one too many";
  EXPECT_EQ(w_.read(key_, kPiece, kMaxTransferBytes).value(), big.substr(kPiece, kMaxTransferBytes));
}

TEST_F(ChunkServerTest, MessagesMeantForOthersAreRefused) {
  wire::OpenShardRequest message = w_.open_request(key_);
  message.set_server(w_.server->id().value() + 1);
  EXPECT_EQ(w_.code(MessageType::kOpenShard, message), ErrorCode::kStaleLocation);
  message = w_.open_request(key_);
  message.set_cluster_uuid("another-cluster!");
  EXPECT_EQ(w_.code(MessageType::kOpenShard, message), ErrorCode::kWrongCluster);
  EXPECT_EQ(w_.code(MessageType::kStat, wire::StatRequest()), ErrorCode::kUnsupported);
}

TEST_F(ChunkServerTest, MalformedRequestsAreRefused) {
  wire::OpenShardRequest message = w_.open_request(key_);
  message.mutable_key()->set_index(9);
  EXPECT_EQ(w_.code(MessageType::kOpenShard, message), ErrorCode::kInvalidArgument);
  message = w_.open_request(ChunkWorld::key(0));
  EXPECT_EQ(w_.code(MessageType::kOpenShard, message), ErrorCode::kInvalidArgument);
  message = w_.open_request(key_);
  message.mutable_policy()->set_cell_bytes(~0ULL);
  EXPECT_EQ(w_.code(MessageType::kOpenShard, message), ErrorCode::kInvalidArgument);
  message = w_.open_request(key_);
  message.clear_policy();
  EXPECT_EQ(w_.code(MessageType::kOpenShard, message), ErrorCode::kInvalidArgument);
  for (const MessageType type : {MessageType::kOpenShard, MessageType::kAppendShard, MessageType::kSealShard,
                                 MessageType::kReadShard, MessageType::kAbortShard}) {
    Request garbage{.type = type, .group = {}, .principal = {}, .body = "\xff\xff\xff garbage", .payload = {}};
    const auto reply = w_.world.run(w_.node, w_.server->handle(std::move(garbage), kNever), kPatience);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->error.code, ErrorCode::kProtocolError);
  }
  EXPECT_TRUE(w_.files().empty());
}

TEST_F(ChunkServerTest, AppendsAndSealsOfWhatIsNotOpenAreRefused) {
  EXPECT_EQ(w_.append(key_, 0, "x"), ErrorCode::kNotFound);
  EXPECT_EQ(w_.seal(key_, "x"), ErrorCode::kNotFound);
  EXPECT_EQ(w_.abort(key_), ErrorCode::kOk) << "there is nothing to give up";
  ASSERT_EQ(w_.write(key_, "x"), ErrorCode::kOk);
  EXPECT_EQ(w_.append(ChunkWorld::key(18, 3, 8), 0, "x"), ErrorCode::kWrongGeneration);
}

TEST_F(ChunkServerTest, MoreThanAShardCanHaveIsRefused) {
  wire::OpenShardRequest message = w_.open_request(key_);
  *message.mutable_policy() = geometry_to_wire(
      Geometry{.data_shards = 3, .parity_shards = 2, .cell_bytes = 64 * kKiB, .block_bytes = 3 * 64 * kKiB});
  ASSERT_EQ(w_.code(MessageType::kOpenShard, message), ErrorCode::kOk);
  EXPECT_EQ(w_.append(key_, 0, data_.substr(0, kPiece + 1)), ErrorCode::kLimitExceeded);
  EXPECT_EQ(w_.append(key_, 0, data_.substr(0, kPiece)), ErrorCode::kOk);
}

TEST_F(ChunkServerTest, OpeningAnewForgetsWhatWasReceived) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  ASSERT_EQ(w_.append(key_, 0, data_.substr(0, kPiece)), ErrorCode::kOk);
  EXPECT_EQ(w_.write(key_, "anew"), ErrorCode::kOk);
  EXPECT_EQ(w_.read(key_, 0, 4).value(), "anew");
  wire::OpenShardRequest other = w_.open_request(ChunkWorld::key(30));
  ASSERT_EQ(w_.code(MessageType::kOpenShard, other), ErrorCode::kOk);
  other.mutable_policy()->set_parity_shards(2);
  EXPECT_EQ(w_.code(MessageType::kOpenShard, other), ErrorCode::kConflict);
}

TEST_F(ChunkServerTest, AnAbortedShardLeavesNoFile) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  ASSERT_EQ(w_.append(key_, 0, data_), ErrorCode::kOk);
  EXPECT_EQ(w_.abort(key_), ErrorCode::kOk);
  EXPECT_TRUE(w_.files().empty());
  EXPECT_EQ(w_.append(key_, 0, data_), ErrorCode::kNotFound);
}

TEST_F(ChunkServerTest, AnIdleWriterIsGivenUp) {
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  ASSERT_EQ(w_.append(key_, 0, data_), ErrorCode::kOk);
  ASSERT_EQ(w_.write(ChunkWorld::key(40), data_), ErrorCode::kOk);
  w_.world.run_for(std::chrono::minutes(9));
  EXPECT_EQ(w_.files().size(), 2U);
  w_.world.run_for(std::chrono::minutes(2));
  EXPECT_EQ(w_.files(), std::vector<std::string>{shard_file_name(ChunkWorld::key(40))});
  EXPECT_EQ(w_.append(key_, 0, data_), ErrorCode::kNotFound);
}

TEST_F(ChunkServerTest, AFlippedBitAtRestIsSeenByTheReader) {
  ASSERT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  const auto file = w_.node.shard_disk("disk0")->open(shard_file_name(key_)).value();
  file->seen.flip(kShardHeaderBytes + 3 * kPiece + 17, 0x04);
  EXPECT_EQ(code_of(w_.read(key_, 3 * kPiece, 100)), ErrorCode::kChecksumMismatch);
  EXPECT_EQ(w_.read(key_, 0, 3 * kPiece).value(), data_.substr(0, 3 * kPiece));
}

TEST_F(ChunkServerTest, ADamagedFooterOrATruncatedFileIsCorrupt) {
  ASSERT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  const auto file = w_.node.shard_disk("disk0")->open(shard_file_name(key_)).value();
  file->seen.flip(shard_footer_offset(data_.size()) + 1, 0x04);
  EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kCorrupt);
  file->seen.resize(file->seen.size() - 4096);
  EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kCorrupt);
}

TEST_F(ChunkServerTest, AFooterThatIsMisreadIsReadFromTheDisk) {
  ASSERT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  ASSERT_EQ(w_.write(ChunkWorld::key(19, 3, 7), data_), ErrorCode::kOk);
  w_.node.shard_disk("disk0")->begin_trouble({.misdirected_reads_per_million = 1'000'000});
  EXPECT_EQ(w_.read(key_, 0, kPiece).value(), data_.substr(0, kPiece));
  EXPECT_GT(w_.node.shard_disk("disk0")->harms().of(sim::Harm::kMisdirectedRead), 0u);
}

TEST_F(ChunkServerTest, TheFileOfAnotherShardInItsPlaceIsCorrupt) {
  const ShardKey other = ChunkWorld::key(19, 3, 7);
  ASSERT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  ASSERT_EQ(w_.write(other, data_), ErrorCode::kOk);
  sim::ShardDisk& disk = *w_.node.shard_disk("disk0");
  disk.open(shard_file_name(key_)).value()->seen = disk.open(shard_file_name(other)).value()->seen;
  EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kCorrupt);
}

TEST_F(ChunkServerTest, AReadErrorIsReportedAndTheDiskStaysInUse) {
  ASSERT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  w_.faults[0].decide = [](const std::string& operation) {
    return operation == "read" ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
  };
  EXPECT_EQ(code_of(w_.read(key_, 0, 1)), ErrorCode::kIoError);
  EXPECT_EQ(w_.write(ChunkWorld::key(50), data_), ErrorCode::kOk);
  EXPECT_TRUE(w_.node.up());
}

TEST_F(ChunkServerTest, AFullDiskIsNoSpaceAndRecovers) {
  sim::ShardDisk& disk = *w_.node.shard_disk("disk0");
  ASSERT_EQ(w_.open(key_), ErrorCode::kOk);
  disk.set_capacity(100'000);
  EXPECT_EQ(w_.append(key_, 0, data_), ErrorCode::kOk) << "writes are answered before they end";
  EXPECT_EQ(w_.seal(key_, data_), ErrorCode::kNoSpace);
  EXPECT_TRUE(w_.files().empty()) << "what was written is given back";
  w_.world.run_for(seconds(3));
  EXPECT_EQ(w_.open(key_), ErrorCode::kNoSpace);
  disk.set_capacity(1ULL << 40);
  w_.world.run_for(seconds(3));
  EXPECT_EQ(w_.write(key_, data_), ErrorCode::kOk);
  EXPECT_TRUE(w_.node.up());
}

TEST(ChunkServerLimits, TooManyOpenShardsAreBusy) {
  ChunkOptions options;
  options.max_open_writers = 2;
  ChunkWorld w(1, 1, options);
  ASSERT_TRUE(w.wait_registered());
  EXPECT_EQ(w.open(ChunkWorld::key(1)), ErrorCode::kOk);
  EXPECT_EQ(w.open(ChunkWorld::key(2)), ErrorCode::kOk);
  EXPECT_EQ(w.open(ChunkWorld::key(3)), ErrorCode::kBusy);
  EXPECT_EQ(w.open(ChunkWorld::key(2)), ErrorCode::kOk) << "a retry is not one more";
  EXPECT_EQ(w.abort(ChunkWorld::key(1)), ErrorCode::kOk);
  EXPECT_EQ(w.open(ChunkWorld::key(3)), ErrorCode::kOk);
}

TEST(ChunkServerLimits, TooManyBytesUnderWayAreBusyAndAreGivenBack) {
  ChunkOptions options;
  options.max_write_bytes = 1 * kMiB;
  options.max_read_bytes = 100 * kKiB;
  ChunkWorld w(1, 1, options);
  ASSERT_TRUE(w.wait_registered());
  const std::string data = ChunkWorld::data(1, 512 * kKiB);
  ASSERT_EQ(w.write(ChunkWorld::key(1), data), ErrorCode::kOk);
  EXPECT_EQ(code_of(w.read(ChunkWorld::key(1), 0, 128 * kKiB)), ErrorCode::kBusy);
  EXPECT_EQ(w.read(ChunkWorld::key(1), 0, 64 * kKiB).value(), data.substr(0, 64 * kKiB));

  w.faults[0].decide = [](const std::string& operation) {
    return operation == "write" ? DiskFaults::Fate::kHang : DiskFaults::Fate::kProceed;
  };
  ASSERT_EQ(w.open(ChunkWorld::key(2)), ErrorCode::kOk);
  EXPECT_EQ(w.append(ChunkWorld::key(2), 0, data), ErrorCode::kOk);
  EXPECT_EQ(w.append(ChunkWorld::key(2), data.size(), data), ErrorCode::kBusy);
}

// Those ahead hold their bytes until those before them have come.
TEST(ChunkServerLimits, AppendsAheadLeaveRoomForThoseThatTheyWaitFor) {
  ChunkOptions options;
  options.max_write_bytes = 1 * kMiB;
  ChunkWorld w(1, 1, options);
  ASSERT_TRUE(w.wait_registered());
  const std::string part = ChunkWorld::data(1, 384 * kKiB);
  std::vector<KeptReply> replies;
  for (uint64_t block = 1; block <= 3; ++block) {
    ASSERT_EQ(w.open(ChunkWorld::key(block)), ErrorCode::kOk);
    Request request = make_request(MessageType::kAppendShard, GroupId(0),
                                   ChunkWorld::append_request(ChunkWorld::key(block), part.size(), part),
                                   BytesChain(Bytes::copy_of(part)));
    replies.push_back(std::make_shared<KeptReply::element_type>());
    Env& env = w.client.env();
    w.world.spawn(w.client, keep(env.transport.call(w.node.address(), std::move(request), env.clock.now() + seconds(5)),
                                 replies.back()));
    w.world.run_for(milliseconds(100));
  }
  EXPECT_FALSE(replies[0]->has_value()) << "waits for what is before it";
  ASSERT_TRUE(replies[1]->has_value());
  EXPECT_EQ((*replies[1])->value().error.code, ErrorCode::kBusy);
  EXPECT_EQ(w.append(ChunkWorld::key(1), 0, part), ErrorCode::kOk);
  w.world.run_for(milliseconds(100));
  ASSERT_TRUE(replies[0]->has_value());
  EXPECT_EQ((*replies[0])->value().error.code, ErrorCode::kOk);
}

TEST(ChunkServerLimits, AWriterIsHeldBackWhileItsDiskIsBehind) {
  ChunkWorld w;
  ASSERT_TRUE(w.wait_registered());
  w.faults[0].decide = [](const std::string& operation) {
    return operation == "write" ? DiskFaults::Fate::kHang : DiskFaults::Fate::kProceed;
  };
  const std::string part = ChunkWorld::data(1, 4 * kMiB);
  ASSERT_EQ(w.open(ChunkWorld::key(1)), ErrorCode::kOk);
  EXPECT_EQ(w.append(ChunkWorld::key(1), 0, part), ErrorCode::kOk);
  EXPECT_EQ(w.append(ChunkWorld::key(1), part.size(), part), ErrorCode::kTimeout);
}

class ChunkServerDisks : public ::testing::Test {
 protected:
  void fail(size_t disk, const std::string& operation) {
    w_.faults[disk].decide = [operation](const std::string& name) {
      return name == operation ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
    };
  }

  ChunkWorld w_{1, 2};
  const std::string data_ = ChunkWorld::data(1, 300'000);
};

TEST_F(ChunkServerDisks, ShardsGoWhereThereIsMoreRoom) {
  ASSERT_TRUE(w_.wait_registered());
  for (uint64_t block = 1; block <= 10; ++block) {
    ASSERT_EQ(w_.write(ChunkWorld::key(block), data_), ErrorCode::kOk);
    w_.world.run_for(seconds(2));
  }
  EXPECT_EQ(w_.files(0).size(), 5U);
  EXPECT_EQ(w_.files(1).size(), 5U);
}

TEST_F(ChunkServerDisks, ManyOpenShardsDoNotCountOnTheSameRoom) {
  ASSERT_TRUE(w_.wait_registered());
  for (uint64_t block = 1; block <= 10; ++block) ASSERT_EQ(w_.open(ChunkWorld::key(block)), ErrorCode::kOk);
  EXPECT_EQ(w_.files(0).size(), 5U);
}

TEST_F(ChunkServerDisks, ADiskThatFailsASyncTakesNoMoreShards) {
  ASSERT_TRUE(w_.wait_registered());
  for (const std::string& operation : std::vector<std::string>{"sync", "sync_directory", "record", "write", "create"}) {
    ChunkWorld w(1, 2);
    ASSERT_TRUE(w.wait_registered());
    w.faults[0].decide = [operation](const std::string& name) {
      return name == operation ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
    };
    EXPECT_EQ(w.write(ChunkWorld::key(1), data_), ErrorCode::kIoError) << operation;
    w.faults[0].decide = [](const std::string&) { return DiskFaults::Fate::kProceed; };
    EXPECT_TRUE(w.node.up());
    for (uint64_t block = 2; block <= 6; ++block) {
      ASSERT_EQ(w.write(ChunkWorld::key(block), data_), ErrorCode::kOk) << operation;
    }
    EXPECT_EQ(w.files(1).size(), 5U) << operation;
  }
}

TEST_F(ChunkServerDisks, AFailedSyncIsNeverTriedAgain) {
  ASSERT_TRUE(w_.wait_registered());
  fail(0, "sync");
  ASSERT_EQ(w_.open(ChunkWorld::key(1)), ErrorCode::kOk);
  ASSERT_EQ(w_.append(ChunkWorld::key(1), 0, data_), ErrorCode::kOk);
  EXPECT_EQ(w_.seal(ChunkWorld::key(1), data_), ErrorCode::kIoError);
  EXPECT_EQ(w_.seal(ChunkWorld::key(1), data_), ErrorCode::kNotFound);
  EXPECT_EQ(std::count(w_.faults[0].seen.begin(), w_.faults[0].seen.end(), "sync"), 1);
}

TEST_F(ChunkServerDisks, WhatABadDiskHasIsStillServed) {
  ASSERT_TRUE(w_.wait_registered());
  ASSERT_EQ(w_.write(ChunkWorld::key(1), data_), ErrorCode::kOk);
  ASSERT_EQ(w_.files(0).size(), 1U);
  w_.world.run_for(seconds(2));
  w_.node.shard_disk("disk1")->set_capacity(1000);
  w_.world.run_for(seconds(2));
  fail(0, "sync");
  ASSERT_EQ(w_.write(ChunkWorld::key(2), data_), ErrorCode::kIoError);
  EXPECT_EQ(w_.read(ChunkWorld::key(1), 0, data_.size()).value(), data_);
  w_.node.shard_disk("disk1")->set_capacity(1ULL << 40);
  w_.world.run_for(seconds(2));
  EXPECT_EQ(w_.write(ChunkWorld::key(2), data_), ErrorCode::kOk);
}

TEST_F(ChunkServerDisks, TheServerEndsWhenNoDiskIsLeft) {
  ASSERT_TRUE(w_.wait_registered());
  fail(0, "sync");
  fail(1, "sync");
  EXPECT_EQ(w_.write(ChunkWorld::key(1), data_), ErrorCode::kIoError);
  EXPECT_TRUE(w_.node.up());
  EXPECT_NE(w_.write(ChunkWorld::key(2), data_), ErrorCode::kOk);
  EXPECT_FALSE(w_.node.up());
  ASSERT_TRUE(w_.node.fatal().has_value());
  EXPECT_EQ(w_.node.fatal()->code, ErrorCode::kIoError);
}

TEST(ChunkServerStop, EndsWithRequestsUnderWayAnswered) {
  ChunkWorld w;
  ASSERT_TRUE(w.wait_registered());
  const std::string data = ChunkWorld::data(1, 300'000);
  ASSERT_EQ(w.open(ChunkWorld::key(1)), ErrorCode::kOk);
  ASSERT_EQ(w.append(ChunkWorld::key(1), 0, data), ErrorCode::kOk);
  const auto message = ChunkWorld::seal_request(ChunkWorld::key(1), data);
  auto answer = std::make_shared<std::optional<Reply>>();
  const auto keep = [](Task<Reply> task, std::shared_ptr<std::optional<Reply>> out) -> Task<void> {
    out->emplace(co_await std::move(task));
  };
  Request request = make_request(MessageType::kSealShard, GroupId(0), message);
  w.world.spawn(w.node, keep(w.server->handle(std::move(request), kNever), answer));
  w.world.run_until([&] { return w.faults[0].seen.back() == "sync"; }, seconds(10));
  ASSERT_TRUE(w.world.run(w.node, w.server->stop(), kPatience));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->error.code, ErrorCode::kOk);
  Request late = make_request(MessageType::kSealShard, GroupId(0), message);
  const auto refused = w.world.run(w.node, w.server->handle(std::move(late), kNever), kPatience);
  EXPECT_EQ(refused->error.code, ErrorCode::kShuttingDown);
}

}  // namespace
}  // namespace dogfs
