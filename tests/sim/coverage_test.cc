#include "sim/coverage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "core/base/coverage_mark.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/swarm.h"

namespace dogfs::sim {
namespace {

const char* const kFewFaults = R"(
  chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 1500 }
  faults { at_ms: 100 for_ms: 200 crash { nodes: "leader" } }
  faults { at_ms: 200 for_ms: 200 crash { nodes: "chunk-1" } }
  faults { at_ms: 300 for_ms: 200 partition { a: "nobody" b: "rest" } })";

RunResult run(const proto::Scenario& scenario, uint64_t seed) {
  return Run(scenario, seed, nullptr).execute();
}

size_t kind_named(const std::string& name) {
  for (size_t kind = 0; kind < fault_kinds(); ++kind) {
    if (fault_kind_name(kind) == name) return kind;
  }
  ADD_FAILURE() << name;
  return 0;
}

TEST(Coverage, IsTheSumOfWhatTheRunsOfAllWorkersPassed) {
  const proto::Scenario scenario = parse_scenario(kFewFaults).value();
  const SwarmResult swarm =
      run_swarm({{"few", scenario}}, {.first_seed = 1, .last_seed = 4, .workers = 2, .mutant = {}});
  EXPECT_TRUE(swarm.failures.empty());
  Coverage alone;
  static_cast<void>(take_mark_hits());
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const RunResult result = run(scenario, seed);
    alone.add({.faults = result.faults_by_kind, .harms = result.harms, .marks = take_mark_hits()});
  }
  EXPECT_EQ(swarm.coverage.faults, alone.faults);
  EXPECT_EQ(swarm.coverage.harms, alone.harms);
  EXPECT_EQ(swarm.coverage.marks, alone.marks);
  EXPECT_EQ(alone.faults[kind_named("crash")], 8U);
  const uint64_t passed = std::accumulate(alone.marks.begin(), alone.marks.end(), uint64_t{0});
  EXPECT_EQ(passed > 0, kCoverageMarksCompiledIn);
}

TEST(Coverage, AFaultThatFindsNobodyHasNotStruck) {
  const proto::Scenario scenario = parse_scenario(kFewFaults).value();
  const RunResult result = run(scenario, 1);
  const Coverage coverage{.faults = result.faults_by_kind, .harms = result.harms, .marks = {}};
  EXPECT_EQ(coverage.faults[kind_named("partition")], 0U);
  EXPECT_EQ(kinds_that_never_struck(coverage, fault_kinds_in(scenario)), std::vector<std::string>{"partition"});
  const std::string text = coverage_text(coverage, fault_kinds_in(scenario));
  EXPECT_NE(text.find("NEVER: partition"), std::string::npos) << text;
  EXPECT_EQ(text.find("NEVER: crash"), std::string::npos) << text;
  EXPECT_NE(text.find("NEVER: torn write"), std::string::npos) << text;
  EXPECT_NE(text.find("process killed"), std::string::npos) << text;
  EXPECT_NE(text.find("in none of these scenarios: bit_rot"), std::string::npos) << text;
}

Coverage everything() {
  Coverage coverage;
  coverage.harms.assign(kHarms, 1);
  coverage.marks.assign(coverage_marks().size(), 1);
  return coverage;
}

TEST(CoverageGaps, AreTheHarmsThatNeverStruck) {
  Coverage coverage = everything();
  EXPECT_TRUE(coverage_gaps(coverage, {}).empty());
  coverage.harms[static_cast<size_t>(Harm::kTornWrite)] = 0;
  EXPECT_EQ(coverage_gaps(coverage, {}), std::vector<std::string>{"never struck: torn write"});
}

TEST(CoverageGaps, AreTheMarksThatWereNeverPassedUnlessTheyAreSaidToBeUnreachable) {
  if (!kCoverageMarksCompiledIn) return;
  Coverage coverage = everything();
  const std::string text = coverage_marks()[0].text;
  for (size_t i = 0; i < coverage.marks.size(); ++i) {
    if (coverage_marks()[i].text == text) coverage.marks[i] = 0;
  }
  EXPECT_EQ(coverage_gaps(coverage, {}), std::vector<std::string>{"never passed: " + text});
  EXPECT_TRUE(coverage_gaps(coverage, {{text, "a test says so"}}).empty());
  EXPECT_EQ(coverage_gaps(everything(), {{text, "not true"}}).size(), 1U);
  EXPECT_EQ(coverage_gaps(everything(), {{"no such mark", ""}}).size(), 1U);
}

TEST(Coverage, KnowsWhichKindsOfFaultsAreInNoScenario) {
  std::vector<bool> expected(fault_kinds(), true);
  EXPECT_TRUE(kinds_in_no_scenario(expected).empty());
  expected[kind_named("disk_hangs")] = false;
  EXPECT_EQ(kinds_in_no_scenario(expected), std::vector<std::string>{"disk_hangs"});
}

TEST(Coverage, EveryHarmHasItsName) {
  std::set<std::string> names;
  for (size_t harm = 0; harm < kHarms; ++harm) names.insert(harm_name(static_cast<Harm>(harm)));
  EXPECT_EQ(names.size(), kHarms);
  EXPECT_FALSE(names.contains(""));
}

TEST(Coverage, SaysWhichMarksWereNeverPassedOrThatThereAreNone) {
  Coverage coverage;
  coverage.marks.resize(coverage_marks().size());
  const std::string text = coverage_text(coverage, std::vector<bool>(fault_kinds()));
  EXPECT_EQ(text.find("NEVER passed") != std::string::npos, kCoverageMarksCompiledIn) << text;
  EXPECT_EQ(text.find("not compiled into this build") != std::string::npos, !kCoverageMarksCompiledIn) << text;
}

}  // namespace
}  // namespace dogfs::sim
