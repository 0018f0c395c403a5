#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "core/base/printable.h"
#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kCell = kSmallGeometry.cell_bytes;
constexpr uint64_t kStripe = 3 * kCell;
constexpr uint64_t kBlock = kSmallGeometry.block_bytes;

// A shard of a full block takes several appends.
constexpr Geometry kLongGeometry{
    .data_shards = 3, .parity_shards = 2, .cell_bytes = 64 * kKiB, .block_bytes = 40 * kStripe};

class FileWriterTest : public ClientFixture {
 protected:
  explicit FileWriterTest(Geometry geometry = kSmallGeometry) : ClientFixture(7, geometry) {}

  void expect_reads_back(const std::string& path, const std::string& data) {
    const Result<std::string> got = read(path);
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    EXPECT_EQ(got.value().size(), data.size());
    EXPECT_TRUE(got.value() == data);
  }
  // The first request of `type` that `server` gets kills it.
  void server_dies_at(uint64_t server, MessageType type, int nth = 1) {
    world_.transport.fate = [this, server, type, nth](const Address& to, const Request& request) mutable {
      if (to != cluster_.server_address(server)) return Fate::kDeliver;
      if (request.type == type && --nth == 0) cluster_.kill(server);
      return Fate::kDeliver;
    };
  }
};

class FileWriterLengthTest : public FileWriterTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(FileWriterLengthTest, AFileReadsBackWhatWasWritten) {
  const std::string data = pattern(GetParam());
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().bytes, data.size());
  EXPECT_EQ(outcome.value().blocks, (data.size() + kBlock - 1) / kBlock);
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  if (!data.empty()) EXPECT_EQ(outcome.value().least_spares, 2u);
  EXPECT_TRUE(cluster_.file("/f").closed);
  expect_reads_back("/f", data);
}

INSTANTIATE_TEST_SUITE_P(AroundEveryBoundary, FileWriterLengthTest,
                         testing::Values(0, 1, kCell - 1, kCell, kCell + 1, 2 * kCell + 5, kStripe - 1, kStripe,
                                         kStripe + 1, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock + kStripe + 17));

// The name of who asks may be any bytes where it comes from, but travels as text, or nobody would parse its requests.
TEST_F(FileWriterTest, APrincipalOfAnyBytesIsToldAsText) {
  ClientOptions options = cluster_.client_options();
  options.principal = "m\xfcller\n" + std::string(kMaxPrincipalBytes, 'x');
  restart_client(options);
  std::set<std::string> told;
  world_.transport.fate = [&](const Address&, const Request& request) {
    told.insert(request.principal);
    return Fate::kDeliver;
  };
  ASSERT_TRUE(write("/f", pattern(100)).has_value());
  EXPECT_EQ(told, std::set<std::string>{printable(options.principal, kMaxPrincipalBytes)});
}

TEST_F(FileWriterTest, AShortBlockPlacesOnlyTheShardsThatItNeeds) {
  ASSERT_TRUE(write("/f", pattern(kCell + 1)).has_value());
  EXPECT_EQ(cluster_.allocations.at(0).length(), kCell + 1);
  EXPECT_EQ(cluster_.file("/f").blocks.at(0).shards.size(), 4u);
}

TEST_F(FileWriterTest, AnExpectedLengthIsToldAtTheAllocation) {
  std::map<uint64_t, std::map<uint32_t, uint64_t>> opened;  // block -> index -> length
  world_.transport.fate = [&opened](const Address&, const Request& request) {
    wire::OpenShardRequest message;
    if (request.type == MessageType::kOpenShard && message.ParseFromString(request.body)) {
      opened[message.key().block()][message.key().index()] = message.length();
    }
    return Fate::kDeliver;
  };
  const std::unique_ptr<FileWriter> writer = create("/f", kBlock + kStripe + 1);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock + kStripe + 1)))).has_value());
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_EQ(cluster_.allocations.at(0).length(), kBlock);
  EXPECT_EQ(cluster_.allocations.at(1).length(), kStripe + 1);
  using Lengths = std::map<uint32_t, uint64_t>;
  ASSERT_EQ(opened.size(), 2u);
  const uint64_t shard = kSmallGeometry.shard_bytes();
  EXPECT_EQ(opened.begin()->second, (Lengths{{0, shard}, {1, shard}, {2, shard}, {3, shard}, {4, shard}}));
  EXPECT_EQ(opened.rbegin()->second, (Lengths{{0, kCell + 1}, {1, kCell}, {2, kCell}, {3, kCell + 1}, {4, kCell + 1}}))
      << "so much room each needs";
}

TEST_F(FileWriterTest, WritesOfAnySizeGiveTheSameFile) {
  const std::string data = pattern(kStripe + 1000);
  for (const size_t step : {size_t{1}, size_t{4097}, static_cast<size_t>(kCell), size_t{1'000'000}}) {
    const std::string path = "/f" + std::to_string(step);
    if (step == 1) {
      ASSERT_TRUE(write(path, data.substr(0, 5000), step).has_value());
      expect_reads_back(path, data.substr(0, 5000));
      continue;
    }
    ASSERT_TRUE(write(path, data, step).has_value());
    expect_reads_back(path, data);
  }
}

// --- Metadata ------------------------------------------------------------------------------------------------------

TEST_F(FileWriterTest, TheLeaderMayChangeInTheMiddleOfAWrite) {
  const std::string data = pattern(3 * kBlock);
  world_.transport.fate = [this, mutations = 0](const Address& to, const Request& request) mutable {
    if (request.type == MessageType::kMutate && to == cluster_.meta_address(cluster_.leader) && ++mutations % 2 == 0) {
      cluster_.leader = (cluster_.leader + 1) % 3;
    }
    return Fate::kDeliver;
  };
  ASSERT_TRUE(write("/f", data).has_value());
  expect_reads_back("/f", data);
}

class LostReplyTest : public FileWriterTest, public testing::WithParamInterface<wire::Mutation::OperationCase> {};

TEST_P(LostReplyTest, OfAnyMutationDoesNotDoubleIt) {
  bool lost = false;
  world_.transport.fate = [&](const Address&, const Request& request) {
    if (lost || request.type != MessageType::kMutate) return Fate::kDeliver;
    const auto message = parse_message<wire::MutateRequest>(request.body).value();
    if (message.mutation().operation_case() != GetParam()) return Fate::kDeliver;
    lost = true;
    return Fate::kLoseReply;
  };
  if (GetParam() == wire::Mutation::kReplaceTarget) cluster_.kill(2);
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_TRUE(lost);
  EXPECT_EQ(cluster_.effects[GetParam()], 1);
  expect_reads_back("/f", data);
}

INSTANTIATE_TEST_SUITE_P(EachMutation, LostReplyTest,
                         testing::Values(wire::Mutation::kCreateFile, wire::Mutation::kAllocateBlock,
                                         wire::Mutation::kReplaceTarget, wire::Mutation::kCommitBlock,
                                         wire::Mutation::kCloseFile));

TEST_F(FileWriterTest, ALeaseThatWasTakenEndsTheWriting) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  cluster_.file("/f").lease_epoch = 2;
  Status written = ok();
  for (int i = 0; i < 20 && written; ++i) written = world_.run(writer->write(Bytes::copy_of(pattern(kBlock))));
  EXPECT_EQ(code_of(world_.run(writer->close())), ErrorCode::kLeaseLost);
}

TEST_F(FileWriterTest, LeasesAreRenewedWhileAFileIsOpen) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  world_.run_for(seconds(50));
  EXPECT_EQ(cluster_.renewals, 3u);
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  world_.run_for(seconds(50));
  EXPECT_EQ(cluster_.renewals, 3u);
}

// --- Servers that fail ---------------------------------------------------------------------------------------------

struct Death {
  MessageType phase;
  int nth = 1;
};

class ServerDeathTest : public FileWriterTest, public testing::WithParamInterface<Death> {
 protected:
  ServerDeathTest() : FileWriterTest(kLongGeometry) {}
};

TEST_P(ServerDeathTest, AtAnyPhaseIsMadeGoodByAnotherServer) {
  server_dies_at(2, GetParam().phase, GetParam().nth);
  const std::string data = pattern(kLongGeometry.block_bytes);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_EQ(cluster_.effects[wire::Mutation::kReplaceTarget], 1);
  EXPECT_LT(world_.clock.now() - MonoTime(seconds(1000)), seconds(3));
  expect_reads_back("/f", data);
}

INSTANTIATE_TEST_SUITE_P(EachPhase, ServerDeathTest,
                         testing::Values(Death{MessageType::kOpenShard}, Death{MessageType::kAppendShard},
                                         Death{MessageType::kAppendShard, 2}, Death{MessageType::kAppendShard, 3},
                                         Death{MessageType::kSealShard}));

TEST_F(FileWriterTest, ASealWhoseAnswerWasLostIsNotAFailure) {
  bool lost = false;
  world_.transport.fate = [&](const Address&, const Request& request) {
    if (lost || request.type != MessageType::kSealShard) return Fate::kDeliver;
    lost = true;
    return Fate::kResetAfter;
  };
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_EQ(cluster_.effects[wire::Mutation::kReplaceTarget], 0);
}

// By when the writer asks the server again, it has the shard sealed.
TEST_F(FileWriterTest, ASealWhoseAnswersAreLostUntilItsServerIsTriedAgainIsNotAFailure) {
  std::map<std::string, int> lost;
  world_.transport.fate = [&](const Address& server, const Request& request) {
    if (request.type != MessageType::kSealShard || lost.size() > 1) return Fate::kDeliver;
    if (lost.size() == 1 && !lost.contains(server.value)) return Fate::kDeliver;
    return ++lost[server.value] > 3 ? Fate::kDeliver : Fate::kResetAfter;
  };
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  EXPECT_EQ(cluster_.effects[wire::Mutation::kReplaceTarget], 0);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_GT(lost.begin()->second, 3);
}

TEST_F(FileWriterTest, AFlappingConnectionIsRetriedOnTheSameServer) {
  world_.transport.fate = [&, count = 0](const Address&, const Request& request) mutable {
    const bool to_server = request.type == MessageType::kOpenShard || request.type == MessageType::kAppendShard;
    if (!to_server || ++count % 5 != 0) return Fate::kDeliver;
    return count % 2 == 0 ? Fate::kResetBefore : Fate::kResetAfter;
  };
  const std::string data = pattern(kBlock + 5);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  expect_reads_back("/f", data);
}

class FiveServersTest : public FileWriterTest {
 protected:
  // Exactly k + m servers: nobody can take a failed one's place.
  FiveServersTest() {
    for (const uint64_t id : {6, 7}) cluster_.know_dead(id);
  }
};

TEST_F(FiveServersTest, WithoutAnotherServerTheBlockGoesShortAndSaysSo) {
  server_dies_at(2, MessageType::kAppendShard);
  const std::string data = pattern(kBlock);
  const Result<WriteOutcome> outcome = write("/f", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 1u);
  EXPECT_EQ(outcome.value().least_spares, 1u);
  EXPECT_LT(world_.clock.now() - MonoTime(seconds(1000)), seconds(2));
  expect_reads_back("/f", data);
}

TEST_F(FiveServersTest, ARestartedServerIsTakenBackIntoTheBlock) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  const std::string data = pattern(kBlock);
  server_dies_at(2, MessageType::kOpenShard);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(0, kBlock - 1)))).has_value());
  world_.run_for(seconds(1));
  cluster_.restart(2);
  world_.run_for(seconds(2));
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(kBlock - 1)))).has_value());
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().blocks_short, 0u);
  expect_reads_back("/f", data);
}

TEST_F(FiveServersTest, TooFewServersAreRefusedAtOnce) {
  cluster_.know_dead(1);
  cluster_.know_dead(2);
  const MonoTime start = world_.clock.now();
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  EXPECT_EQ(code_of(outcome), ErrorCode::kInsufficientServers);
  EXPECT_LT(world_.clock.now() - start, seconds(1));
}

TEST_F(FiveServersTest, DeadServersThatAreStillOfferedAreRefusedAtOnce) {
  for (const uint64_t id : {1, 2}) cluster_.kill(id);
  const MonoTime start = world_.clock.now();
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  EXPECT_EQ(code_of(outcome), ErrorCode::kInsufficientServers);
  EXPECT_LT(world_.clock.now() - start, seconds(1));
  EXPECT_TRUE(cluster_.file("/f").pending.empty());
  EXPECT_TRUE(cluster_.file("/f").closed);
}

TEST_F(FiveServersTest, DeadServersOfWhichOneIsBackInAMomentAreWaitedFor) {
  for (const uint64_t id : {1, 2}) cluster_.kill(id);
  boost::asio::co_spawn(world_.context.get_executor(), sleep_for(world_.clock, milliseconds(100)),
                        [this](const std::exception_ptr&) { cluster_.restart(2); });
  const std::string data = pattern(kBlock);
  ASSERT_TRUE(write("/f", data).has_value());
  expect_reads_back("/f", data);
}

TEST_F(FiveServersTest, AWriterUnderWayOutlivesTheRestartOfTooMany) {
  for (const bool known : {false, true}) {
    const std::string path = known ? "/known" : "/unknown";
    const std::unique_ptr<FileWriter> writer = create(path);
    const std::string data = pattern(2 * kBlock);
    ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(0, kBlock)))).has_value());
    world_.run_for(seconds(1));
    for (const uint64_t id : {1, 2}) {
      cluster_.kill(id);
      if (known) cluster_.know_dead(id);
    }
    ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(data.substr(kBlock)))).has_value());
    world_.run_for(seconds(3));
    for (const uint64_t id : {1, 2}) {
      cluster_.restart(id);
      cluster_.know_alive(id);
    }
    const Result<WriteOutcome> outcome = world_.run(writer->close());
    ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
    expect_reads_back(path, data);
  }
}

TEST_F(FiveServersTest, TooManyDeathsEndInABoundedTimeAndLeaveNothingVisible) {
  const MonoTime start = world_.clock.now();
  world_.transport.fate = [this](const Address& to, const Request& request) {
    if (request.type == MessageType::kSealShard) {
      for (const uint64_t id : {1, 2}) cluster_.kill(id);
    }
    static_cast<void>(to);
    return Fate::kDeliver;
  };
  const Result<WriteOutcome> outcome = write("/f", pattern(kBlock));
  EXPECT_EQ(code_of(outcome), ErrorCode::kInsufficientServers);
  EXPECT_NE(outcome.error().detail.find("needs 4 of 5 shards"), std::string::npos) << outcome.error().detail;
  EXPECT_LT(world_.clock.now() - start, seconds(20));
  EXPECT_TRUE(cluster_.file("/f").blocks.empty());
  EXPECT_TRUE(cluster_.file("/f").pending.empty());
  EXPECT_TRUE(cluster_.file("/f").closed);
}

// HDFS-17365: a block was acknowledged with k shards; the loss of any one before the repair was a loss of data.
TEST_F(FiveServersTest, Hdfs17365WhatIsAcknowledgedBearsTheNextLoss) {
  const std::string data = pattern(kBlock);
  uint64_t deaths = 1;
  world_.transport.fate = [&](const Address&, const Request& request) {
    for (uint64_t id = 1; request.type == MessageType::kSealShard && id <= deaths; ++id) cluster_.kill(id);
    return Fate::kDeliver;
  };
  const Result<WriteOutcome> outcome = write("/spare", data);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().least_spares, 1u);
  for (uint64_t id = 2; id <= 5; ++id) {
    cluster_.kill(id);
    expect_reads_back("/spare", data);
    cluster_.restart(id);
  }
  cluster_.restart(1);
  deaths = 2;
  EXPECT_EQ(code_of(write("/none", data)), ErrorCode::kInsufficientServers) << "three of five are left";
  EXPECT_TRUE(cluster_.file("/none").blocks.empty());
}

TEST_F(FileWriterTest, AnErrorIsFinalAndKeepsTheCommittedBlocks) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock)))).has_value());
  world_.run_for(seconds(1));
  for (uint64_t id = 1; id <= 7; ++id) cluster_.know_dead(id);
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kBlock)))).has_value());
  // They might have come back.
  world_.run_for(cluster_.client_options().stuck_timeout + seconds(1));
  EXPECT_EQ(code_of(world_.run(writer->write(Bytes::copy_of(pattern(1))))), ErrorCode::kInsufficientServers);
  EXPECT_EQ(code_of(world_.run(writer->close())), ErrorCode::kInsufficientServers);
  EXPECT_EQ(cluster_.file("/f").length, kBlock);
}

TEST_F(FileWriterTest, AbortLeavesNothing) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kStripe)))).has_value());
  world_.run_for(seconds(1));
  world_.run(writer->abort());
  EXPECT_TRUE(cluster_.file("/f").pending.empty());
  EXPECT_TRUE(cluster_.file("/f").closed);
  EXPECT_EQ(cluster_.file("/f").length, 0u);
}

TEST_F(FileWriterTest, AWriterThatIsDroppedGivesItsFileUp) {
  std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->write(Bytes::copy_of(pattern(kStripe)))).has_value());
  writer.reset();
  world_.run_for(seconds(1));
  EXPECT_TRUE(cluster_.file("/f").closed);
}

// --- Memory --------------------------------------------------------------------------------------------------------

TEST_F(FileWriterTest, HoldsNoMoreThanItsBufferHoweverLongTheFile) {
  ClientOptions options = cluster_.client_options();
  options.write_buffer_bytes = 2 * kBlock;
  restart_client(options);
  // How many bytes the user handed over that are still alive, by their owners.
  auto alive = std::make_shared<uint64_t>(0);
  uint64_t most = 0;
  const std::unique_ptr<FileWriter> writer = create("/f");
  for (int i = 0; i < 200; ++i) {
    auto memory = std::shared_ptr<std::string>(new std::string(pattern(kCell)), [alive](std::string* text) {
      *alive -= text->size();
      delete text;
    });
    *alive += memory->size();
    const Bytes cell(memory, std::as_bytes(std::span(memory->data(), memory->size())));
    memory.reset();
    ASSERT_TRUE(world_.run(writer->write(cell)).has_value());
    most = std::max(most, *alive);
  }
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_LE(most, options.write_buffer_bytes + 2 * kCell);
  EXPECT_EQ(*alive, 0u);
}

}  // namespace
}  // namespace dogfs::test
