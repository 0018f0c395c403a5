#include <gtest/gtest.h>

#include <bit>

#include "core/base/checksum.h"
#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kCell = kSmallGeometry.cell_bytes;
constexpr uint64_t kStripe = 3 * kCell;
constexpr uint64_t kBlock = kSmallGeometry.block_bytes;

class FileReaderTest : public ClientFixture {
 protected:
  FileReaderTest() : ClientFixture(5) {}

  void write_file(uint64_t length) {
    data_ = pattern(length);
    const Result<WriteOutcome> outcome = write("/f", data_);
    ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  }

  FakeBlock& block(size_t i = 0) { return cluster_.file("/f").blocks.at(i); }
  FakeShard& shard(size_t position, size_t i = 0) {
    return cluster_.stored(block(i).shards.at(position), block(i).block);
  }

  void expect_whole() {
    const Result<std::string> got = read("/f");
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    EXPECT_TRUE(got.value() == data_);
  }

  std::unique_ptr<FileReader> open() {
    auto opened = world_.run(client_->open("/f"));
    EXPECT_TRUE(opened.has_value());
    return std::move(opened).value();
  }

  // Requests of `type` that reached `server`, counted from now on.
  std::shared_ptr<std::map<Address, int>> count_reads() {
    auto counts = std::make_shared<std::map<Address, int>>();
    world_.transport.fate = [counts](const Address& to, const Request& request) {
      if (request.type == MessageType::kReadShard) ++(*counts)[to];
      return Fate::kDeliver;
    };
    return counts;
  }

  std::string data_;
};

TEST_F(FileReaderTest, AMissingFileIsNotFound) {
  EXPECT_EQ(code_of(read("/none")), ErrorCode::kNotFound);
}

TEST_F(FileReaderTest, AnyRangeReadsAsWritten) {
  write_file(2 * kBlock + kStripe + kCell + 7);
  const std::unique_ptr<FileReader> reader = open();
  EXPECT_EQ(reader->size(), data_.size());
  for (const uint64_t edge : {uint64_t{0}, kCell, kStripe, kBlock, 2 * kBlock, uint64_t{data_.size()}}) {
    for (const int64_t shift : {-1, 0, 1}) {
      const uint64_t offset = edge + static_cast<uint64_t>(shift);
      if (offset > data_.size()) continue;
      for (const size_t length : {size_t{1}, size_t{2}, static_cast<size_t>(kCell + 3), static_cast<size_t>(kBlock)}) {
        const Result<std::string> got = read(*reader, offset, length);
        ASSERT_TRUE(got.has_value()) << got.error().to_string();
        EXPECT_TRUE(got.value() == data_.substr(offset, length)) << offset << "+" << length;
      }
    }
  }
}

TEST_F(FileReaderTest, BeyondTheEndThereIsNothing) {
  write_file(10);
  const std::unique_ptr<FileReader> reader = open();
  EXPECT_EQ(read(*reader, 10, 5).value(), "");
  EXPECT_EQ(read(*reader, 1'000'000, 5).value(), "");
  EXPECT_EQ(read(*reader, 4, 1'000'000).value(), data_.substr(4));
}

TEST_F(FileReaderTest, APositionalReadAsksOnlyTheShardThatItNeeds) {
  write_file(kBlock);
  const std::unique_ptr<FileReader> reader = open();
  const auto counts = count_reads();
  ASSERT_TRUE(read(*reader, kCell + 10, 100).has_value());
  EXPECT_EQ(counts->size(), 1u);
}

TEST_F(FileReaderTest, SequentialReadsRunAheadWithinTheLimit) {
  write_file(8 * kBlock);
  const std::unique_ptr<FileReader> reader = open();
  std::string got;
  for (uint64_t at = 0; at < data_.size(); at += 10'000) got += read(*reader, at, 10'000).value();
  EXPECT_TRUE(got == data_);
}

// --- Erasures ------------------------------------------------------------------------------------------------------

class ErasureTest : public FileReaderTest, public testing::WithParamInterface<uint32_t> {
 protected:
  bool is_erased(size_t position) const { return (GetParam() >> position & 1U) != 0; }
};

TEST_P(ErasureTest, OfAtMostMServersIsReadAround) {
  write_file(kBlock + kStripe - kCell - 5);
  for (size_t i = 0; i < 5; ++i) {
    if (is_erased(i)) cluster_.kill(block().shards[i].server());
  }
  expect_whole();
}

TEST_P(ErasureTest, OfAtMostMShardsByRotIsReadAround) {
  write_file(kBlock);
  for (size_t i = 0; i < 5; ++i) {
    if (is_erased(i)) shard(i).bytes[i * 1000] ^= 1;
  }
  expect_whole();
}

TEST_P(ErasureTest, IsReadAroundInTheMiddleOfACellToo) {
  write_file(kBlock);
  for (size_t i = 0; i < 5; ++i) {
    if (is_erased(i)) cluster_.kill(block().shards[i].server());
  }
  const std::unique_ptr<FileReader> reader = open();
  for (const uint64_t offset : {uint64_t{100}, kCell - 10, kStripe + 2 * kCell - 1, kBlock - 50}) {
    const Result<std::string> got = read(*reader, offset, 40);
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    EXPECT_EQ(got.value(), data_.substr(offset, 40));
  }
}

std::vector<uint32_t> patterns_of_at_most(int erased) {
  std::vector<uint32_t> out;
  for (uint32_t pattern = 1; pattern < 32; ++pattern) {
    if (std::popcount(pattern) <= erased) out.push_back(pattern);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(EveryPattern, ErasureTest, testing::ValuesIn(patterns_of_at_most(2)));

class ShortBlockErasureTest : public FileReaderTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(ShortBlockErasureTest, EachStoredShardMayGo) {
  write_file(GetParam());
  const size_t stored = block().shards.size();
  for (size_t a = 0; a < stored; ++a) {
    for (size_t b = a; b < stored; ++b) {
      cluster_.kill(block().shards[a].server());
      cluster_.kill(block().shards[b].server());
      expect_whole();
      cluster_.restart(block().shards[a].server());
      cluster_.restart(block().shards[b].server());
      world_.run_for(seconds(11));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AroundEveryBoundary, ShortBlockErasureTest,
                         testing::Values(1, kCell - 1, kCell, kCell + 1, 2 * kCell + 1, kStripe + 1,
                                         kStripe + kCell + 1));

// --- Damage --------------------------------------------------------------------------------------------------------

TEST_F(FileReaderTest, AShardWhoseFooterFitsOtherBytesIsFoundOut) {
  write_file(kBlock);
  // Consistent in itself, and it claims the committed checksum: only the pieces taken together give it away.
  FakeShard& wrong = shard(0);
  wrong.bytes[5] ^= 1;
  wrong.piece_crc32c[0] = crc32c(std::string_view(wrong.bytes).substr(0, kChecksumPieceBytes));
  expect_whole();
}

TEST_F(FileReaderTest, AReadOfOnePieceFindsThatOutToo) {
  write_file(kBlock);
  FakeShard& wrong = shard(0);
  wrong.bytes[5] ^= 1;
  wrong.piece_crc32c[0] = crc32c(std::string_view(wrong.bytes).substr(0, kChecksumPieceBytes));
  EXPECT_EQ(read("/f", 0, 10).value(), data_.substr(0, 10));
}

TEST_F(FileReaderTest, TheChecksumsOfAShardAreFetchedOnce) {
  write_file(kBlock);
  std::map<Address, int> fetched;
  world_.transport.fate = [&](const Address& to, const Request& request) {
    if (request.type != MessageType::kReadShard) return Fate::kDeliver;
    if (parse_message<wire::ReadShardRequest>(request.body).value().all_checksums()) ++fetched[to];
    return Fate::kDeliver;
  };
  auto opened = world_.run(client_->open("/f"));
  ASSERT_TRUE(opened.has_value());
  for (uint64_t at = 0; at < kBlock; at += 10'000) {
    EXPECT_EQ(read(*opened.value(), at, 10).value(), data_.substr(at, 10));
  }
  EXPECT_EQ(fetched.size(), 3u);
  for (const auto& [server, times] : fetched) EXPECT_EQ(times, 1) << server.value;
}

TEST_F(FileReaderTest, AShardOfAnotherChecksumIsNotBelieved) {
  write_file(kBlock);
  FakeShard& wrong = shard(1);
  wrong.bytes = std::string(wrong.bytes.size(), 'x');
  for (size_t i = 0; i < wrong.piece_crc32c.size(); ++i) {
    const std::string_view piece = std::string_view(wrong.bytes).substr(i * kChecksumPieceBytes, kChecksumPieceBytes);
    wrong.piece_crc32c[i] = crc32c(piece);
  }
  wrong.crc32c = crc32c(wrong.bytes);
  expect_whole();
}

TEST_F(FileReaderTest, AShardThatItsServerCannotReadIsReportedOnceToBeLookedAt) {
  write_file(kBlock);
  const wire::Shard unreadable = block().shards.at(1);
  cluster_.fail(unreadable.server(), MessageType::kReadShard, ErrorCode::kIoError);
  const std::unique_ptr<FileReader> reader = open();
  for (const uint64_t at : {kCell, kCell + kStripe, kCell + 2 * kStripe}) {
    EXPECT_EQ(read(*reader, at, 10).value(), data_.substr(at, 10));
  }
  world_.run_for(seconds(10));
  ASSERT_EQ(cluster_.damage_reports.size(), 1u);
  EXPECT_EQ(cluster_.damage_reports[0].server(), unreadable.server());
  EXPECT_EQ(cluster_.damage_reports[0].shard().block(), block().block);
  EXPECT_EQ(cluster_.damage_reports[0].shard().index(), 1u);
  EXPECT_EQ(cluster_.damage_reports[0].shard().generation(), unreadable.generation());
}

TEST_F(FileReaderTest, AServerThatIsBusyOrAwayHasNothingToLookAt) {
  write_file(kBlock);
  cluster_.fail(block().shards.at(1).server(), MessageType::kReadShard, ErrorCode::kBusy);
  cluster_.kill(block().shards.at(2).server());
  expect_whole();
  world_.run_for(seconds(10));
  EXPECT_TRUE(cluster_.damage_reports.empty());
}

TEST_F(FileReaderTest, MoreDamageThanParityIsDataLossAndSaysWhere) {
  write_file(kBlock);
  for (const size_t i : {0, 2, 4}) shard(i).bytes[7] ^= 1;
  const Result<std::string> got = read("/f");
  ASSERT_EQ(code_of(got), ErrorCode::kDataLoss);
  EXPECT_NE(got.error().detail.find("3 of 5 shards are needed"), std::string::npos) << got.error().detail;
  for (const char* text : {"shard 0 on server", "shard 2 on server", "shard 4 on server", "checksum mismatch"}) {
    EXPECT_NE(got.error().detail.find(text), std::string::npos) << got.error().detail;
  }
}

// Disks may read the wrong place, for once.
TEST_F(FileReaderTest, DamageThatIsNotSeenAgainIsNoLoss) {
  write_file(kBlock);
  std::map<Address, std::string*> damaged;
  for (const size_t i : {0, 2, 4}) {
    shard(i).bytes[7] ^= 1;
    damaged[cluster_.server_address(block().shards[i].server())] = &shard(i).bytes;
  }
  std::map<Address, int> asked;
  world_.transport.fate = [&](const Address& to, const Request& request) {
    const bool again = request.type == MessageType::kReadShard && damaged.contains(to) && ++asked[to] == 2;
    if (again) (*damaged[to])[7] ^= 1;
    return Fate::kDeliver;
  };
  expect_whole();
  EXPECT_EQ(asked.size(), 3u);
}

TEST_F(FileReaderTest, ShardsThatAreGoneEverywhereAreDataLoss) {
  write_file(kBlock);
  for (const size_t i : {0, 1, 2}) cluster_.server(block().shards[i].server()).shards.clear();
  EXPECT_EQ(code_of(read("/f")), ErrorCode::kDataLoss);
}

TEST_F(FileReaderTest, ServersThatCannotBeReachedAreNotCalledLost) {
  write_file(kBlock);
  for (const size_t i : {0, 1, 2}) cluster_.kill(block().shards[i].server());
  const MonoTime start = world_.clock.now();
  EXPECT_EQ(code_of(read("/f")), ErrorCode::kUnavailable);
  EXPECT_LT(world_.clock.now() - start, seconds(10));
}

TEST_F(FileReaderTest, ServersThatComeBackInTimeAreReadFrom) {
  write_file(kBlock);
  for (const size_t i : {0, 1, 2}) cluster_.kill(block().shards[i].server());
  const std::unique_ptr<FileReader> reader = open();
  std::optional<Result<BytesChain>> got;
  const auto run = [](FileReader& r, std::optional<Result<BytesChain>>& out) -> Task<void> {
    out.emplace(co_await r.read(0, kBlock));
  };
  world_.spawn(run(*reader, got));
  world_.run_for(milliseconds(200));
  for (const size_t i : {0, 1, 2}) cluster_.restart(block().shards[i].server());
  world_.run_until([&] { return got.has_value(); });
  ASSERT_TRUE(got->has_value()) << got->error().to_string();
  EXPECT_TRUE(got->value().flatten().view() == data_);
}

TEST_F(FileReaderTest, AfterAnErrorTheReaderGoesOn) {
  write_file(kBlock);
  for (const size_t i : {0, 1, 2}) cluster_.kill(block().shards[i].server());
  const std::unique_ptr<FileReader> reader = open();
  EXPECT_FALSE(read(*reader, 0, kBlock).has_value());
  for (const size_t i : {0, 1, 2}) cluster_.restart(block().shards[i].server());
  EXPECT_TRUE(read(*reader, 0, kBlock).value() == data_);
}

// HDDS-10983: a server answered with its replica of another index, and the reader took those bytes.
TEST_F(FileReaderTest, Hdds10983TheBytesOfAnotherIndexReachNoCaller) {
  write_file(kBlock);
  for (const size_t other : {0, 2, 3, 4}) {
    const FakeShard own = shard(1);
    shard(1) = shard(other);  // whole, and with right checksums
    expect_whole();
    shard(1) = own;
  }
}

// --- Locations -----------------------------------------------------------------------------------------------------

TEST_F(FileReaderTest, StaleLocationsAreFetchedAgain) {
  write_file(kBlock);
  const std::unique_ptr<FileReader> reader = open();
  // Three shards move, each to the next server's disk under a new generation: too many to decode around.
  for (const size_t i : {0, 1, 2}) cluster_.move_shard(block(), i);
  const Result<std::string> got = read(*reader, 0, kBlock);
  ASSERT_TRUE(got.has_value()) << got.error().to_string();
  EXPECT_TRUE(got.value() == data_);
}

// Of a block that is being repaired while it is read, other shards may be whole than those that were when it was opened.
TEST_F(FileReaderTest, DamageOfShardsThatWereReplacedSinceIsNoLoss) {
  write_file(kBlock);
  const std::unique_ptr<FileReader> reader = open();
  for (const size_t i : {0, 1, 2}) {
    wire::Shard& row = block().shards[i];
    FakeShard whole = shard(i);
    shard(i).bytes[7] ^= 1;
    if (i == 2) continue;
    row.set_generation(row.generation() + 1000);
    cluster_.server(row.server()).shards[{block().block, row.index(), row.generation()}] = std::move(whole);
  }
  const Result<std::string> got = read(*reader, 0, kBlock);
  ASSERT_TRUE(got.has_value()) << got.error().to_string();
  EXPECT_TRUE(got.value() == data_);
}

TEST_F(FileReaderTest, WithoutTheMetadataDamageIsNotCalledLoss) {
  write_file(kBlock);
  const std::unique_ptr<FileReader> reader = open();
  for (const size_t i : {0, 1, 2}) shard(i).bytes[7] ^= 1;
  world_.transport.fate = [](const Address&, const Request& request) {
    return request.type == MessageType::kReadShard ? Fate::kDeliver : Fate::kRefuse;
  };
  EXPECT_EQ(code_of(read(*reader, 0, kBlock)), ErrorCode::kUnavailable);
}

// --- Slowness ------------------------------------------------------------------------------------------------------

TEST_F(FileReaderTest, AHungServerCostsOneHedgeAndIsThenAskedLast) {
  write_file(8 * kBlock);
  const Address hung = cluster_.server_address(block().shards[0].server());
  world_.transport.fate = [hung](const Address& to, const Request& request) {
    return to == hung && request.type == MessageType::kReadShard ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const MonoTime start = world_.clock.now();
  expect_whole();
  EXPECT_LT(world_.clock.now() - start, seconds(1));
}

TEST_F(FileReaderTest, DeadServersAreNotAskedByEveryRead) {
  write_file(8 * kBlock);
  for (const uint64_t id : {1, 2}) cluster_.kill(id);
  const std::unique_ptr<FileReader> reader = open();
  const auto counts = count_reads();
  for (uint64_t at = 0; at < data_.size(); at += kStripe) ASSERT_TRUE(read(*reader, at, kStripe).has_value());
  const int dead = (*counts)[cluster_.server_address(1)] + (*counts)[cluster_.server_address(2)];
  EXPECT_LE(dead, 8);
  EXPECT_GT((*counts)[cluster_.server_address(3)], 8);
}

// --- Memory --------------------------------------------------------------------------------------------------------

TEST_F(FileReaderTest, ReadAheadIsBoundedHoweverLongTheFile) {
  ClientOptions options = cluster_.client_options();
  options.read_ahead_bytes = 2 * kBlock;
  restart_client(options);
  write_file(40 * kBlock);
  const std::unique_ptr<FileReader> reader = open();
  uint64_t fetched = 0;
  world_.transport.fate = [&](const Address&, const Request& request) {
    if (request.type == MessageType::kReadShard) {
      fetched += parse_message<wire::ReadShardRequest>(request.body).value().length();
    }
    return Fate::kDeliver;
  };
  for (uint64_t at = 0; at < data_.size() / 2; at += kCell) {
    ASSERT_TRUE(read(*reader, at, kCell).has_value());
    world_.run_for(milliseconds(50));
    // What was asked for and not handed over yet: the window and the segment that crosses its end.
    EXPECT_LE(fetched, at + kCell + options.read_ahead_bytes + kBlock);
  }
}

}  // namespace
}  // namespace dogfs::test
