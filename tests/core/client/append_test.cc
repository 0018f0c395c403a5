// Appending, syncing and truncating, and reading what came of it, against a file that is a plain string.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "core/client/server_health.h"
#include "core/ec/policy_wire.h"
#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kCell = kSmallGeometry.cell_bytes;
constexpr uint64_t kStripe = 3 * kCell;
constexpr uint64_t kBlock = kSmallGeometry.block_bytes;

class AppendTest : public ClientFixture {
 protected:
  std::unique_ptr<FileWriter> append(const std::string& path) {
    auto opened = world_.run(client_->append(path));
    EXPECT_TRUE(opened.has_value()) << opened.error().to_string();
    return std::move(opened).value();
  }
  Status put(FileWriter& writer, std::string_view data) { return world_.run(writer.write(Bytes::copy_of(data))); }

  // One of each operation's lost replies, by kind.
  void lose_reply_of(wire::Mutation::OperationCase kind) {
    world_.transport.fate = [kind, lost = false](const Address&, const Request& request) mutable {
      if (lost || request.type != MessageType::kMutate) return Fate::kDeliver;
      const auto message = parse_message<wire::MutateRequest>(request.body).value();
      if (message.mutation().operation_case() != kind) return Fate::kDeliver;
      lost = true;
      return Fate::kLoseReply;
    };
  }
};

TEST_F(AppendTest, WhatIsAppendedFollowsWhatWasThere) {
  const std::string data = pattern(2 * kBlock + 5000);
  ASSERT_TRUE(write("/f", data.substr(0, 3000)).has_value());
  const std::unique_ptr<FileWriter> writer = append("/f");
  ASSERT_TRUE(put(*writer, std::string_view(data).substr(3000)).has_value());
  const Result<WriteOutcome> outcome = world_.run(writer->close());
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome.value().bytes, data.size() - 3000) << "what this writer wrote";
  EXPECT_TRUE(read("/f").value() == data);
  EXPECT_EQ(cluster_.file("/f").blocks.at(0).length, 3000u) << "acknowledged bytes are not written again";
}

TEST_F(AppendTest, AppendingNothingChangesNothing) {
  ASSERT_TRUE(write("/f", pattern(10)).has_value());
  ASSERT_TRUE(world_.run(append("/f")->close()).has_value());
  EXPECT_EQ(read("/f").value(), pattern(10));
}

TEST_F(AppendTest, AFileThatIsBeingWrittenIsNotAppendedToAndAMissingOneNeither) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  EXPECT_EQ(code_of(world_.run(client_->append("/f"))), ErrorCode::kLeaseHeld);
  EXPECT_EQ(code_of(world_.run(client_->truncate("/f", 0))), ErrorCode::kLeaseHeld);
  EXPECT_EQ(code_of(world_.run(client_->append("/none"))), ErrorCode::kNotFound);
  ASSERT_TRUE(world_.run(writer->close()).has_value());
}

TEST_F(AppendTest, ALostReplyDoesNotTakeTheLeaseTwice) {
  ASSERT_TRUE(write("/f", pattern(10)).has_value());
  lose_reply_of(wire::Mutation::kAppendFile);
  const std::unique_ptr<FileWriter> writer = append("/f");
  ASSERT_TRUE(put(*writer, "more").has_value());
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_EQ(cluster_.effects[wire::Mutation::kAppendFile], 1);
  EXPECT_EQ(read("/f").value(), pattern(10) + "more");
}

// --- Sync ------------------------------------------------------------------------------------------------------------

TEST_F(AppendTest, WhatIsSyncedCanBeReadByOthersWhileTheFileIsStillWritten) {
  const std::string data = pattern(kBlock + kStripe + 100);
  const std::unique_ptr<FileWriter> writer = create("/f");
  size_t at = 0;
  for (const size_t bytes : {size_t{1}, size_t{100}, static_cast<size_t>(kCell), static_cast<size_t>(kStripe + 7)}) {
    ASSERT_TRUE(put(*writer, std::string_view(data).substr(at, bytes)).has_value());
    at += bytes;
    ASSERT_TRUE(world_.run(writer->sync()).has_value());
    EXPECT_EQ(cluster_.file("/f").length, at);
    EXPECT_TRUE(read("/f").value() == data.substr(0, at));
  }
  ASSERT_TRUE(put(*writer, std::string_view(data).substr(at)).has_value());
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_TRUE(read("/f").value() == data);
}

TEST_F(AppendTest, ASyncWithNothingNewCostsNothing) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  ASSERT_TRUE(put(*writer, "x").has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  EXPECT_EQ(cluster_.effects[wire::Mutation::kCommitBlock], 1);
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_EQ(code_of(world_.run(writer->sync())), ErrorCode::kInvalidArgument);
}

TEST_F(AppendTest, ASyncOfAWriterThatLostItsLeaseFails) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(put(*writer, "x").has_value());
  cluster_.file("/f").lease_epoch = 2;
  EXPECT_EQ(code_of(world_.run(writer->sync())), ErrorCode::kLeaseLost);
  EXPECT_EQ(cluster_.file("/f").length, 0u);
}

TEST_F(AppendTest, AWriterThatFailsLaterKeepsWhatWasSynced) {
  const std::unique_ptr<FileWriter> writer = create("/f");
  ASSERT_TRUE(put(*writer, pattern(1000)).has_value());
  ASSERT_TRUE(world_.run(writer->sync()).has_value());
  ASSERT_TRUE(put(*writer, pattern(2000)).has_value());
  world_.run(writer->abort());
  EXPECT_EQ(read("/f").value(), pattern(1000));
}

// --- Truncate --------------------------------------------------------------------------------------------------------

TEST_F(AppendTest, ATruncatedFileEndsWhereItWasCut) {
  const std::string data = pattern(5 * kBlock + kStripe);
  ASSERT_TRUE(write("/f", data).has_value());
  for (const uint64_t length : {5 * kBlock + 1, 5 * kBlock, 2 * kBlock + kCell + 3, uint64_t{7}, uint64_t{0}}) {
    ASSERT_TRUE(world_.run(client_->truncate("/f", length)).has_value());
    EXPECT_TRUE(read("/f").value() == data.substr(0, length));
    EXPECT_TRUE(cluster_.file("/f").closed);
  }
}

TEST_F(AppendTest, AFileIsNotTruncatedToMoreThanItHas) {
  ASSERT_TRUE(write("/f", pattern(10)).has_value());
  EXPECT_EQ(code_of(world_.run(client_->truncate("/f", 11))), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(cluster_.file("/f").closed);
  EXPECT_EQ(read("/f").value(), pattern(10));
}

TEST_F(AppendTest, ALostReplyDoesNotCutTwice) {
  ASSERT_TRUE(write("/f", pattern(3 * kBlock)).has_value());
  lose_reply_of(wire::Mutation::kTruncateFile);
  ASSERT_TRUE(world_.run(client_->truncate("/f", kBlock / 2)).has_value());
  EXPECT_EQ(cluster_.effects[wire::Mutation::kTruncateFile], 2) << "three blocks, two a command";
  EXPECT_TRUE(read("/f").value() == pattern(3 * kBlock).substr(0, kBlock / 2));
}

TEST_F(AppendTest, BytesThatWereCutAwayDoNotComeBackUnderWhatIsAppended) {
  const std::string data = pattern(kStripe);
  ASSERT_TRUE(write("/f", data).has_value());
  ASSERT_TRUE(world_.run(client_->truncate("/f", 100)).has_value());
  const std::unique_ptr<FileWriter> writer = append("/f");
  const std::string more(kStripe, 'x');
  ASSERT_TRUE(put(*writer, more).has_value());
  ASSERT_TRUE(world_.run(writer->close()).has_value());
  EXPECT_TRUE(read("/f").value() == data.substr(0, 100) + more);
}

TEST_F(AppendTest, AReaderThatWasOpenBeforeATruncationNeverGetsAWrongByte) {
  const std::string data = pattern(3 * kBlock);
  ASSERT_TRUE(write("/f", data).has_value());
  const std::unique_ptr<FileReader> reader = std::move(world_.run(client_->open("/f"))).value();
  ASSERT_TRUE(world_.run(client_->truncate("/f", kBlock + 10)).has_value());
  for (uint64_t at = 0; at < data.size(); at += kCell) {
    const Result<std::string> got = read(*reader, at, kCell);
    if (got) EXPECT_TRUE(got.value() == data.substr(at, kCell)) << at;
  }
}

// --- Positional and vectored reads -----------------------------------------------------------------------------------

// Any sequence of writes, syncs, appends, truncations and conversions, with servers away, reads as a string would.
RC_GTEST_PROP(FlatFile, IsWhatAFileIsWhateverItsBlocks, ()) {
  class Case : public AppendTest {
   public:
    using AppendTest::append;
    using AppendTest::put;
    void TestBody() override {}
    Client& client() { return *client_; }
    World& world() { return world_; }
    FakeCluster& cluster() { return cluster_; }
    std::unique_ptr<FileWriter> begin() { return create("/f"); }
    using AppendTest::keep_tails_inline;
  } c;
  const auto draw = [](uint64_t below) { return *rc::gen::inRange<uint64_t>(0, below); };
  if (draw(2) == 0) c.keep_tails_inline();
  std::string flat;
  std::unique_ptr<FileWriter> writer = c.begin();
  for (int step = 0; step < 8; ++step) {
    const uint64_t most = draw(2) == 0 ? 3000 : kBlock + kStripe;
    const std::string piece = pattern(1 + draw(most), static_cast<unsigned>(step));
    RC_ASSERT(c.put(*writer, piece).has_value());
    flat += piece;
    const uint64_t next = draw(5);
    if (next == 0) RC_ASSERT(c.world().run(writer->sync()).has_value());
    if (next < 2) continue;
    RC_ASSERT(c.world().run(writer->close()).has_value());
    if (next == 3) {
      flat.resize(draw(flat.size() + 1));
      RC_ASSERT(c.world().run(c.client().truncate("/f", flat.size())).has_value());
    }
    if (next == 4) {
      wire::EcPolicy policy = geometry_to_wire(kSmallGeometry);
      policy.set_data_shards(2 + static_cast<uint32_t>(draw(2)));
      policy.set_block_bytes(policy.data_shards() * kCell * (1 + draw(4)));
      RC_ASSERT(c.world().run(c.client().convert("/f", policy)).has_value());
      for (const FakeBlock& block : c.cluster().file("/f").blocks) {
        RC_ASSERT(block.geometry == geometry_from_wire(policy).value());
      }
    }
    writer = c.append("/f");
  }
  RC_ASSERT(c.world().run(writer->close()).has_value());

  for (uint64_t away = draw(3); away > 0; --away) c.cluster().kill(1 + draw(7));
  const std::unique_ptr<FileReader> reader = std::move(c.world().run(c.client().open("/f"))).value();
  RC_ASSERT(reader->size() == flat.size());
  std::vector<FileRange> ranges;
  for (int i = 0; i < 12; ++i) {
    ranges.push_back({.offset = draw(flat.size() + 10), .length = draw(draw(2) == 0 ? 100 : 2 * kBlock)});
  }
  const auto expected = [&](const FileRange& range) {
    return range.offset >= flat.size() ? std::string() : flat.substr(range.offset, range.length);
  };
  const auto several = c.world().run(reader->read_ranges(ranges));
  RC_ASSERT(several.has_value());
  RC_ASSERT(several.value().size() == ranges.size());
  for (size_t i = 0; i < ranges.size(); ++i) {
    RC_ASSERT(several.value()[i].flatten().view() == expected(ranges[i]));
    const auto one = c.world().run(reader->read(ranges[i].offset, ranges[i].length));
    RC_ASSERT(one.has_value());
    RC_ASSERT(one.value().flatten().view() == expected(ranges[i]));
  }
}

class RangesTest : public AppendTest {};

// Ceph #58749: where a read had several ranges and the last stripe was partial, each shard's bytes were taken from
// offsets that belonged to another range.
TEST_F(RangesTest, Ceph58749SeveralRangesOfAPartialStripeWithAShardMissing) {
  const std::string data = pattern(kStripe + kCell + 777);
  ASSERT_TRUE(write("/f", data).has_value());
  const FakeBlock& block = cluster_.file("/f").blocks.at(0);
  const std::vector<FileRange> ranges{
      {.offset = kStripe + kCell + 1, .length = 700}, {.offset = kStripe - 3, .length = 10},
      {.offset = kStripe + 5, .length = kCell},       {.offset = kCell - 1, .length = kStripe},
      {.offset = kStripe + kCell - 1, .length = 2},   {.offset = kStripe + kCell + 776, .length = 50}};
  for (const wire::Shard& missing : block.shards) {
    cluster_.kill(missing.server());
    const auto opened = world_.run(client_->open("/f"));
    const auto got = world_.run(opened.value()->read_ranges(ranges));
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    for (size_t i = 0; i < ranges.size(); ++i) {
      EXPECT_TRUE(got.value()[i].flatten().view() == data.substr(ranges[i].offset, ranges[i].length))
          << "range " << i << " without shard " << missing.index();
    }
    cluster_.restart(missing.server());
    world_.run_for(kSuspicionTime);
  }
}

TEST_F(RangesTest, AnErrorInOneRangeIsTheErrorOfTheRead) {
  ASSERT_TRUE(write("/f", pattern(2 * kBlock)).has_value());
  const FakeBlock& second = cluster_.file("/f").blocks.at(1);
  for (const size_t i : {0, 1, 2}) cluster_.server(second.shards[i].server()).shards.clear();
  const auto opened = world_.run(client_->open("/f"));
  const std::vector<FileRange> ranges{{.offset = 0, .length = 0}, {.offset = kBlock + 1, .length = 5}};
  EXPECT_EQ(code_of(world_.run(opened.value()->read_ranges(ranges))), ErrorCode::kDataLoss);
}

TEST_F(RangesTest, ManyRangesAreFetchedAFewAtATime) {
  ClientOptions options = cluster_.client_options();
  options.read_ahead_bytes = kBlock;
  restart_client(options);
  ASSERT_TRUE(write("/f", pattern(8 * kBlock)).has_value());
  const auto opened = world_.run(client_->open("/f"));
  std::vector<FileRange> ranges;
  for (int i = 0; i < 8; ++i) ranges.push_back({.offset = 0, .length = 8 * kBlock});
  const MonoTime answered = world_.clock.now() + milliseconds(900);
  world_.transport.delay = [](const Address&, const Request&) { return Duration(seconds(1)); };
  int asked = 0;
  world_.transport.fate = [&](const Address&, const Request& request) {
    if (request.type == MessageType::kReadShard && world_.clock.now() < answered) ++asked;
    return Fate::kDeliver;
  };
  const auto got = world_.run(opened.value()->read_ranges(ranges));
  ASSERT_TRUE(got.has_value());
  for (const BytesChain& bytes : got.value()) EXPECT_EQ(bytes.size(), 8 * kBlock);
  EXPECT_LE(asked, 5) << "one segment: its three shards, and two that hedge";
}

}  // namespace
}  // namespace dogfs::test
