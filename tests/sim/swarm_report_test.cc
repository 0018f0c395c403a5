#include "sim/swarm_report.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

const char* const kCalm = "chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 500 }";
const char* const kCrash = R"(
  chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 1500 }
  faults { at_ms: 100 for_ms: 200 crash { nodes: "leader" } })";
// Cannot be whole again: of three servers, two are gone for good.
const char* const kLost = R"(
  chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 500 files_before_faults: 2 }
  heal_within_ms: 1000
  faults { at_ms: 100 for_ms: 1 crash { nodes: "chunk-1 chunk-2" forever: true } })";

proto::SwarmReport::FaultKind kind_named(const proto::SwarmReport& report, const std::string& name) {
  const auto found = std::ranges::find_if(report.faults(), [&](const auto& fault) { return fault.kind() == name; });
  EXPECT_NE(found, report.faults().end()) << name;
  return found == report.faults().end() ? proto::SwarmReport::FaultKind() : *found;
}

TEST(SwarmReport, SaysWhatTheRunsOfEachScenarioCameTo) {
  const std::vector<NamedScenario> scenarios = {{"calm", parse_scenario(kCalm).value()},
                                                {"crash", parse_scenario(kCrash).value()}};
  const SwarmResult result = run_swarm(scenarios, {.first_seed = 1, .last_seed = 3, .workers = 2, .mutant = {}});
  std::vector<bool> expected(fault_kinds());
  const proto::SwarmReport report = swarm_report(result, expected, "");
  EXPECT_EQ(report.runs(), 6U);
  EXPECT_EQ(report.failed(), 0U);
  EXPECT_GT(report.events(), 1000U);
  EXPECT_GT(report.virtual_ms(), 6000U);
  ASSERT_EQ(report.scenarios_size(), 2);
  EXPECT_EQ(report.scenarios(0).scenario(), "calm");
  EXPECT_EQ(report.scenarios(1).runs(), 3U);
  EXPECT_EQ(kind_named(report, "crash").struck(), 3U);
  EXPECT_EQ(kind_named(report, "bit_rot").struck(), 0U);
  EXPECT_EQ(static_cast<size_t>(report.faults_size()), fault_kinds());
  EXPECT_EQ(report.has_marks(), kCoverageMarksCompiledIn);
  EXPECT_EQ(report.marks_size() > 0, kCoverageMarksCompiledIn);
}

TEST(SwarmReport, NamesTheRunsThatFailedAndTheirCommands) {
  const std::vector<NamedScenario> scenarios = {{"calm", parse_scenario(kCalm).value()},
                                                {"lost", parse_scenario(kLost).value()}};
  const SwarmResult result = run_swarm(scenarios, {.first_seed = 4, .last_seed = 5, .workers = 1, .mutant = {}});
  const proto::SwarmReport report = swarm_report(result, std::vector<bool>(fault_kinds()), "some-bug");
  ASSERT_EQ(report.failed(), 2U);
  EXPECT_EQ(report.scenarios(0).failed(), 0U);
  EXPECT_EQ(report.scenarios(1).failed(), 2U);
  ASSERT_EQ(report.failures_size(), 2);
  EXPECT_EQ(report.failures(0).scenario(), "lost");
  EXPECT_EQ(report.failures(0).seed(), 4U);
  EXPECT_FALSE(report.failures(0).what().empty());
  EXPECT_EQ(report.failures(0).command(), "dogfs-sim run lost --seed 4 --mutant some-bug");
}

TEST(SwarmReport, AsJsonIsReadBackAsItWas) {
  proto::SwarmReport report;
  report.set_runs(3'000'000'000'000);
  report.add_failures()->set_what("a \"quoted\" text,\nof two lines");
  report.add_marks()->set_text("raft: never passed");
  const std::string json = report_json(report).value();
  EXPECT_NE(json.find("\"passed\": \"0\""), std::string::npos) << "zeros are not left out: " << json;
  proto::SwarmReport back;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &back).ok()) << json;
  EXPECT_EQ(back.SerializeAsString(), report.SerializeAsString());
}

}  // namespace
}  // namespace dogfs::sim
