#include "runtime/cli/units.h"

#include <gtest/gtest.h>

namespace dogfs::cli {
namespace {

TEST(HumanBytes, HasTwoDigitsOrMore) {
  EXPECT_EQ(human_bytes(0), "0");
  EXPECT_EQ(human_bytes(1023), "1023");
  EXPECT_EQ(human_bytes(1024), "1.0K");
  EXPECT_EQ(human_bytes(1536), "1.5K");
  EXPECT_EQ(human_bytes(10 * 1024), "10K");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0M");
  EXPECT_EQ(human_bytes(66060288), "63M");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16E");
}

TEST(FormatMode, IsThatOfLs) {
  EXPECT_EQ(format_mode(0755, true), "drwxr-xr-x");
  EXPECT_EQ(format_mode(0640, false), "-rw-r-----");
}

TEST(FormatDuration, GrowsByUnits) {
  EXPECT_EQ(format_duration(seconds(7)), "0:07");
  EXPECT_EQ(format_duration(seconds(750)), "12:30");
  EXPECT_EQ(format_duration(seconds(3723)), "1:02:03");
}

}  // namespace
}  // namespace dogfs::cli
