#include "sim/shrink.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "sim/failure_kind.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/scenario_text.h"
#include "sim/shrink_ddmin.h"

namespace dogfs::sim {
namespace {

// What ddmin makes of `items`, if those lists fail for which `fails` holds.
template <class Fails>
std::vector<int> minimal(const std::vector<int>& items, Fails fails) {
  return ddmin(items, [&](const std::vector<std::vector<int>>& lists) -> std::optional<size_t> {
    for (size_t i = 0; i < lists.size(); ++i) {
      if (fails(lists[i])) return i;
    }
    return std::nullopt;
  });
}

std::vector<int> numbers(int count) {
  std::vector<int> all;
  for (int i = 0; i < count; ++i) all.push_back(i);
  return all;
}

RC_GTEST_PROP(Ddmin, FindsExactlyTheCulprits, ()) {
  const int count = *rc::gen::inRange(0, 60);
  std::set<int> culprits;
  for (int i = 0; i < count; ++i) {
    if (*rc::gen::inRange(0, 8) == 0) culprits.insert(i);
  }
  const std::vector<int> found = minimal(numbers(count), [&culprits](const std::vector<int>& list) {
    return std::includes(list.begin(), list.end(), culprits.begin(), culprits.end());
  });
  RC_ASSERT(found == std::vector<int>(culprits.begin(), culprits.end()));
}

RC_GTEST_PROP(Ddmin, NoSingleItemOfWhatItFindsCanGo, ()) {
  const int count = *rc::gen::inRange(1, 40);
  const int modulus = *rc::gen::inRange(2, 6);
  // Whether a list fails is erratic here: fewer items may well pass and fail again.
  const auto fails = [modulus, count](const std::vector<int>& list) {
    int sum = 0;
    for (const int item : list) sum += item + 1;
    return sum % modulus == (count * (count + 1) / 2) % modulus;
  };
  const std::vector<int> found = minimal(numbers(count), fails);
  RC_ASSERT(fails(found));
  for (size_t i = 0; i < found.size(); ++i) {
    std::vector<int> fewer = found;
    fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i));
    RC_ASSERT(!fails(fewer));
  }
}

// Two of three metadata nodes go and do not return in time; all else is noise.
const char* const kNoisy = R"(
  must_stay_available: true
  work {
    for_ms: 12000 pauses_per_hundred: 5 longest_pause_ms: 100 lease_recoveries_per_hundred: 3
    policy_changes_per_hundred: 3 range_reads_per_hundred: 3
  }
  network { delay_min_us: 50 delay_max_us: 400 duplicate_per_million: 10000 }
  faults { at_ms: 3217 for_ms: 30000 crash { nodes: "random 2 meta" } }
  fault_classes {
    mean_interval_ms: 900 for_min_ms: 10 for_max_ms: 500 fault { crash { nodes: "random 1 chunk" power: true } }
  }
  fault_classes { mean_interval_ms: 2000 for_min_ms: 5 for_max_ms: 20 fault { partition { a: "client-1" b: "leader" } } }
)";

std::optional<std::string> failure_of(const proto::Scenario& scenario, uint64_t seed) {
  return Run(scenario, seed, nullptr).execute().failure;
}

TEST(Shrink, LeavesOnlyTheFaultThatMatters) {
  const proto::Scenario scenario = parse_scenario(kNoisy).value();
  const Result<ShrinkResult> shrunk = shrink(scenario, 4, {.workers = 2, .limit_ms = 600'000});
  ASSERT_TRUE(shrunk.has_value()) << shrunk.error().detail;
  const ShrinkResult& result = shrunk.value();
  EXPECT_TRUE(result.complete);
  EXPECT_GT(result.faults_before, 10);
  EXPECT_EQ(failure_kind(result.first_failure), "availability");
  EXPECT_EQ(failure_kind(result.failure), "availability");
  ASSERT_EQ(result.scenario.faults_size(), 1);
  EXPECT_TRUE(result.scenario.faults(0).has_crash());
  EXPECT_EQ(result.scenario.clients(), 1U);
  const proto::Work& work = result.scenario.work();
  EXPECT_LE(work.operations_size(), 1);
  EXPECT_EQ(work.pauses_per_hundred() + work.longest_pause_ms(), 0U);
  EXPECT_EQ(work.lease_recoveries_per_hundred(), 0U);
  EXPECT_EQ(work.policy_changes_per_hundred() + work.range_reads_per_hundred(), 0U);
  EXPECT_FALSE(result.scenario.has_network());
}

TEST(Shrink, WhatItWritesFailsAgain) {
  const proto::Scenario scenario = parse_scenario(kNoisy).value();
  const ShrinkResult result = shrink(scenario, 4, {.workers = 2, .limit_ms = 600'000}).value();
  const std::string text = scenario_text(result.scenario, "A comment\nof two lines.");
  EXPECT_TRUE(text.starts_with("# A comment\n# of two lines.\n")) << text;
  const Result<proto::Scenario> read = parse_scenario(text);
  ASSERT_TRUE(read.has_value()) << read.error().detail << text;
  EXPECT_EQ(read.value().seed(), 4U);
  EXPECT_EQ(failure_of(read.value(), 4), result.failure) << text;
}

// Among noise, a check that does not hold: a selector that is none where it stands.
proto::Scenario aborting() {
  proto::Scenario scenario = parse_scenario(kNoisy).value();
  scenario.clear_must_stay_available();
  proto::Fault& wrong = *scenario.add_faults();
  wrong.set_at_ms(4000);
  wrong.mutable_crash()->set_nodes("rest");
  return scenario;
}

TEST(Shrink, ARunThatEndsItsProcessIsMadeSmallToo) {
  const Result<ShrinkResult> shrunk = shrink(aborting(), 4, {.workers = 2, .limit_ms = 600'000});
  ASSERT_TRUE(shrunk.has_value()) << shrunk.error().detail;
  const ShrinkResult& result = shrunk.value();
  EXPECT_TRUE(result.complete);
  EXPECT_GT(result.faults_before, 10);
  EXPECT_NE(result.failure.find("process: invariant broken at "), std::string::npos) << result.failure;
  EXPECT_NE(result.failure.find("sim/selector.cc:"), std::string::npos) << result.failure;
  ASSERT_EQ(result.scenario.faults_size(), 1);
  EXPECT_EQ(result.scenario.faults(0).crash().nodes(), "rest");
  ASSERT_EQ(result.scenario.work().operations_size(), 1) << "which had been begun is known";
  EXPECT_EQ(result.scenario.work().operations(0), 0U) << "none is needed";
}

// Any smaller run would do, were it enough that some failure occurs.
TEST(Shrink, WhatFailsInAnotherWayIsPassedOver) {
  const auto with = [](const char* text) { return parse_scenario(text).value(); };
  const std::vector<proto::Scenario> candidates = {
      with("chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 500 }"),
      with(R"(chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 }
              work { for_ms: 500 files_before_faults: 12 } converge_within_ms: 8)"),
      with(R"(chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 }
              work { for_ms: 500 } converge_within_ms: 1
              faults { at_ms: 100 for_ms: 2000 crash { nodes: "meta" } })"),
      aborting(),
  };
  Prober prober(Prober::Options{});
  std::set<std::string> kinds;
  for (size_t i = 1; i < candidates.size(); ++i) {
    const std::string kind = failure_kind(prober.run(candidates[i]).failure);
    EXPECT_TRUE(kinds.insert(kind).second) << kind;
    EXPECT_EQ(prober.first_failing(candidates, kind), i) << kind;
  }
  EXPECT_EQ(prober.first_failing(candidates, "raft"), std::nullopt);
}

TEST(Shrink, ARunThatPassesIsRefused) {
  const proto::Scenario scenario = parse_scenario("work { for_ms: 500 }").value();
  const Result<ShrinkResult> shrunk = shrink(scenario, 1, {});
  ASSERT_FALSE(shrunk.has_value());
  EXPECT_EQ(shrunk.error().code, ErrorCode::kInvalidArgument);
}

TEST(Shrink, OutOfTimeItGivesWhatItHas) {
  const proto::Scenario scenario = parse_scenario(kNoisy).value();
  const Result<ShrinkResult> shrunk = shrink(scenario, 4, {.limit_ms = 0});
  ASSERT_TRUE(shrunk.has_value());
  EXPECT_FALSE(shrunk.value().complete);
  EXPECT_EQ(failure_kind(shrunk.value().failure), "availability");
}

TEST(Shrink, ProcessorTimeIsATimeLikeAnyOther) {
  const proto::Scenario scenario = parse_scenario(kNoisy).value();
  const Result<ShrinkResult> shrunk = shrink(scenario, 4, {.limit_ms = 600'000, .limit_processor_ms = 1});
  ASSERT_TRUE(shrunk.has_value());
  EXPECT_FALSE(shrunk.value().complete);
}

TEST(Shrink, WhatTakesLongerThanPatienceLastsHasNotFailed) {
  const proto::Scenario scenario = parse_scenario(kNoisy).value();
  proto::Scenario seeded = scenario;
  seeded.set_seed(4);
  Prober prober(Prober::Options{});
  const ProbeResult result = prober.run(seeded);
  const std::string kind = failure_kind(result.failure);
  ASSERT_EQ(kind, "availability");
  Prober patient(Prober::Options{});
  patient.set_patience(result.virtual_ms + 1);
  EXPECT_EQ(patient.first_failing({seeded}, kind), 0U);
  Prober impatient(Prober::Options{});
  impatient.set_patience(result.virtual_ms / 2);
  EXPECT_EQ(impatient.first_failing({seeded}, kind), std::nullopt);
  EXPECT_GT(impatient.processor_ms() + patient.processor_ms(), 0U);
}

TEST(ScenarioText, LeavesOutDefaultsAndLosesNothing) {
  EXPECT_EQ(scenario_text(parse_scenario("").value(), ""), "");
  const std::string text = R"(meta_nodes: 5
policy { data_shards: 3 parity_shards: 2 }
work { for_ms: 3000 operations: 4 operations: 9 }
faults { at_ms: 1000 for_ms: 20 crash { nodes: "leader" power: true } }
faults { at_ms: 2000 partition { a: "meta-1 meta-2" b: "rest" } }
seed: 12
)";
  EXPECT_EQ(scenario_text(parse_scenario(text).value(), ""), text);
}

}  // namespace
}  // namespace dogfs::sim
