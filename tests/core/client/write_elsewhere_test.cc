// Blocks that find no way out where they are: they are begun anew on other servers, or go short where the cluster is
// full.
#include "tests/core/client/write_failure_fixture.h"

namespace dogfs::test {
namespace {

// --- Elsewhere -----------------------------------------------------------------------------------------------------

TEST_F(WriteFailureTest, ABlockWithoutWayOutIsBegunAnewOnOtherServers) {
  cluster_.most_attempts = 5;
  world_.transport.fate = [this](const Address&, const Request& request) {
    if (request.type == MessageType::kSealShard) {
      for (const uint64_t id : {1, 2}) cluster_.kill(id);
    }
    return Fate::kDeliver;
  };
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_EQ(cluster_.file("/f").blocks.at(0).block, 2u) << "another block id";
  EXPECT_TRUE(cluster_.file("/f").pending.empty());
  EXPECT_EQ(cluster_.effects[wire::Mutation::kAbandonBlock], 1);
  EXPECT_LT(elapsed(), options_.stuck_timeout + seconds(1));
  expect_reads_back("/f", data);
}

TEST_F(WriteFailureTest, WhatWasPlacedForTheFormerBlockIdIsNotTakenForTheNextOne) {
  cluster_.most_attempts = 6;
  world_.transport.fate = [this](const Address&, const Request& request) {
    if (request.type == MessageType::kSealShard) {
      for (const uint64_t id : {1, 2, 3}) cluster_.kill(id);
    }
    if (request.type != MessageType::kMutate || elapsed() > options_.stuck_timeout + seconds(1)) return Fate::kDeliver;
    const auto message = parse_message<wire::MutateRequest>(request.body).value();
    const bool is_first = message.mutation().has_replace_target() && message.mutation().replace_target().index() == 0;
    return is_first ? Fate::kLoseReply : Fate::kDeliver;
  };
  // The next block must still be under way when the answer comes.
  world_.transport.delay = [this](const Address&, const Request& request) {
    const bool late = request.type == MessageType::kSealShard && elapsed() > seconds(1);
    return late ? Duration(seconds(5)) : Duration(microseconds(200));
  };
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(cluster_.file("/f").blocks.at(0).block, 2u);
  EXPECT_GT(elapsed(), options_.stuck_timeout + seconds(4)) << "the answer came meanwhile";
  expect_reads_back("/f", data);
}

TEST_F(WriteFailureTest, ABlockWhoseServersReturnMeanwhileStaysWhereItIs) {
  cluster_.most_attempts = 5;
  delay_second_allocation(seconds(3));
  world_.transport.fate = [this, killed = false](const Address&, const Request& request) mutable {
    if (request.type == MessageType::kSealShard && !std::exchange(killed, true)) {
      for (const uint64_t id : {1, 2}) cluster_.kill(id);
    }
    return Fate::kDeliver;
  };
  const std::string data = pattern(kBlock);
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data))).has_value());
  world_.run_for(options_.stuck_timeout + seconds(1));
  EXPECT_EQ(cluster_.allocations.size(), 1u);
  for (const uint64_t id : {1, 2}) cluster_.restart(id);
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_EQ(cluster_.file("/f").blocks.at(0).block, 1u);
  EXPECT_EQ(cluster_.allocations.size(), 2u);
  EXPECT_TRUE(cluster_.file("/f").pending.empty());
  expect_reads_back("/f", data);
}

TEST_F(WriteFailureTest, AWriterThatIsGivenUpWhileItsNextBlockIdIsOnItsWayLeavesNothing) {
  cluster_.most_attempts = 5;
  delay_second_allocation(seconds(3));
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock / 4)))).has_value());
  world_.run_for(seconds(1));
  for (const uint64_t id : {1, 2}) cluster_.kill(id);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock / 2)))).has_value());
  world_.run_for(options_.stuck_timeout + seconds(1));
  EXPECT_EQ(cluster_.allocations.size(), 1u);
  world_.run(writer->abort());
  EXPECT_EQ(cluster_.allocations.size(), 2u);
  expect_nothing_visible("/f");
  const uint64_t calls = world_.transport.calls;
  world_.run_for(seconds(10));
  EXPECT_EQ(world_.transport.calls, calls) << "nothing is sent for it any more";
}

TEST_F(WriteFailureTest, ABlockThatIsBegunAnewGoesOnBeingFilled) {
  cluster_.most_attempts = 5;
  const std::string data = pattern(2 * kBlock + 12345);
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(0, kBlock / 2)))).has_value());
  world_.run_for(seconds(1));
  for (const uint64_t id : {1, 2}) cluster_.kill(id);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(kBlock / 2, kBlock / 4)))).has_value());
  world_.run_for(options_.stuck_timeout + seconds(1));
  EXPECT_EQ(cluster_.effects[wire::Mutation::kAbandonBlock], 0) << "what was not sent yet has not failed";
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(kBlock * 3 / 4)))).has_value());
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_GE(cluster_.effects[wire::Mutation::kAbandonBlock], 1);
  expect_reads_back("/f", data);
}

TEST_F(WriteFailureTest, TheNextServersOfABlockMayBeRestartingToo) {
  cluster_.most_attempts = 5;
  const std::string data = pattern(kBlock / 2);
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(0, data.size() / 2)))).has_value());
  world_.run_for(seconds(1));
  for (uint64_t id = 1; id <= 3; ++id) cluster_.kill(id);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(data.size() / 2)))).has_value());
  world_.run_for(options_.stuck_timeout - seconds(1));
  for (uint64_t id = 4; id <= 7; ++id) cluster_.kill(id);
  world_.run_for(seconds(3));
  EXPECT_EQ(cluster_.effects[wire::Mutation::kAbandonBlock], 1);
  for (uint64_t id = 4; id <= 7; ++id) cluster_.restart(id);
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().least_spares, 1u);
  expect_reads_back("/f", data);
}

TEST_F(WriteFailureTest, WhatFailedABlockLongAgoMayTakeItWhenItIsBegunAnew) {
  // So much that every piece is sent.
  const size_t piece = 3 * kMiB;
  geometry_.block_bytes = 10 * piece;
  cluster_.set_geometry(geometry_);
  const std::string data = pattern(geometry_.block_bytes);
  const std::unique_ptr<FileWriter> writer = create("/f");
  size_t written = 0;
  const auto write_on = [&] {
    const Status status = world_.run(writer->write(Bytes::copy_of(data.substr(written, piece))));
    written += piece;
    ASSERT_TRUE(status.has_value());
  };
  for (uint64_t id = 1; id <= 7; ++id) {
    cluster_.kill(id);
    write_on();
    world_.run_for(seconds(1));
    cluster_.restart(id);
    world_.run_for(seconds(2));
  }
  world_.run_for(options_.write_patience);
  std::map<uint32_t, uint64_t> targets;
  for (const wire::Shard& shard : cluster_.file("/f").pending.begin()->second.attempts) {
    targets[shard.index()] = shard.server();
  }
  for (const uint32_t index : {0, 1}) cluster_.kill(targets.at(index));
  while (written < data.size()) write_on();
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_EQ(cluster_.effects[wire::Mutation::kAbandonBlock], 1);
  expect_reads_back("/f", data);
}

TEST_F(WriteFailureTest, AWriterThatIsGivenUpWhileItsBlockIsBegunAnewLeavesNothing) {
  for (const Duration after : {milliseconds(0), milliseconds(5000), milliseconds(5001), milliseconds(5003)}) {
    cluster_.most_attempts = 5;
    const std::string path = "/f" + std::to_string(after.count());
    const std::unique_ptr<FileWriter> writer = create(path);
    ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock / 2)))).has_value());
    world_.run_for(seconds(1));
    for (const wire::Shard& shard : cluster_.file(path).pending.begin()->second.attempts) {
      if (shard.index() < 2) cluster_.kill(shard.server());
    }
    ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock / 2)))).has_value());
    world_.run_for(after);
    world_.run(writer->abort());
    EXPECT_TRUE(cluster_.file(path).pending.empty());
    EXPECT_TRUE(cluster_.file(path).closed);
    for (uint64_t id = 1; id <= 7; ++id) cluster_.restart(id);
    world_.run_for(seconds(20));
  }
}

// --- A cluster that is full -----------------------------------------------------------------------------------------

class FullClusterTest : public WriteFailureTest {
 protected:
  FullClusterTest() : WriteFailureTest(5) {}
};

class SixServersTest : public WriteFailureTest {
 protected:
  SixServersTest() : WriteFailureTest(6) {}
};

TEST_F(FullClusterTest, RefusesTheFirstBlockOfAFileAtOnce) {
  cluster_.full = {1, 2, 3, 4, 5};
  EXPECT_EQ(code_of(write("/f", pattern(kBlock))), ErrorCode::kNoSpace);
  EXPECT_LT(elapsed(), seconds(1));
  expect_nothing_visible("/f");
}

TEST_F(FullClusterTest, EndsAWriteSoonAndKeepsWhatWasStored) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  const std::string data = pattern(kBlock);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data))).has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  cluster_.full = {1, 2};
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data))).has_value());
  EXPECT_EQ(code_of(world_.run(writer->close())), ErrorCode::kNoSpace);
  EXPECT_GE(elapsed(), options_.stuck_timeout);
  EXPECT_LT(elapsed(), options_.stuck_timeout + seconds(2));
  expect_reads_back("/f", data);
}

TEST_F(FullClusterTest, MayGetRoomMeanwhile) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  const std::string data = pattern(2 * kBlock);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(0, kBlock)))).has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  cluster_.full = {1, 2};
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(kBlock)))).has_value());
  world_.run_for(seconds(2));
  cluster_.full.clear();
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  expect_reads_back("/f", data);
}

// The metadata does not know it yet. Of the fifth shard nobody says so: there is no server left to ask.
TEST_F(FullClusterTest, SaysSoWhereItsServersDo) {
  cluster_.know_dead(5);
  for (const uint64_t id : {1, 2, 3, 4}) cluster_.fail(id, MessageType::kOpenShard, ErrorCode::kNoSpace);
  EXPECT_EQ(code_of(write("/f", pattern(kBlock))), ErrorCode::kNoSpace);
}

// With room on the two that are left they would be too few.
TEST_F(FullClusterTest, ThatHasTooFewServersBesidesSaysThat) {
  for (const uint64_t id : {1, 2}) cluster_.fail(id, MessageType::kOpenShard, ErrorCode::kNoSpace);
  for (const uint64_t id : {3, 4, 5}) cluster_.kill(id);
  EXPECT_EQ(code_of(write("/f", pattern(kBlock))), ErrorCode::kInsufficientServers);
}

TEST_F(FullClusterTest, AServerThatFailedLatelyAndHasRoomIsBetterThanNone) {
  cluster_.fail(5, MessageType::kOpenShard, ErrorCode::kIoError);
  ASSERT_EQ(write("/f", pattern(kBlock)).value().blocks_short, 1u);
  cluster_.restart(5);
  cluster_.full = {1};
  EXPECT_EQ(write("/g", pattern(kBlock)).value().blocks_short, 1u) << "of five, four";
}

// Of six servers one has failed another block just now, and is back: it stands in for another that fails.
TEST_F(SixServersTest, AServerThatFailedAnotherBlockLatelyStandsInWhereNoOtherIsLeft) {
  cluster_.fail(5, MessageType::kOpenShard, ErrorCode::kIoError);
  EXPECT_EQ(write("/f", pattern(kBlock)).value().blocks_short, 0u);
  cluster_.restart(5);
  const std::unique_ptr<FileWriter> writer = create("/g");
  const std::string data = pattern(kBlock);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(0, kBlock / 2)))).has_value());
  world_.run_for(milliseconds(200));
  cluster_.fail(2, MessageType::kAppendShard, ErrorCode::kIoError);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(kBlock / 2)))).has_value());
  EXPECT_EQ(world_.run(writer->close()).value().blocks_short, 0u);
  expect_reads_back("/g", data);
}

TEST_F(FullClusterTest, ABlockThatIsUnderWayGoesShortOfWhatFindsNoRoom) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  const std::string data = pattern(kBlock);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(0, kBlock / 2)))).has_value());
  world_.run_for(seconds(1));
  cluster_.full = {1, 2, 3, 4, 5};
  cluster_.fail(2, MessageType::kAppendShard, ErrorCode::kNoSpace);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(kBlock / 2)))).has_value());
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 1u);
  expect_reads_back("/f", data);
}

}  // namespace
}  // namespace dogfs::test
