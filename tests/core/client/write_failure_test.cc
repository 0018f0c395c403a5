// Writing through failure: servers that hang, fill up or damage what they get, one after the other and at once. A write
// is as good as the servers that are left allow, and one that cannot succeed ends in a bounded time.
#include <gmock/gmock.h>

#include "tests/core/client/write_failure_fixture.h"

namespace dogfs::test {
namespace {

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

TEST_P(HangTest, AServerThatAnotherShardHasGotMeanwhileIsNotTakenForTheLastOne) {
  cluster_.placed_too_late = 1;
  hang_at({2, 4}, GetParam().phase, GetParam().nth);
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
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

// --- Suspects ------------------------------------------------------------------------------------------------------

// Of five servers one has failed lately, so the block is given four at first. The fifth is back, and takes its shard: but
// the metadata takes its time to say so, and the others are done by then.
class BackAgainTest : public WriteFailureTest {
 protected:
  BackAgainTest() : WriteFailureTest(5) {}
  void SetUp() override {
    cluster_.kill(3);
    const Result<WriteOutcome> outcome = write("/before", pattern(kBlock));
    ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
    ASSERT_EQ(outcome.value().blocks_short, 1u);
    cluster_.restart(3);
    cluster_.allocations.clear();
  }
};

TEST_F(BackAgainTest, ABlockDoesNotGoShortBeforeItIsKnownThatNobodyElseTakesTheShard) {
  world_.transport.delay = [](const Address&, const Request& request) {
    return asks_for(request, wire::Mutation::kReplaceTarget) ? Duration(seconds(2)) : Duration(microseconds(200));
  };
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_THAT(cluster_.allocations.at(0).excluded_servers(), testing::ElementsAre(3));
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  expect_reads_back("/f", data);
}

TEST_F(BackAgainTest, AServerThatHasSealedAShardIsNoSuspectAnyMore) {
  ASSERT_TRUE(write("/f", pattern(kBlock)).has_value());
  cluster_.allocations.clear();
  ASSERT_TRUE(write("/g", pattern(kBlock)).has_value());
  EXPECT_THAT(cluster_.allocations.at(0).excluded_servers(), testing::IsEmpty());
}

TEST_F(BackAgainTest, ASuspectThatAnotherShardHasGotMeanwhileIsNotTakenForTheLastOneEither) {
  cluster_.placed_too_late = 1;
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
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
