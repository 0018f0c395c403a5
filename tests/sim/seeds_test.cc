#include "sim/seeds.h"

#include <gtest/gtest.h>

namespace dogfs::sim {
namespace {

TEST(Seeds, AreOneOrARange) {
  const SeedRange one = parse_seeds("7").value();
  EXPECT_EQ(one.first, 7U);
  EXPECT_EQ(one.last, 7U);
  const SeedRange two = parse_seeds("18446744073709551614..18446744073709551615").value();
  EXPECT_EQ(two.first, UINT64_MAX - 1);
  EXPECT_EQ(two.last, UINT64_MAX);
}

TEST(Seeds, ThatDoNotFitAreNotTakenForOthers) {
  for (const char* bad : {"",
                          "..",
                          "1..",
                          "..2",
                          "-1",
                          "+1",
                          " 1",
                          "1 ",
                          "1..-1",
                          "-2..-1",
                          "2..1",
                          "0x10",
                          "010",
                          "99999999999999999999999",
                          "18446744073709551616",
                          "1..99999999999999999999999",
                          "1.5",
                          "1e3",
                          "0..18446744073709551615",
                          "0..1000000000"}) {
    EXPECT_FALSE(parse_seeds(bad).has_value()) << bad;
  }
  EXPECT_TRUE(parse_seeds("0..999999999").has_value());
  EXPECT_EQ(parse_seeds("-1").error().detail, "\"-1\" is no number from 0 to 18446744073709551615");
}

}  // namespace
}  // namespace dogfs::sim
