#include "runtime/cli/balance_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dogfs::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

wire::BalanceReply reply(uint32_t threshold_percent) {
  wire::BalanceReply out;
  out.set_threshold_percent(threshold_percent);
  out.set_moves(7);
  out.set_blocks(50);
  out.set_blocks_seen(20);
  out.set_estimate_ms(-1);
  return out;
}

TEST(BalanceReport, OneThatIsDoneSaysSo) {
  wire::BalanceReply done = reply(0);
  EXPECT_EQ(describe_balancing(done), "off, 7 shards moved");
  done.set_balanced(true);
  EXPECT_EQ(describe_balancing(done), "off, 7 shards moved: balanced, nothing is left that can be moved");
}

TEST(BalanceReport, OneThatIsOnShowsHowMuchIsLeftAndForHowLong) {
  wire::BalanceReply on = reply(10);
  on.set_servers_too_full(2);
  on.set_bytes_left(3ULL << 30);
  EXPECT_THAT(describe_balancing(on),
              HasSubstr("20 of 50 blocks seen in this pass; 2 servers are too full by 3.0G, for "
                        "how long is not known yet"));
  on.set_estimate_ms(80'000);
  EXPECT_THAT(describe_balancing(on), HasSubstr("too full by 3.0G, about 1:20 at the rate of late"));
}

TEST(BalanceReport, OneThatEndedThoughNotAllIsWellSaysWhy) {
  wire::BalanceReply done = reply(0);
  done.set_balanced(true);
  done.set_servers_too_full(2);
  done.set_bytes_left(1 << 20);
  done.set_crowded_blocks(4);
  EXPECT_THAT(describe_balancing(done), HasSubstr("none of their shards can go elsewhere"));
  EXPECT_THAT(describe_balancing(done), HasSubstr("4 blocks have more shards in one rack than the code can spare"));
  EXPECT_THAT(describe_balancing(done), Not(HasSubstr("add servers")));
  done.set_stuck_blocks(3);
  EXPECT_THAT(describe_balancing(done), HasSubstr("3 of them have no other rack to go to: add servers in other racks"));
}

}  // namespace
}  // namespace dogfs::cli
