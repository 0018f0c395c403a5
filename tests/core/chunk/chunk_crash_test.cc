// A chunk server that dies while a shard is written and sealed: what was acknowledged is there afterwards, byte for
// byte, and what was not can be written again.
#include <gtest/gtest.h>

#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

struct Crash {
  sim::CrashKind kind;
  size_t at_operation;  // counted from the opening of the shard
  uint64_t seed;
};

std::string describe(const Crash& crash) {
  return "operation " + std::to_string(crash.at_operation) + ", seed " + std::to_string(crash.seed) +
         (crash.kind == sim::CrashKind::kPower ? ", power cut" : ", killed");
}

class ChunkCrash : public ::testing::Test {
 protected:
  // Writes a shard and crashes at the given operation of the disk. False once there is no such operation any more.
  bool run(const Crash& crash, const std::string& data) {
    ChunkWorld w(crash.seed);
    EXPECT_TRUE(w.wait_registered());
    const ShardKey key = ChunkWorld::key(1);
    size_t operations = 0;
    bool crashed = false;
    w.faults[0].decide = [&](const std::string&) {
      if (operations++ != crash.at_operation) return DiskFaults::Fate::kProceed;
      crashed = true;
      w.node.crash(crash.kind);
      return DiskFaults::Fate::kHang;
    };
    const ErrorCode written = w.write(key, data, 100 * kChecksumPieceBytes);
    if (!crashed) {
      EXPECT_EQ(written, ErrorCode::kOk);
      // The reply is out; now the power goes.
      w.crash(crash.kind);
    }
    w.faults[0].decide = [](const std::string&) { return DiskFaults::Fate::kProceed; };
    w.node.boot();
    w.boot_server();
    EXPECT_TRUE(w.started && w.started->has_value());
    w.world.run_for(seconds(5));
    check(w, key, data, written == ErrorCode::kOk, describe(crash));
    return crashed;
  }

  void check(ChunkWorld& w, const ShardKey& key, const std::string& data, bool acknowledged, const std::string& what) {
    Result<std::string> read = w.read(key, 0, data.size());
    if (acknowledged || read.has_value()) {
      ASSERT_TRUE(read.has_value()) << what << ": " << read.error().to_string();
      EXPECT_EQ(read.value(), data) << what;
      return;
    }
    if (read.error().code == ErrorCode::kCorrupt) return;  // a torn seal: kept, and never served
    EXPECT_TRUE(read.error().code == ErrorCode::kNotFound || read.error().code == ErrorCode::kNotSealed)
        << what << ": " << read.error().to_string();
    EXPECT_EQ(w.write(key, data), ErrorCode::kOk) << what;
    read = w.read(key, 0, data.size());
    ASSERT_TRUE(read.has_value()) << what << ": " << read.error().to_string();
    EXPECT_EQ(read.value(), data) << what;
  }

  void run_all(sim::CrashKind kind, const std::string& data) {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      for (size_t at = 0; run(Crash{kind, at, seed}, data); ++at) ASSERT_LT(at, 100U);
    }
  }
};

TEST_F(ChunkCrash, APowerCutAtAnyOperationLosesNoAcknowledgedShard) {
  run_all(sim::CrashKind::kPower, ChunkWorld::data(1, 5 * kChecksumPieceBytes + 777));
}

TEST_F(ChunkCrash, APowerCutAtAnyOperationLosesNoAcknowledgedSmallShard) {
  run_all(sim::CrashKind::kPower, ChunkWorld::data(2, 100));
}

TEST_F(ChunkCrash, AKillAtAnyOperationLosesNoAcknowledgedShard) {
  run_all(sim::CrashKind::kProcess, ChunkWorld::data(3, 3 * kChecksumPieceBytes));
}

// At any moment, with many shards at once, so that seals share syncs.
TEST_F(ChunkCrash, APowerCutAtAnyMomentLosesNoAcknowledgedShardOfMany) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    ChunkWorld w(seed, 2);
    ASSERT_TRUE(w.wait_registered());
    constexpr uint64_t kShards = 8;
    std::vector<std::string> data;
    std::vector<std::shared_ptr<std::optional<Result<Reply>>>> seals;
    for (uint64_t block = 1; block <= kShards; ++block) {
      data.push_back(ChunkWorld::data(block, 1000 * block * block));
      ASSERT_EQ(w.open(ChunkWorld::key(block)), ErrorCode::kOk);
      ASSERT_EQ(w.append(ChunkWorld::key(block), 0, data.back()), ErrorCode::kOk);
    }
    const auto keep = [](Task<Result<Reply>> task, std::shared_ptr<std::optional<Result<Reply>>> out) -> Task<void> {
      out->emplace(co_await std::move(task));
    };
    for (uint64_t block = 1; block <= kShards; ++block) {
      Request request = make_request(MessageType::kSealShard, GroupId(0),
                                     ChunkWorld::seal_request(ChunkWorld::key(block), data[block - 1]));
      seals.push_back(std::make_shared<std::optional<Result<Reply>>>());
      w.world.spawn(w.client, keep(w.client.env().transport.call(w.node.address(), std::move(request),
                                                                 w.client.env().clock.now() + seconds(30)),
                                   seals.back()));
    }
    w.world.run_for(microseconds(static_cast<int64_t>(500 * seed)));
    w.restart();
    w.world.run_for(seconds(5));
    for (uint64_t block = 1; block <= kShards; ++block) {
      const auto& reply = *seals[block - 1];
      const bool acknowledged = reply && reply->has_value() && reply->value().error.code == ErrorCode::kOk;
      check(w, ChunkWorld::key(block), data[block - 1], acknowledged, "seed " + std::to_string(seed));
    }
  }
}

}  // namespace
}  // namespace dogfs
