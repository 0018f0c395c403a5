// Rebuilding shards from others, whatever those do.
#include "core/chunk/repair_worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/chunk/piece_sums.h"
#include "core/chunk/shard_rebuild.h"
#include "core/ec/codec.h"
#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

constexpr Geometry kGeometry{
    .data_shards = 3, .parity_shards = 2, .cell_bytes = 4096, .block_bytes = 3 * 4096ULL * 600};
constexpr uint64_t kBlock = 18;
// Data of a block whose shards are rebuilt in one stretch (stretch_bytes()).
constexpr uint64_t kStretch = 3 * kMiB;

// All stored shards of one block, as other servers have them.
class Sources final : public RequestHandler {
 public:
  Sources(Clock& clock, uint64_t block_length) : clock_(clock), layout(kGeometry, block_length) {
    const std::string data = ChunkWorld::data(block_length, block_length);
    for (const ShardIndex index : layout.stored_indices()) shards[index.value()].resize(layout.shard_length(index));
    for (const CellPiece& piece : layout.pieces({0, block_length})) {
      shards[piece.index.value()].replace(piece.shard_offset, piece.length, data, piece.block_offset, piece.length);
    }
    encode();
  }

  wire::Shard source(uint32_t index) const {
    wire::Shard shard;
    shard.set_index(index);
    shard.set_length(shards.at(index).size());
    shard.set_crc32c(crc32c(shards.at(index)));
    shard.set_server(100 + index);
    shard.set_generation(50 + index);
    shard.set_server_address("sources");
    return shard;
  }

  Task<Reply> handle(Request request, MonoTime) override {
    const auto message = parse_message<wire::ReadShardRequest>(request.body).value();
    const uint32_t index = message.key().index();
    ++reads[index];
    if (delays.contains(index)) co_await sleep_for(clock_, delays.at(index));
    if (refusals.contains(index)) co_return error_reply(refusals.at(index));
    const std::string& shard = shards.at(served_as.contains(index) ? served_as.at(index) : index);
    // As a server does, whole pieces.
    const uint64_t end = piece_count(message.offset() + message.length()) * kChecksumPieceBytes;
    std::string bytes = shard.substr(message.offset(), end - message.offset());
    wire::ReadShardReply reply;
    reply.set_payload_offset(message.offset());
    reply.set_shard_length(shard.size());
    reply.set_shard_crc32c(crc32c(shard));
    for (size_t at = 0; at < bytes.size(); at += kChecksumPieceBytes) {
      reply.add_piece_crc32c(crc32c(std::string_view(bytes).substr(at, kChecksumPieceBytes)));
    }
    if (spoilt.contains(index)) bytes.back() = static_cast<char>(bytes.back() ^ 1);
    co_return make_reply(reply, BytesChain(Bytes::copy_of(bytes)));
  }
  void receive(Request) override {}

 private:
  void encode() {
    const Codec codec(kGeometry.data_shards, kGeometry.parity_shards);
    std::vector<std::span<const std::byte>> data;
    for (uint32_t index = 0; index < layout.stored_data_shards(); ++index) {
      data.push_back(std::as_bytes(std::span(shards[index])));
    }
    std::vector<std::span<std::byte>> parity;
    for (uint32_t index = 3; index < 5; ++index) parity.push_back(std::as_writable_bytes(std::span(shards[index])));
    codec.encode(data, parity);
  }

  Clock& clock_;

 public:
  BlockLayout layout;
  std::map<uint32_t, std::string> shards;
  std::map<uint32_t, int> reads;
  std::map<uint32_t, Duration> delays;
  std::map<uint32_t, Error> refusals;
  std::map<uint32_t, uint32_t> served_as;  // answers with another shard's bytes
  std::set<uint32_t> spoilt;
};

class RepairWorkerTest : public ::testing::Test {
 protected:
  explicit RepairWorkerTest(size_t disks = 1, ChunkOptions options = {})
      : w_(1, disks, std::move(options)), node_(w_.world.add_node("sources")) {
    use_block(3 * 4096ULL * 40 + 5000);
  }
  void SetUp() override { ASSERT_TRUE(w_.wait_registered()); }

  void use_block(uint64_t length) {
    sources_ = std::make_unique<Sources>(node_.env().clock, length);
    node_.env().transport.serve(*sources_);
  }

  wire::RepairOrder order(uint32_t index, const std::vector<uint32_t>& from) {
    wire::RepairOrder order;
    *order.mutable_shard() = shard_name_to_wire(ChunkWorld::key(kBlock, index, ++generation_));
    *order.mutable_policy() = geometry_to_wire(kGeometry);
    order.set_block_length(sources_->layout.length());
    order.set_length(sources_->shards.at(index).size());
    order.set_crc32c(crc32c(sources_->shards.at(index)));
    for (const uint32_t source : from) *order.add_sources() = sources_->source(source);
    return order;
  }

  // What the server says of the order.
  wire::RepairOutcome run(const wire::RepairOrder& order) {
    w_.meta.outcomes.clear();
    w_.meta.repairs = {order};
    EXPECT_TRUE(w_.world.run_until([this] { return !w_.meta.outcomes.empty(); }, kPatience));
    return w_.meta.outcomes.empty() ? wire::RepairOutcome() : w_.meta.outcomes.front();
  }
  ErrorCode outcome(const wire::RepairOrder& order) { return error_code_from_wire(run(order).error()); }

  static ShardKey key_of(const wire::RepairOrder& order) { return shard_key_from_wire(order.shard()).value(); }

  void expect_rebuilt(const wire::RepairOrder& order) {
    const wire::RepairOutcome said = run(order);
    ASSERT_EQ(said.error(), 0u) << said.detail();
    EXPECT_EQ(said.crc32c(), order.crc32c());
    const std::string& bytes = sources_->shards.at(order.shard().index());
    EXPECT_EQ(w_.read(key_of(order), 0, bytes.size()).value(), bytes);
  }

  // More than may be under way; returns their number when those that may are.
  size_t order_many_slow_ones() {
    for (uint32_t index = 1; index < 5; ++index) sources_->delays[index] = seconds(2);
    for (int i = 0; i < 20; ++i) w_.meta.repairs.push_back(order(0, {1, 2, 3}));
    EXPECT_TRUE(w_.world.run_until([this] { return sources_->reads[1] > 0; }, kPatience));
    w_.world.run_for(seconds(1));
    return w_.meta.repairs.size();
  }

  ChunkWorld w_;
  sim::Node& node_;
  std::unique_ptr<Sources> sources_;
  uint64_t generation_ = 1000;
};

class RepairOnTwoDisks : public RepairWorkerTest {
 protected:
  RepairOnTwoDisks() : RepairWorkerTest(2) {}
};

// The leader orders the next when it has heard of the last.
TEST_F(RepairWorkerTest, OneRebuildAfterTheOtherDoesNotWaitForTheRegularHeartbeats) {
  constexpr int kRebuilds = 20;
  expect_rebuilt(order(0, {1, 2, 3}));
  const auto begun = w_.world.now();
  for (int i = 0; i < kRebuilds; ++i) expect_rebuilt(order(0, {1, 2, 3}));
  EXPECT_LT(w_.world.now() - begun, kRebuilds * ChunkOptions().heartbeat_interval / 3);
}

TEST_F(RepairWorkerTest, AServerThatHasRepairedSendsRegularHeartbeatsAgain) {
  expect_rebuilt(order(0, {1, 2, 3}));
  w_.world.run_for(seconds(3));
  w_.meta.heartbeats.clear();
  w_.world.run_for(seconds(10));
  EXPECT_LE(w_.meta.heartbeats.size(), 11u);
}

// A rate at which the rebuild of a full block's shard takes as many seconds as it reads MiB, a little over 7.
class PacedRepairTest : public RepairWorkerTest {
 protected:
  static constexpr Duration kFewBeats = milliseconds(300);

  PacedRepairTest() : RepairWorkerTest(1, options()) { use_block(kGeometry.block_bytes); }
  static ChunkOptions options() {
    ChunkOptions options;
    options.heartbeat_interval = milliseconds(50);
    options.repair_bytes_per_s = kMiB;
    return options;
  }
  void SetUp() override {
    RepairWorkerTest::SetUp();
    ASSERT_EQ(w_.write(key_, "bytes"), ErrorCode::kOk);
    w_.world.run_for(seconds(2));
  }

  Duration time_of_a_rebuild() {
    const auto begun = w_.world.now();
    expect_rebuilt(order(0, {1, 2, 3}));
    return w_.world.now() - begun;
  }
  // One reads a little every 500 ms, until the end of `duration`; `slowest_` is how long one waited.
  void clients_for(Duration duration) { w_.world.spawn(w_.client, read_on(duration)); }

  Duration slowest_{};

 private:
  Task<void> read_on(Duration duration) {
    Env& env = w_.client.env();
    const MonoTime end = env.clock.now() + duration;
    while (env.clock.now() < end) {
      const MonoTime begun = env.clock.now();
      Request request = make_request(MessageType::kReadShard, GroupId(0), ChunkWorld::read_request(key_, 0, 1));
      const Result<Reply> reply = co_await env.transport.call(w_.node.address(), std::move(request), end);
      EXPECT_TRUE(reply.has_value() && reply.value().error.code == ErrorCode::kOk);
      slowest_ = std::max<Duration>(slowest_, env.clock.now() - begun);
      co_await sleep_for(env.clock, milliseconds(500));
    }
  }

  const ShardKey key_ = ChunkWorld::key(99);
};

TEST_F(PacedRepairTest, AnIdleServerRebuildsAtFullSpeed) {
  EXPECT_LT(time_of_a_rebuild(), seconds(1));
}

TEST_F(PacedRepairTest, BesideClientsARebuildKeepsToItsRateAndClientsDoNotWait) {
  clients_for(seconds(20));
  w_.world.run_for(milliseconds(50));
  EXPECT_GE(time_of_a_rebuild(), milliseconds(6750));
  EXPECT_LT(slowest_, milliseconds(100));
}

TEST_F(PacedRepairTest, ARebuildThatWaitsForClientsGoesOnAtFullSpeedWhenTheyAreGone) {
  clients_for(seconds(2));
  w_.world.run_for(milliseconds(50));
  const Duration taken = time_of_a_rebuild();
  EXPECT_GE(taken, seconds(2));
  EXPECT_LT(taken, seconds(3) + kFewBeats);
}

// HADOOP-19180: decoding was wrong for some orders of the indices.
TEST_F(RepairWorkerTest, Hadoop19180EveryShardIsRebuiltFromAnyOthersInAnyOrder) {
  for (uint32_t wanted = 0; wanted < 5; ++wanted) {
    std::vector<uint32_t> others;
    for (uint32_t index = 0; index < 5; ++index) {
      if (index != wanted) others.push_back(index);
    }
    do {
      expect_rebuilt(order(wanted, {others.begin(), others.begin() + 3}));
    } while (std::ranges::next_permutation(others).found && !HasFailure());
  }
}

// HDDS-10682: a shard that has nothing of the last stripe was rebuilt with an empty piece at its end, and what was
// rebuilt from it later failed at that.
TEST_F(RepairWorkerTest, Hdds10682APartialStripeIsRebuiltToTheByte) {
  for (const uint64_t length :
       {uint64_t{1}, uint64_t{4096}, uint64_t{4097}, uint64_t{8192 + 17}, uint64_t{3 * 4096 + 1},
        uint64_t{3 * 4096 * 20 + 4096 * 2 + 9}, kStretch + 100, kStretch + 4096 + 1, kGeometry.block_bytes}) {
    use_block(length);
    for (const auto& [wanted, bytes] : sources_->shards) {
      std::vector<uint32_t> others;
      for (const auto& [index, shard] : sources_->shards) {
        if (index != wanted) others.push_back(index);
      }
      expect_rebuilt(order(wanted, others));
    }
  }
}

TEST_F(RepairWorkerTest, ADamagedSourceIsReplacedByAnotherAndNamed) {
  sources_->spoilt = {1};
  expect_rebuilt(order(0, {1, 2, 3, 4}));
  ASSERT_EQ(w_.meta.outcomes.front().suspects_size(), 1);
  EXPECT_EQ(w_.meta.outcomes.front().suspects(0).SerializeAsString(), sources_->source(1).SerializeAsString());
  sources_->spoilt.clear();
  expect_rebuilt(order(0, {1, 2, 3, 4}));
  EXPECT_EQ(w_.meta.outcomes.front().suspects_size(), 0);
}

TEST_F(RepairWorkerTest, ASourceThatCannotBeReadIsReplacedByAnotherAndNamed) {
  sources_->refusals.emplace(1, Error(ErrorCode::kIoError));
  expect_rebuilt(order(0, {1, 2, 3, 4}));
  ASSERT_EQ(w_.meta.outcomes.front().suspects_size(), 1);
  EXPECT_EQ(w_.meta.outcomes.front().suspects(0).SerializeAsString(), sources_->source(1).SerializeAsString());
  EXPECT_EQ(sources_->reads[1], 1);
  EXPECT_EQ(sources_->reads[4], 1);
}

// HDDS-10983: a source answered with the replica of another index, whole and with matching checksums.
TEST_F(RepairWorkerTest, Hdds10983TheBytesOfAnotherIndexAreNoSource) {
  use_block(3 * 4096ULL * 40);  // all shards are of one length
  for (const uint32_t other : {0, 2, 3, 4}) {
    sources_->served_as[1] = other;
    expect_rebuilt(order(0, {1, 2, 3, 4}));
  }
}

// HDFS-15240: the answer of a slow source came into a buffer that was in use for something else by then.
TEST_F(RepairWorkerTest, Hdfs15240ALateAnswerSpoilsNothing) {
  use_block(2 * kStretch);
  // Of the first stretch: after ten seconds another source is asked instead, after fourteen the second is under way.
  sources_->delays[1] = seconds(14);
  sources_->delays[4] = seconds(3);
  expect_rebuilt(order(0, {1, 2, 3, 4}));
  EXPECT_EQ(sources_->reads[1], 1);
  EXPECT_EQ(sources_->reads[4], 2);
}

TEST_F(RepairWorkerTest, OtherBytesThanWereCommittedAreNeverSealed) {
  wire::RepairOrder wrong = order(0, {1, 2, 3});
  wrong.set_crc32c(wrong.crc32c() + 1);
  EXPECT_EQ(outcome(wrong), ErrorCode::kChecksumMismatch);
  EXPECT_EQ(w_.code(MessageType::kReadShard, ChunkWorld::read_request(key_of(wrong), 0, 1)), ErrorCode::kNotFound);
  EXPECT_TRUE(w_.files().empty());
}

TEST_F(RepairWorkerTest, TooFewSourcesAreSaidToBeLostOrOnlyOutOfReach) {
  EXPECT_EQ(outcome(order(0, {1, 2})), ErrorCode::kDataLoss);
  sources_->spoilt = {1, 2};
  EXPECT_EQ(outcome(order(0, {1, 2, 3, 4})), ErrorCode::kDataLoss);
  sources_->spoilt.clear();
  sources_->refusals.emplace(1, Error(ErrorCode::kIoError));
  sources_->refusals.emplace(2, Error(ErrorCode::kUnavailable));
  EXPECT_EQ(outcome(order(0, {1, 2, 3, 4})), ErrorCode::kUnavailable);
  EXPECT_TRUE(w_.files().empty());
}

TEST_F(RepairWorkerTest, AShardThatOnlyMovesIsCopiedAndDecodedWhereThatFails) {
  expect_rebuilt(order(2, {2, 0, 1, 3}));
  EXPECT_EQ(sources_->reads[0], 0);
  sources_->spoilt = {2};
  expect_rebuilt(order(2, {2, 0, 1, 3}));
}

TEST_F(RepairWorkerTest, AnOrderThatComesAgainIsFoundDone) {
  const wire::RepairOrder twice = order(0, {1, 2, 3});
  expect_rebuilt(twice);
  const int reads = sources_->reads[1];
  expect_rebuilt(twice);
  EXPECT_EQ(sources_->reads[1], reads);
}

TEST_F(RepairWorkerTest, AnOutcomeIsRepeatedUntilALeaderHasHeardIt) {
  w_.meta.repairs = {order(0, {1, 2, 3})};
  ASSERT_TRUE(w_.world.run_until([this] { return sources_->reads[3] > 0; }, kPatience));
  w_.meta.leads = false;
  w_.world.run_for(seconds(10));
  EXPECT_TRUE(w_.meta.outcomes.empty());
  w_.meta.leads = true;
  EXPECT_TRUE(w_.world.run_until([this] { return !w_.meta.outcomes.empty(); }, kPatience));
}

TEST_F(RepairWorkerTest, ADiskHasSoManyRebuildsAtOnceAndTheOthersWait) {
  const size_t most = order_many_slow_ones();
  EXPECT_EQ(w_.files().size(), w_.options().max_repairs_per_disk);
  EXPECT_TRUE(w_.world.run_until([&] { return w_.meta.outcomes.size() == most; }, kPatience));
  EXPECT_EQ(w_.files().size(), most);
}

TEST_F(RepairOnTwoDisks, EachHasItsShare) {
  const size_t most = order_many_slow_ones();
  EXPECT_EQ(w_.files(0).size(), w_.options().max_repairs_per_disk);
  EXPECT_EQ(w_.files(1).size(), w_.options().max_repairs - w_.options().max_repairs_per_disk);
  EXPECT_TRUE(w_.world.run_until([&] { return w_.meta.outcomes.size() == most; }, kPatience));
}

TEST_F(RepairWorkerTest, OrdersThatNoBlockCanHaveAreRefused) {
  const auto refused = [this](auto spoil) {
    wire::RepairOrder bad = order(0, {1, 2, 3});
    spoil(bad);
    return outcome(bad);
  };
  const auto kBad = ErrorCode::kInvalidArgument;
  EXPECT_EQ(refused([](auto& bad) { bad.set_block_length(0); }), kBad);
  EXPECT_EQ(refused([](auto& bad) { bad.set_block_length(kGeometry.block_bytes + 1); }), kBad);
  EXPECT_EQ(refused([](auto& bad) { bad.set_length(bad.length() + 1); }), kBad);
  EXPECT_EQ(refused([](auto& bad) { bad.mutable_sources(0)->set_index(7); }), kBad);
  EXPECT_EQ(refused([](auto& bad) { bad.mutable_sources(0)->set_index(2); }), kBad) << "named twice";
  EXPECT_EQ(refused([](auto& bad) { bad.mutable_sources(0)->set_length(1); }), kBad);
  EXPECT_EQ(refused([](auto& bad) { bad.mutable_policy()->set_data_shards(0); }), kBad);
}

TEST_F(RepairWorkerTest, MemoryIsBoundedByTheStretch) {
  StopSignal stop(w_.node.env().clock);
  BackgroundPace pace(w_.node.env().clock, stop, 1 << 20);
  const ShardRebuild rebuild(w_.node.env(), pace, parse_rebuild_order(order(0, {1, 2, 3})).value());
  EXPECT_EQ(rebuild.stretch_bytes() % kChecksumPieceBytes, 0u);
  EXPECT_LE(rebuild.stretch_bytes() * 4, 8 * kMiB);
}

}  // namespace
}  // namespace dogfs
