// Writing through failure: servers that hang, fill up or damage what they get, one after the other and at once. A write
// is as good as the servers that are left allow, and one that cannot succeed ends in a bounded time.
#include <gtest/gtest.h>

#include <set>

#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

// A shard of a full block takes three appends.
constexpr Geometry kGeometry{
    .data_shards = 3, .parity_shards = 2, .cell_bytes = 64 * kKiB, .block_bytes = uint64_t{40} * 3 * 64 * kKiB};
constexpr uint64_t kBlock = kGeometry.block_bytes;

class WriteFailureTest : public ClientFixture {
 protected:
  explicit WriteFailureTest(size_t servers = 7) : ClientFixture(servers, kGeometry) {}

  // Requests to these servers get no answer.
  void hang(std::set<uint64_t> servers) { hung_.merge(servers); }
  bool is_hung(const Address& to) const {
    return std::ranges::any_of(hung_, [&](uint64_t id) { return cluster_.server_address(id) == to; });
  }
  // Once the `nth` request of `type` comes to the first of `servers`, all of them hang.
  void hang_at(const std::set<uint64_t>& servers, MessageType type, int nth) {
    world_.transport.fate = [this, servers, type, nth](const Address& to, const Request& request) mutable {
      if (request.type == type && to == cluster_.server_address(*servers.begin()) && --nth == 0) hang(servers);
      return is_hung(to) ? Fate::kLoseRequest : Fate::kDeliver;
    };
  }

  // These servers take one append in nine seconds, and so never stall.
  void slow_down(std::set<uint64_t> servers) {
    slow_.merge(servers);
    world_.transport.delay = [this](const Address& to, const Request& request) {
      const auto slow = std::ranges::find_if(slow_, [&](uint64_t id) { return cluster_.server_address(id) == to; });
      if (slow == slow_.end() || request.type != MessageType::kAppendShard) return Duration(microseconds(200));
      MonoTime& until = busy_until_[*slow];
      until = std::max(until, world_.clock.now()) + seconds(9);
      return Duration(until - world_.clock.now());
    };
  }

  Duration elapsed() const { return world_.clock.now() - MonoTime(seconds(1000)); }
  // For a test that fails rather than never ends.
  bool is_too_late() const { return elapsed() > 2 * options_.write_patience; }
  void expect_reads_back(const std::string& path, const std::string& data) {
    const Result<std::string> got = read(path);
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    EXPECT_TRUE(got.value() == data);
  }
  void delay_second_allocation(Duration delay) {
    world_.transport.delay = [this, delay](const Address&, const Request& request) {
      const bool is_second = request.type == MessageType::kMutate && cluster_.allocations.size() == 1 &&
                             parse_message<wire::MutateRequest>(request.body).value().mutation().has_allocate_block();
      return is_second ? delay : Duration(microseconds(200));
    };
  }
  void expect_nothing_visible(const std::string& path) {
    EXPECT_TRUE(cluster_.file(path).blocks.empty());
    EXPECT_TRUE(cluster_.file(path).pending.empty());
    EXPECT_TRUE(cluster_.file(path).closed);
    EXPECT_EQ(cluster_.file(path).length, 0u);
  }

  const ClientOptions options_ = cluster_.client_options();
  std::set<uint64_t> hung_;
  std::set<uint64_t> slow_;
  std::map<uint64_t, MonoTime> busy_until_;
};

struct Hang {
  MessageType phase;
  int nth = 1;
};

class HangTest : public WriteFailureTest, public testing::WithParamInterface<Hang> {};

TEST_P(HangTest, AServerThatHangsIsReplacedBeforeTheBlockGoesShort) {
  hang_at({2}, GetParam().phase, GetParam().nth);
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_GE(elapsed(), options_.stall_timeout);
  EXPECT_LT(elapsed(), options_.stall_timeout + seconds(2));
  expect_reads_back("/f", data);
}

TEST_P(HangTest, AsManyAtOnceAsTheCodeHasSparesAreReplaced) {
  hang_at({2, 4}, GetParam().phase, GetParam().nth);
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_LT(elapsed(), options_.stall_timeout + seconds(2));
  expect_reads_back("/f", data);
}

TEST_P(HangTest, BeyondThatTheBlockGoesShortOfThoseThatNobodyTakes) {
  hang_at({1, 2, 4}, GetParam().phase, GetParam().nth);
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 1u);
  EXPECT_EQ(outcome.value().least_spares, 1u);
  EXPECT_LT(elapsed(), 2 * options_.stall_timeout + seconds(2));
  expect_reads_back("/f", data);
}

TEST_P(HangTest, WhereTooFewAreLeftTheWriteEndsInTimeAndLeavesNothing) {
  hang_at({1, 2, 3, 4}, GetParam().phase, GetParam().nth);
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  EXPECT_EQ(code_of(outcome), ErrorCode::kInsufficientServers);
  EXPECT_NE(outcome.error().detail.find("needs 4 of 5 shards"), std::string::npos) << outcome.error().detail;
  EXPECT_LT(elapsed(), options_.stall_timeout + options_.write_patience);
  expect_nothing_visible("/f");
}

INSTANTIATE_TEST_SUITE_P(EachPhase, HangTest,
                         testing::Values(Hang{MessageType::kOpenShard}, Hang{MessageType::kAppendShard},
                                         Hang{MessageType::kAppendShard, 2}, Hang{MessageType::kSealShard}));

TEST_F(WriteFailureTest, TheLeaderMayChangeWhileServersHang) {
  hang_at({2, 4}, MessageType::kAppendShard, 2);
  const auto hangs = world_.transport.fate;
  world_.transport.fate = [this, hangs, mutations = 0](const Address& to, const Request& request) mutable {
    const bool to_leader = to == cluster_.meta_address(cluster_.leader);
    if (request.type == MessageType::kMutate && to_leader && ++mutations % 2 == 0) {
      cluster_.leader = (cluster_.leader + 1) % 3;
    }
    return hangs(to, request);
  };
  const std::string data = pattern(2 * kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  expect_reads_back("/f", data);
}

// --- Progress ------------------------------------------------------------------------------------------------------

TEST_F(WriteFailureTest, SlowServersThatGoOnTakingBytesAreNotReplaced) {
  // The appends of a shard go out together, and each server takes one in four seconds.
  std::map<Address, MonoTime> busy_until;
  world_.transport.delay = [&](const Address& to, const Request& request) {
    if (request.type != MessageType::kAppendShard) return Duration(microseconds(200));
    MonoTime& until = busy_until[to];
    until = std::max(until, world_.clock.now()) + seconds(4);
    return Duration(until - world_.clock.now());
  };
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_EQ(cluster_.effects[wire::Mutation::kReplaceTarget], 0);
  expect_reads_back("/f", data);
}

// --- Stragglers ----------------------------------------------------------------------------------------------------

TEST_F(WriteFailureTest, ASlowServerIsReplacedWhenAStragglersTimeIsOver) {
  slow_down({2});
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_EQ(cluster_.effects[wire::Mutation::kReplaceTarget], 1);
  EXPECT_GE(elapsed(), options_.straggler_timeout);
  EXPECT_LT(elapsed(), options_.straggler_timeout + seconds(1));
  world_.run_for(seconds(30));
  EXPECT_EQ(cluster_.file("/f").blocks.at(0).shards.at(1).server(), 6u) << "what the old one may seal late is nobody's";
  expect_reads_back("/f", data);
}

TEST_F(WriteFailureTest, AStandInThatIsSlowTooIsReplacedInItsTurn) {
  slow_down({2, 6});
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_GE(elapsed(), 2 * options_.straggler_timeout);
  EXPECT_LT(elapsed(), 2 * options_.straggler_timeout + seconds(1));
  expect_reads_back("/f", data);
}

TEST_P(HangTest, AStandInThatHangsTooIsReplacedWhileAThirdIsFree) {
  hang_at({2, 6}, GetParam().phase, GetParam().nth);
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_GE(elapsed(), 2 * options_.stall_timeout);
  EXPECT_LT(elapsed(), 2 * options_.stall_timeout + seconds(1));
  expect_reads_back("/f", data);
}

TEST_F(WriteFailureTest, ManyBlocksAreHeldUpByOneSlowServerNoLongerThanOne) {
  slow_down({2});
  const std::string data = pattern(20 * kBlock);
  const Result<WriteOutcome> outcome = write("/f", data, kBlock);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks, 20u);
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_LT(elapsed(), options_.straggler_timeout + seconds(1));
  expect_reads_back("/f", data);
}

class NoOtherServerTest : public WriteFailureTest {
 protected:
  NoOtherServerTest() : WriteFailureTest(5) {}
};

TEST_F(NoOtherServerTest, ABlockGoesShortOfTheSlowOneWhenAStragglersTimeIsOver) {
  slow_down({2});
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 1u);
  EXPECT_EQ(outcome.value().least_spares, 1u);
  EXPECT_GE(elapsed(), options_.straggler_timeout);
  EXPECT_LT(elapsed(), options_.straggler_timeout + seconds(1));
  expect_reads_back("/f", data);
}

class ManyServersTest : public WriteFailureTest, public testing::WithParamInterface<MessageType> {
 protected:
  ManyServersTest() : WriteFailureTest(60) {}
};

TEST_P(ManyServersTest, ThatAllHangWhenTheyAreAskedEndTheWriteInABoundedTime) {
  world_.transport.fate = [this](const Address&, const Request& request) {
    if (is_too_late()) return Fate::kRefuse;
    return request.type == GetParam() ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  EXPECT_EQ(code_of(outcome), ErrorCode::kInsufficientServers);
  EXPECT_GT(elapsed(), options_.write_patience);
  EXPECT_LT(elapsed(), options_.stall_timeout + options_.write_patience + seconds(1));
  expect_nothing_visible("/f");
}

INSTANTIATE_TEST_SUITE_P(EachPhase, ManyServersTest,
                         testing::Values(MessageType::kOpenShard, MessageType::kAppendShard, MessageType::kSealShard));

class ManySlowServersTest : public WriteFailureTest {
 protected:
  ManySlowServersTest() : WriteFailureTest(60) {}
};

TEST_F(ManySlowServersTest, AreTriedInTurnsUntilThePatienceIsOver) {
  slow_down({2});
  for (uint64_t id = 6; id <= 60; ++id) slow_down({id});
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 1u);
  EXPECT_GE(cluster_.effects[wire::Mutation::kReplaceTarget], 3);
  EXPECT_GE(elapsed(), options_.write_patience);
  EXPECT_LT(elapsed(), options_.write_patience + seconds(1));
  expect_reads_back("/f", data);
}

class RefusingServersTest : public WriteFailureTest {
 protected:
  RefusingServersTest() : WriteFailureTest(200) {
    cluster_.most_attempts = 5;
    world_.transport.fate = [this](const Address&, const Request&) {
      return is_too_late() ? Fate::kRefuse : Fate::kDeliver;
    };
  }
  void expect_an_end_in_time() {
    const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
    EXPECT_EQ(code_of(outcome), ErrorCode::kInsufficientServers);
    EXPECT_GT(cluster_.effects[wire::Mutation::kAbandonBlock], 5);
    EXPECT_GE(elapsed(), options_.write_patience);
    EXPECT_LT(elapsed(), options_.write_patience + seconds(1));
    expect_nothing_visible("/f");
  }
};

TEST_F(RefusingServersTest, AreNotTriedForLongerUnderEverNewBlockIds) {
  for (uint64_t id = 1; id <= 200; ++id) cluster_.fail(id, MessageType::kOpenShard, ErrorCode::kIoError);
  expect_an_end_in_time();
}

TEST_F(RefusingServersTest, ThatTakeAsMuchEachTimeAreNotTriedForLongerEither) {
  const auto refuse = [](Request) -> Task<Reply> { co_return error_reply(Error(ErrorCode::kIoError)); };
  for (uint64_t id = 1; id <= 200; ++id) {
    world_.transport.nodes[cluster_.server_address(id)] = [this, id, refuse](Request request) {
      if (request.type == MessageType::kAppendShard &&
          parse_message<wire::AppendShardRequest>(request.body).value().offset() > 0) {
        return refuse(std::move(request));
      }
      return cluster_.server(id).handle(std::move(request));
    };
  }
  expect_an_end_in_time();
}

// --- Given up ------------------------------------------------------------------------------------------------------

TEST_F(WriteFailureTest, NobodyWaitsForASlowServerOnceTheFileIsGivenUp) {
  slow_down({2});
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock)))).has_value());
  world_.run_for(milliseconds(9500));
  world_.run(writer->abort());
  expect_nothing_visible("/f");
  stop_client();
  EXPECT_LT(elapsed(), options_.stall_timeout + seconds(1));
}

TEST_F(WriteFailureTest, NobodyWaitsForAServerThatHangsWhenAShardIsAborted) {
  world_.transport.fate = [](const Address&, const Request& request) {
    return request.type == MessageType::kAbortShard ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock / 2)))).has_value());
  world_.run_for(seconds(1));
  world_.run(writer->abort());
  stop_client();
  EXPECT_LT(elapsed(), seconds(3));
}

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

// --- Full, damaged -------------------------------------------------------------------------------------------------

class BadAnswerTest : public WriteFailureTest, public testing::WithParamInterface<ErrorCode> {};

TEST_P(BadAnswerTest, OfTwoServersIsMadeGoodByOthers) {
  cluster_.fail(2, MessageType::kAppendShard, GetParam());
  cluster_.fail(4, MessageType::kSealShard, GetParam());
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_LT(elapsed(), seconds(2));
  expect_reads_back("/f", data);
}

TEST_P(BadAnswerTest, OfAllServersEndsTheWriteAndLeavesNothing) {
  for (uint64_t id = 1; id <= 7; ++id) cluster_.fail(id, MessageType::kAppendShard, GetParam());
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  const bool full = GetParam() == ErrorCode::kNoSpace;
  EXPECT_EQ(code_of(outcome), full ? ErrorCode::kNoSpace : ErrorCode::kInsufficientServers);
  EXPECT_NE(outcome.error().detail.find(Error(GetParam()).to_string()), std::string::npos) << outcome.error().detail;
  EXPECT_LT(elapsed(), options_.stall_timeout + options_.write_patience);
  expect_nothing_visible("/f");
}

INSTANTIATE_TEST_SUITE_P(EachKind, BadAnswerTest,
                         testing::Values(ErrorCode::kNoSpace, ErrorCode::kChecksumMismatch, ErrorCode::kIoError));

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

// --- What was reached ----------------------------------------------------------------------------------------------

TEST_F(WriteFailureTest, TheWriterTellsWhatWasReachedSoFar) {
  for (const uint64_t id : {6, 7}) cluster_.know_dead(id);
  const std::unique_ptr<FileWriter> writer = create("/f");
  EXPECT_EQ(writer->committed().blocks, 0u);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock)))).has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  EXPECT_EQ(writer->committed().blocks, 1u);
  EXPECT_EQ(writer->committed().bytes, kBlock);
  EXPECT_EQ(writer->committed().blocks_short, 0u);
  EXPECT_EQ(writer->committed().least_spares, 2u);
  cluster_.kill(2);
  cluster_.know_dead(2);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(1000)))).has_value());
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock)))).has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  EXPECT_EQ(writer->committed().blocks, 3u);
  EXPECT_EQ(writer->committed().blocks_short, 1u);
  EXPECT_EQ(writer->committed().least_spares, 1u);
  ASSERT_TRUE(world_.run(writer->close()).has_value());
}

// --- Writers that are slow or idle ---------------------------------------------------------------------------------

class SlowWriterTest : public WriteFailureTest {
 protected:
  // Exactly k + m servers: nobody can take a failed one's place.
  SlowWriterTest() : WriteFailureTest(5) {}
};

TEST_F(SlowWriterTest, OutlivesAnyNumberOfRollingRestarts) {
  geometry_.block_bytes = uint64_t{20} * 3 * kMiB;
  cluster_.set_geometry(geometry_);
  const std::string data = pattern(geometry_.block_bytes);
  const std::unique_ptr<FileWriter> writer = create("/f");
  for (uint64_t at = 0; at < data.size(); at += 3 * kMiB) {
    ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(at, 3 * kMiB)))).has_value());
    world_.run_for(seconds(1));
    for (uint64_t id = 1; id <= 5; ++id) {
      cluster_.kill(id);
      world_.run_for(milliseconds(500));
      cluster_.restart(id);
      world_.run_for(milliseconds(500));
    }
  }
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks, 1u);
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  expect_reads_back("/f", data);
}

TEST_F(SlowWriterTest, OutlivesServersThatForgetWhatIsIdle) {
  const std::string data = pattern(kBlock);
  const std::unique_ptr<FileWriter> writer = create("/f");
  for (uint64_t at = 0; at < data.size(); at += kBlock / 4) {
    ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(at, kBlock / 4)))).has_value());
    world_.run_for(std::chrono::hours(2));
    for (uint64_t id = 1; id <= 5; ++id) cluster_.server(id).restart();
  }
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  expect_reads_back("/f", data);
}

}  // namespace
}  // namespace dogfs::test
