#include "runtime/cli/policy.h"

#include <gtest/gtest.h>

#include "core/ec/geometry.h"
#include "core/ec/policy_wire.h"

namespace dogfs::cli {
namespace {

TEST(ParsePolicy, TakesShardsAndCell) {
  const wire::EcPolicy policy = parse_policy("3+2,64").value();
  EXPECT_EQ(policy.data_shards(), 3U);
  EXPECT_EQ(policy.parity_shards(), 2U);
  EXPECT_EQ(policy.cell_bytes(), 64 * kKiB);
  EXPECT_EQ(policy.block_bytes() % (3 * 64 * kKiB), 0U);
  EXPECT_TRUE(geometry_from_wire(parse_policy("10+4").value()));
}

TEST(ParsePolicy, OfTheDefaultIsTheDefault) {
  EXPECT_EQ(geometry_from_wire(parse_policy("6+3").value()).value(), kDefaultGeometry);
}

TEST(ParsePolicy, RefusesAnythingElse) {
  for (const char* text : {"", "6", "6+", "+3", "6-3", "6+3,", "6+3,0", "6+3,x", "0+3", "6+0", "99+3", "6+3,64k",
                           "6+3,4294967295", "99999999999+1"}) {
    EXPECT_EQ(code_of(parse_policy(text)), ErrorCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace dogfs::cli
