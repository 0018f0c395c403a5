#include "sim/trace_diff.h"

#include <gtest/gtest.h>

#include <sstream>

#include "sim/run.h"
#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

std::optional<Divergence> compare(const std::string& first, const std::string& second) {
  std::istringstream one(first);
  std::istringstream other(second);
  return first_divergence(one, other);
}

TEST(TraceDiff, EqualLogsDoNotDiverge) {
  EXPECT_FALSE(compare("", ""));
  EXPECT_FALSE(compare("a\nb\n", "a\nb\n"));
}

TEST(TraceDiff, TheFirstLineThatDiffersIsTold) {
  const std::optional<Divergence> divergence = compare("a\nb\nc\nd\n", "a\nb\nx\nd\n");
  ASSERT_TRUE(divergence);
  EXPECT_EQ(divergence->line, 3U);
  EXPECT_EQ(divergence->before, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(divergence->first, (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(divergence->second, (std::vector<std::string>{"x", "d"}));
}

TEST(TraceDiff, ALogThatEndsFirstDiverges) {
  const std::optional<Divergence> divergence = compare("a\n", "a\nb\n");
  ASSERT_TRUE(divergence);
  EXPECT_EQ(divergence->line, 2U);
  EXPECT_NE(describe_divergence(*divergence, "one", "other").find("(it ends here)"), std::string::npos);
}

TEST(TraceDiff, OnlyTheEndOfALongCommonPartIsKept) {
  std::string common;
  for (int i = 0; i < 1000; ++i) common += std::to_string(i) + "\n";
  const std::optional<Divergence> divergence = compare(common + "x\n", common + "y\n");
  ASSERT_TRUE(divergence);
  EXPECT_EQ(divergence->line, 1001U);
  EXPECT_EQ(divergence->before.back(), "999");
  EXPECT_LT(divergence->before.size(), 50U);
}

std::string events_of(const std::string& scenario_text) {
  const proto::Scenario scenario = parse_scenario(scenario_text).value();
  std::ostringstream log;
  Run run(scenario, 5, &log);
  run.trace_events();
  run.execute();
  return log.str();
}

TEST(TraceDiff, FindsWhereOneFaultMakesTheDifference) {
  const std::string calm = "work { for_ms: 2000 } ";
  const std::string events = events_of(calm);
  EXPECT_FALSE(compare(events, events_of(calm)));
  const auto divergence =
      compare(events, events_of(calm + R"(faults { at_ms: 700 for_ms: 9 crash { nodes: "meta-2" } })"));
  ASSERT_TRUE(divergence);
  std::string told = describe_divergence(*divergence, "without", "with");
  EXPECT_NE(told.find("fault     begins at 700 ms"), std::string::npos) << told;
}

}  // namespace
}  // namespace dogfs::sim
