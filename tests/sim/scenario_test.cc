#include "sim/scenario.h"

#include <gtest/gtest.h>

#include "sim/faults.h"
#include "sim/selector.h"

namespace dogfs::sim {
namespace {

TEST(Scenario, WhatIsLeftOpenHasDefaults) {
  const proto::Scenario scenario = parse_scenario("meta_nodes: 5").value();
  EXPECT_EQ(scenario.meta_nodes(), 5U);
  EXPECT_EQ(scenario.chunk_servers(), 9U);
  EXPECT_EQ(scenario.policy().data_shards(), 6U);
  EXPECT_EQ(scenario.policy().block_bytes(), 96U * 1024);
}

TEST(Scenario, WhatIsWrongIsToldWithItsPlace) {
  const auto error = [](const std::string& text) { return parse_scenario(text).error().detail; };
  EXPECT_NE(error("meta_nodes: 3\n  nonsense: 1").find("line 2"), std::string::npos);
  EXPECT_NE(error("faults { crash { nodes: \"everybody\" } }").find("everybody"), std::string::npos);
  EXPECT_NE(error("faults { crash { nodes: \"rest\" } }").find("rest"), std::string::npos);
  EXPECT_NE(error("faults { partition { a: \"rest\" b: \"rest\" } }").find("both"), std::string::npos);
  EXPECT_NE(error("faults { at_ms: 1 }").find("kind"), std::string::npos);
  EXPECT_NE(error("fault_classes { fault { network {} } }").find("mean_interval_ms"), std::string::npos);
  EXPECT_NE(error("policy { block_bytes: 1000 }").find("block_bytes"), std::string::npos);
  EXPECT_NE(error("meta_nodes: 1000").find("nodes"), std::string::npos);
}

TEST(Selector, NamesRolesClassesAndDraws) {
  for (const char* good : {"leader", "followers", "minority", "meta", "chunk", "client", "all", "rest", "meta-2",
                           "chunk-11", "random 1 chunk", "random 2 all"}) {
    EXPECT_TRUE(validate_selector(good).has_value()) << good;
  }
  for (const char* bad :
       {"", "meta-", "meta-x", "all-1", "random chunk", "random 0 chunk", "random 2 leader", "random 1"}) {
    EXPECT_FALSE(validate_selector(bad).has_value()) << bad;
  }
}

TEST(FaultPlan, IsAFunctionOfTheSeed) {
  const proto::Scenario scenario = parse_scenario(R"(
    work { for_ms: 10000 }
    faults { at_ms: 500 for_ms: 100 partition { a: "leader" b: "rest" } }
    fault_classes { mean_interval_ms: 300 for_min_ms: 50 for_max_ms: 60 fault { crash { nodes: "random 1 chunk" } } }
  )")
                                       .value();
  const auto plan = [&scenario](uint64_t seed) {
    std::string text;
    for (const PlannedFault& planned : plan_faults(scenario, seed)) text += describe_fault(planned.fault) + "\n";
    return text;
  };
  EXPECT_EQ(plan(1), plan(1));
  EXPECT_NE(plan(1), plan(2));
  EXPECT_NE(plan(1).find("at 500 ms for 100 ms: partition leader | rest"), std::string::npos);
  const size_t planned = plan_faults(scenario, 1).size();
  EXPECT_GT(planned, 20U);
  EXPECT_LT(planned, 60U);
}

TEST(FaultPlan, AClassDrawsTheSameWhateverOthersThereAre) {
  const std::string chunk = R"(fault_classes { mean_interval_ms: 300 for_min_ms: 50 for_max_ms: 900
    fault { crash { nodes: "random 1 chunk" } } })";
  const std::string more = chunk + "faults { at_ms: 1 for_ms: 1 network {} }";
  const auto crashes = [](const std::string& text) {
    std::vector<uint64_t> streams;
    for (const PlannedFault& planned : plan_faults(parse_scenario(text).value(), 3)) {
      if (planned.fault.has_crash()) streams.push_back(planned.stream);
    }
    return streams;
  };
  EXPECT_EQ(crashes(chunk), crashes(more));
}

}  // namespace
}  // namespace dogfs::sim
