#include "sim/swarm.h"

#include <gtest/gtest.h>

#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

// No read is so fast: every run fails soon.
const char* const kHaste = R"(
  chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 20000 } reads_within_ms: 1
  network { delay_min_us: 2000 delay_max_us: 3000 })";

TEST(Swarm, EndsAfterAsManyFailuresAsItMayHave) {
  const std::vector<NamedScenario> scenarios = {{"haste", parse_scenario(kHaste).value()}};
  // Several workers fail at once: often, but not each time.
  for (int i = 0; i < 20; ++i) {
    const SwarmResult result =
        run_swarm(scenarios, {.first_seed = 1, .last_seed = 40, .workers = 4, .mutant = {}, .most_failures = 1});
    ASSERT_EQ(result.failures.size(), 1U) << result.failures.back().what;
    EXPECT_EQ(result.failures.front().what.find("latency: "), 0U) << result.failures.front().what;
    EXPECT_EQ(result.failures.front().seed, 1U);
  }
}

// As kHaste, but for long nothing happens.
const char* const kLateHaste = R"(
  chunk_servers: 3 clients: 4 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 20000 } reads_within_ms: 50
  faults { at_ms: 10000 for_ms: 9000 slow_disk { nodes: "chunk" min_us: 100000 max_us: 100000 } })";

TEST(Swarm, CountsTheFirstFailuresInTheOrderOfTheRunsWhicheverWorkerFailsFirst) {
  const std::vector<NamedScenario> scenarios = {{"late", parse_scenario(kLateHaste).value()},
                                                {"soon", parse_scenario(kHaste).value()}};
  for (const uint32_t workers : {1, 2, 3, 5}) {
    const SwarmResult result =
        run_swarm(scenarios, {.first_seed = 7, .last_seed = 40, .workers = workers, .mutant = {}, .most_failures = 3});
    ASSERT_EQ(result.failures.size(), 3U);
    for (uint64_t run = 0; run < 3; ++run) {
      EXPECT_EQ(result.failures[run].run, run) << workers << " workers";
      EXPECT_EQ(result.failures[run].scenario, run == 1 ? "soon" : "late");
      EXPECT_EQ(result.failures[run].seed, 7 + run / 2);
    }
    EXPECT_EQ(result.scenarios[0].failed, 2U);
    EXPECT_EQ(result.scenarios[1].failed, 1U);
  }
}

TEST(Swarm, EndsARunThatDoesNotEndAndGoesOnWithTheNext) {
  const char* const long_run = "work { for_ms: 600000 } clients: 4";
  const std::vector<NamedScenario> scenarios = {{"long", parse_scenario(long_run).value()}};
  const SwarmResult result =
      run_swarm(scenarios, {.first_seed = 1, .last_seed = 3, .workers = 2, .mutant = {}, .longest_run_ms = 1});
  EXPECT_EQ(result.runs, 3U);
  ASSERT_EQ(result.failures.size(), 3U);
  for (const SwarmFailure& failure : result.failures) {
    EXPECT_EQ(failure.what, "the run had not ended after 1 ms of real time");
  }
}

}  // namespace
}  // namespace dogfs::sim
