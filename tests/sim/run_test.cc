#include "sim/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "sim/fault_kinds.h"
#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

// Everything at once, in little time.
const char* const kStormy = R"(
  work { for_ms: 4000 files_before_faults: 1 }
  network { delay_min_us: 100 delay_max_us: 2000 loss_per_million: 5000 duplicate_per_million: 20000 }
  fault_classes {
    mean_interval_ms: 800 for_min_ms: 10 for_max_ms: 600 fault { crash { nodes: "random 1 all" power: true } }
  }
  fault_classes {
    mean_interval_ms: 1500 for_min_ms: 10 for_max_ms: 600 fault { partition { a: "leader" b: "rest" one_way: true } }
  }
)";

RunResult run(const proto::Scenario& scenario, uint64_t seed, std::ostream* trace = nullptr) {
  return Run(scenario, seed, trace).execute();
}

RunResult run(const std::string& text, uint64_t seed, std::ostream* trace = nullptr) {
  return run(parse_scenario(text).value(), seed, trace);
}

TEST(Run, EqualSeedsGiveEqualRuns) {
  std::string first_trace;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    std::ostringstream trace;
    const RunResult first = run(kStormy, seed, &trace);
    const RunResult second = run(kStormy, seed);
    EXPECT_EQ(first.failure, std::nullopt);
    EXPECT_EQ(first.digest, second.digest) << "tracing must not change a run";
    EXPECT_EQ(first.events, second.events);
    EXPECT_GT(first.faults, 0U);
    EXPECT_GT(first.operations, 5U);
    EXPECT_GT(first.states_compared, 10U);
    EXPECT_NE(trace.str(), first_trace);
    first_trace = trace.str();
  }
}

TEST(Run, AnExplicitFaultListGivesTheSameRun) {
  const proto::Scenario scenario = parse_scenario(kStormy).value();
  const proto::Scenario expanded = with_explicit_faults(scenario, 2);
  EXPECT_EQ(run(scenario, 2).digest, run(expanded, 2).digest);
}

TEST(Run, OtherSeedsGiveOtherRuns) {
  EXPECT_NE(run(kStormy, 1).digest, run(kStormy, 2).digest);
}

TEST(Run, RunsWithSmallStripesToo) {
  const RunResult result = run(R"(
    chunk_servers: 6 work { for_ms: 3000 } policy { data_shards: 3 parity_shards: 2 }
    faults { at_ms: 500 for_ms: 1500 crash { nodes: "chunk-2" power: true } })",
                               5);
  EXPECT_EQ(result.failure, std::nullopt);
  EXPECT_GT(result.shards_checked, 0U);
}

uint64_t struck(const RunResult& result, const std::string& kind) {
  for (size_t i = 0; i < fault_kinds(); ++i) {
    if (fault_kind_name(i) == kind) return result.faults_by_kind[i];
  }
  ADD_FAILURE() << kind;
  return 0;
}

TEST(Run, DisksHangOnlyAsLongAsWhatLiesOnThemIsSpare) {
  std::ostringstream trace;
  const RunResult result = run(R"(
    chunk_servers: 2 disks: 2 policy { data_shards: 1 parity_shards: 1 } heal_within_ms: 120000
    work { for_ms: 4000 files_before_faults: 9 }
    faults { at_ms: 100 for_ms: 40000 disk_hangs { nodes: "chunk-1" } }
    faults { at_ms: 200 for_ms: 40000 disk_hangs { nodes: "chunk-2" } })",
                               1, &trace);
  EXPECT_EQ(result.failure, std::nullopt);
  EXPECT_NE(trace.str().find("hanging disk of chunk-1: chunk-1"), std::string::npos);
  EXPECT_NE(trace.str().find("hanging disk of chunk-2: nobody"), std::string::npos)
      << "the only shards that can be read";
}

TEST(Run, ANodeWhoseSyncFailsEndsAndIsStartedAgain) {
  std::ostringstream trace;
  const RunResult result = run(R"(
    work { for_ms: 4000 files_before_faults: 1 }
    faults { at_ms: 500 for_ms: 1500 sync_failure { nodes: "meta-1 chunk-2" } })",
                               1, &trace);
  EXPECT_EQ(result.failure, std::nullopt);
  EXPECT_EQ(struck(result, "sync_failure"), 1U);
  const std::string text = trace.str();
  const size_t ended = text.find("meta-1    ends: ");
  ASSERT_NE(ended, std::string::npos) << text.substr(0, 2000);
  EXPECT_NE(text.find("meta-1    boots", ended), std::string::npos);
}

TEST(Run, NoServerThatIsNeededDiesForGood) {
  const RunResult result = run(R"(
    chunk_servers: 3 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 6000 files_before_faults: 20 }
    faults { at_ms: 1000 for_ms: 1 crash { nodes: "chunk-1" forever: true } }
    faults { at_ms: 1001 for_ms: 1 crash { nodes: "chunk-2" forever: true } })",
                               1);
  EXPECT_EQ(result.failure, std::nullopt);
  EXPECT_EQ(struck(result, "crash"), 1U);
}

TEST(Run, ARollingRestartIsOfEachNodeOneAfterTheOtherInADrawnOrder) {
  std::ostringstream trace;
  const RunResult result = run(R"(
    work { for_ms: 6000 } faults { at_ms: 500 for_ms: 5000 rolling_restart { nodes: "chunk" } })",
                               1, &trace);
  EXPECT_EQ(result.failure, std::nullopt);
  EXPECT_EQ(struck(result, "rolling_restart"), 1U);
  const std::string text = trace.str();
  const size_t begin = text.find("begins at 500 ms for 5000 ms: rolling restart of chunk");
  ASSERT_NE(begin, std::string::npos);
  std::istringstream lines(text.substr(begin, text.find("ends at 500 ms") - begin));
  std::vector<std::string> order;
  std::string down;
  for (std::string line; std::getline(lines, line);) {
    const size_t name = line.find("chunk-");
    if (line.ends_with(" is killed")) {
      EXPECT_EQ(down, "");
      order.push_back(down = line.substr(name, 7));
    } else if (line.ends_with(" boots")) {
      EXPECT_EQ(down, line.substr(name, 7));
      down.clear();
    }
  }
  EXPECT_EQ(down, "");
  const std::vector<std::string> by_number{"chunk-1", "chunk-2", "chunk-3", "chunk-4", "chunk-5",
                                           "chunk-6", "chunk-7", "chunk-8", "chunk-9"};
  EXPECT_NE(order, by_number);
  std::ranges::sort(order);
  EXPECT_EQ(order, by_number);
}

TEST(Run, AllMetadataNodesAreReplacedWhileClientsWork) {
  const std::string scenario = R"(
    spare_meta_nodes: 4 meta_disk { log_entries: 8 } must_stay_available: true
    work { for_ms: 5000 think_max_ms: 100 files_before_faults: 1 }
    faults { at_ms: 500 replace_meta { nodes: "meta-1 meta-2 meta-3" } }
    faults { at_ms: 3000 replace_meta { nodes: "leader" dead: true at_once: true } })";
  std::ostringstream trace;
  const RunResult result = run(scenario, 1, &trace);
  EXPECT_EQ(result.failure, std::nullopt);
  EXPECT_EQ(struck(result, "replace_meta"), 2U);
  EXPECT_NE(trace.str().find("operator  done: remove 3"), std::string::npos);
  EXPECT_NE(trace.str().find("operator  done: promote 7 and remove "), std::string::npos);
  EXPECT_EQ(result.digest, run(scenario, 1).digest);
}

TEST(Run, WithoutSpareNodesNobodyIsReplaced) {
  const RunResult result = run(R"(work { for_ms: 1000 } faults { at_ms: 100 replace_meta { nodes: "meta" } })", 1);
  EXPECT_EQ(result.failure, std::nullopt);
  EXPECT_EQ(struck(result, "replace_meta"), 0U);
}

TEST(Run, AMajorityThatNeverReturnsIsReported) {
  // The fault outlasts the patience of clients that must not fail.
  const RunResult result = run(R"(
    must_stay_available: true work { for_ms: 20000 }
    faults { at_ms: 100 for_ms: 30000 crash { nodes: "random 2 meta" } })",
                               1);
  ASSERT_NE(result.failure, std::nullopt);
  EXPECT_NE(result.failure->find("availability:"), std::string::npos) << *result.failure;
}

TEST(Run, AnOperatorHasTheLeaderHandOver) {
  std::ostringstream trace;
  const RunResult result = run(R"(
    chunk_servers: 3 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 2000 }
    faults { at_ms: 500 for_ms: 1 transfer_leadership { to: "meta" } }
    faults { at_ms: 1000 for_ms: 1 transfer_leadership { to: "chunk-1" } })",
                               1, &trace);
  EXPECT_EQ(result.failure, std::nullopt);
  EXPECT_EQ(struck(result, "transfer_leadership"), 1U) << "a chunk server cannot lead";
  EXPECT_NE(trace.str().find(", which led"), std::string::npos);
}

// A leader is cut off, but not from its clients, and those who vote for the next one have clocks that jump. Clients whose
// process was started anew change things there; the others look at them where they always did.
proto::Scenario jumping_voters(uint32_t lease_drift_bound_ms) {
  proto::Scenario scenario = parse_scenario(R"(
    chunk_servers: 3 clients: 4 policy { data_shards: 1 parity_shards: 1 }
    work { for_ms: 5000 think_max_ms: 60 largest_file_blocks: 1 looks_at_others_max_ms: 20 }
    fault_classes { mean_interval_ms: 300 for_min_ms: 5 for_max_ms: 60 fault { crash { nodes: "random 1 client" } } }
    faults { at_ms: 1000 for_ms: 500 partition { a: "leader" b: "followers" } }
    faults { at_ms: 1001 for_ms: 1 clock_jump { nodes: "followers" forward_ms: 600 } }
    faults { at_ms: 3000 for_ms: 500 partition { a: "leader" b: "followers" } }
    faults { at_ms: 3001 for_ms: 1 clock_jump { nodes: "followers" forward_ms: 600 } })")
                                 .value();
  scenario.set_lease_drift_bound_ms(lease_drift_bound_ms);
  return scenario;
}

// Not a feature: it shows what the bound is for, and that a stale read is seen.
TEST(Run, LeasesReadWhatIsStaleWhereClocksPartByMoreThanTheirBound) {
  std::optional<std::string> failure;
  // One seed in twenty shows it.
  for (uint64_t seed = 1; seed <= 200 && !failure; ++seed) failure = run(jumping_voters(50), seed).failure;
  ASSERT_NE(failure, std::nullopt);
  EXPECT_TRUE(failure->starts_with("linearizability: List {") || failure->starts_with("linearizability: Stat {"))
      << *failure;
}

TEST(Run, WithoutLeasesNoClockMakesAReadStale) {
  for (uint64_t seed = 1; seed <= 5; ++seed) EXPECT_EQ(run(jumping_voters(0), seed).failure, std::nullopt) << seed;
}

}  // namespace
}  // namespace dogfs::sim
