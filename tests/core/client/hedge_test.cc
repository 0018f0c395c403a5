// A late shard is overtaken by another, and what that may cost.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/client/hedge_budget.h"
#include "core/client/server_health.h"
#include "tests/core/client/client_fixture.h"

namespace dogfs::test {
namespace {

constexpr uint64_t kCell = kSmallGeometry.cell_bytes;
constexpr uint64_t kBlock = kSmallGeometry.block_bytes;

class HedgeTest : public ClientFixture {
 protected:
  HedgeTest() {
    EXPECT_TRUE(write("/f", data_).has_value());
    for (const wire::Shard& shard : cluster_.file("/f").blocks.at(0).shards) servers_.push_back(shard.server());
  }
  void slow_down(const std::vector<uint64_t>& servers, Duration by) {
    std::vector<Address> slow;
    for (const uint64_t server : servers) slow.push_back(cluster_.server_address(server));
    world_.transport.delay = [this, slow, by](const Address& to, const Request& request) {
      if (request.type != MessageType::kReadShard) return Duration(microseconds(200));
      ++asked_;
      return std::ranges::count(slow, to) > 0 ? by : Duration(microseconds(200));
    };
  }
  // Reads one byte of each cell, one after the other; the longest that one took.
  Duration read_cells(FileReader& reader) {
    Duration longest{};
    for (uint64_t at = 0; at < 8 * kBlock; at += kCell) {
      const MonoTime start = world_.clock.now();
      const Result<std::string> got = read(reader, at, 1);
      EXPECT_TRUE(got.has_value() && got.value() == data_.substr(at, 1)) << at;
      longest = std::max(longest, world_.clock.now() - start);
    }
    return longest;
  }

  const std::string data_ = pattern(8 * kBlock);
  std::vector<uint64_t> servers_;
  uint64_t asked_ = 0;
};

TEST_F(HedgeTest, ASlowServerHoldsUpNoReadForLong) {
  slow_down({servers_[0]}, seconds(8));
  const auto reader = world_.run(client_->open("/f"));
  EXPECT_LT(read_cells(*reader.value()), milliseconds(200));
}

TEST_F(HedgeTest, TheLateReplyIsDroppedAndTheSlowServerStaysSuspect) {
  slow_down({servers_[0]}, milliseconds(300));
  const auto reader = world_.run(client_->open("/f"));
  EXPECT_EQ(read(*reader.value(), 0, 10).value(), data_.substr(0, 10));
  const uint64_t asked = asked_;
  world_.run_for(seconds(1));  // the late answer comes
  slow_down({}, {});
  asked_ = 0;
  EXPECT_EQ(read(*reader.value(), 0, 10).value(), data_.substr(0, 10));
  EXPECT_EQ(asked, 4u) << "the slow one, and three to decode from";
  EXPECT_EQ(asked_, 3u) << "around the slow one, although it has answered";
}

TEST_F(HedgeTest, WhereAllAreSlowTheExtraRequestsAreFew) {
  slow_down({1, 2, 3, 4, 5, 6, 7}, milliseconds(400));
  const auto reader = world_.run(client_->open("/f"));
  const uint64_t cells = 8 * kBlock / kCell;
  read_cells(*reader.value());
  // Each cell takes one request; what was saved up, and a tenth, may be added.
  EXPECT_LT(asked_, cells + 64 + (cells + 64) / 10 + 3 * kMaxSlowServers * cells / 5);
}

TEST(HedgeBudget, GivesATenthOfWhatWasAskedAndABurst) {
  HedgeBudget budget;
  EXPECT_TRUE(budget.take(60));
  EXPECT_FALSE(budget.take(5));
  EXPECT_TRUE(budget.take(4));
  EXPECT_TRUE(budget.take(0));
  for (int i = 0; i < 19; ++i) budget.earn();
  EXPECT_FALSE(budget.take(2));
  EXPECT_TRUE(budget.take(1));
  for (int i = 0; i < 100'000; ++i) budget.earn();
  EXPECT_FALSE(budget.take(65));
  EXPECT_TRUE(budget.take(64));
}

TEST(ServerHealth, ForgetsAFailureByAPromptAnswerOnly) {
  World world;
  ServerHealth health(world.clock);
  health.failed(ServerId(1));
  health.answered(ServerId(1), seconds(1));
  EXPECT_TRUE(health.is_suspect(ServerId(1)));
  health.answered(ServerId(1), milliseconds(1));
  EXPECT_FALSE(health.is_suspect(ServerId(1)));
}

TEST(ServerHealth, SuspectsFewServersOfBeingSlowAtATime) {
  World world;
  ServerHealth health(world.clock);
  for (const uint64_t id : {1, 2, 3}) health.overtaken(ServerId(id));
  EXPECT_TRUE(health.is_suspect(ServerId(1)) && health.is_suspect(ServerId(2)));
  EXPECT_FALSE(health.is_suspect(ServerId(3)));
  world.run_for(kSuspicionTime);
  health.overtaken(ServerId(3));
  EXPECT_TRUE(health.is_suspect(ServerId(3)));
  EXPECT_FALSE(health.is_suspect(ServerId(1)));
}

}  // namespace
}  // namespace dogfs::test
