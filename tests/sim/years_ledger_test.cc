#include "sim/years_ledger.h"

#include <gtest/gtest.h>

#include <set>

namespace dogfs::sim {
namespace {

constexpr BlockId kBlock(7);

// One block of two data shards and a parity shard.
class YearsLedgerTest : public testing::Test {
 protected:
  YearsLedgerTest() {
    wire::BlockRow row;
    row.set_block(kBlock.value());
    row.set_state(wire::BlockRow::COMMITTED);
    for (uint32_t index = 0; index < 3; ++index) {
      wire::Shard& shard = *row.add_shards();
      shard.set_index(index);
      shard.set_server(index + 1);
    }
    WriteBatch batch;
    batch.put(MetaKeys(GroupId(0)).block(kBlock), row.SerializeAsString());
    ledger_.note(batch);
  }

  void leave_without(std::set<uint32_t> gone) {
    gone_ = std::move(gone);
    ledger_.recount(kBlock);
  }

  std::set<uint32_t> gone_;
  Simulator simulator_{1};
  YearsLedger ledger_{simulator_, 1,
                      [this](const ListedShard& shard) { return !gone_.contains(shard.key.index.value()); }};
};

TEST_F(YearsLedgerTest, ABlockIsLostWithMoreThanItsParity) {
  leave_without({0});
  EXPECT_EQ(ledger_.short_blocks(), 1U);
  EXPECT_EQ(ledger_.lost(), 0U);
  leave_without({0, 2});
  EXPECT_EQ(ledger_.short_blocks(), 0U);
  EXPECT_EQ(ledger_.lost(), 1U);
  leave_without({0, 1, 2});
  EXPECT_EQ(ledger_.lost(), 1U);
  EXPECT_EQ(ledger_.states().losses[0], 1U);
  EXPECT_EQ(ledger_.states().losses[1], 1U);
}

// As when a server returns with a shard whose successor is gone.
TEST_F(YearsLedgerTest, ABlockThatComesBackWasNotLost) {
  leave_without({0, 1, 2});
  EXPECT_EQ(ledger_.lost(), 1U);
  leave_without({2});
  EXPECT_EQ(ledger_.lost(), 0U);
  EXPECT_EQ(ledger_.short_blocks(), 1U);
  EXPECT_EQ(ledger_.states().losses[1], 0U);
  leave_without({});
  EXPECT_EQ(ledger_.short_blocks(), 0U);
  EXPECT_EQ(ledger_.states().losses[0], 1U);
  EXPECT_EQ(ledger_.states().rebuilds[1], 1U);
}

}  // namespace
}  // namespace dogfs::sim
