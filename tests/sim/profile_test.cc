#include "sim/profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "sim/fault_kinds.h"
#include "sim/fault_plan.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/scenario_text.h"

namespace dogfs::sim {
namespace {

proto::Scenario draw(const std::string& profile, uint64_t seed) {
  return draw_profile(parse_scenario("profile: " + profile).value(), seed);
}

TEST(Profile, IsAPureFunctionOfTheSeed) {
  EXPECT_EQ(draw("EVERYTHING", 1).SerializeAsString(), draw("EVERYTHING", 1).SerializeAsString());
  EXPECT_NE(draw("EVERYTHING", 1).SerializeAsString(), draw("EVERYTHING", 2).SerializeAsString());
  const proto::Scenario plain = parse_scenario("clients: 3").value();
  EXPECT_EQ(draw_profile(plain, 7).SerializeAsString(), plain.SerializeAsString());
}

TEST(Profile, EachDrawIsAnExplicitScenarioThatValidates) {
  std::set<std::string> shapes;
  std::vector<bool> kinds(fault_kinds());
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const proto::Scenario drawn = draw("EVERYTHING", seed);
    EXPECT_EQ(drawn.profile(), proto::NO_PROFILE);
    const Result<proto::Scenario> parsed = parse_scenario(scenario_text(drawn, ""));
    ASSERT_TRUE(parsed.has_value()) << parsed.error().to_string();
    EXPECT_EQ(parsed.value().SerializeAsString(), drawn.SerializeAsString());
    shapes.insert(
        fmt::format("{} of {}+{}", drawn.meta_nodes(), drawn.policy().data_shards(), drawn.policy().parity_shards()));
    EXPECT_GE(drawn.chunk_servers(), 9U);
    EXPECT_LE(drawn.chunk_servers(), 12U);
    const std::vector<bool> present = fault_kinds_in(drawn);
    for (size_t i = 0; i < kinds.size(); ++i) kinds[i] = kinds[i] || present[i];
  }
  EXPECT_EQ(shapes, (std::set<std::string>{"3 of 3+2", "3 of 6+3", "5 of 3+2", "5 of 6+3"}));
  for (size_t i = 0; i < kinds.size(); ++i) EXPECT_TRUE(kinds[i]) << fault_kind_name(i);
}

TEST(Profile, ClocksKeepToTheBoundThatLeasesRelyOn) {
  int leased = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const proto::Scenario scenario = draw("EVERYTHING", seed);
    if (scenario.lease_drift_bound_ms() == 0) continue;
    ++leased;
    for (const proto::FaultClass& drawn : scenario.fault_classes()) {
      EXPECT_EQ(drawn.fault().clock_jump().forward_ms(), 0U) << seed;
      EXPECT_TRUE(drawn.one_at_a_time() || !drawn.fault().has_clock_drift()) << seed << ": drifts may add up";
    }
  }
  EXPECT_GT(leased, 10);
  EXPECT_LT(leased, 90);
}

TEST(Profile, DataLeavesMetadataNodesAndClientsAlone) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const proto::Scenario scenario = draw("DATA", seed);
    for (const proto::FaultClass& drawn : scenario.fault_classes()) {
      const std::string text = drawn.ShortDebugString();
      EXPECT_EQ(text.find("meta"), std::string::npos) << text;
      EXPECT_EQ(text.find("client"), std::string::npos) << text;
    }
  }
}

TEST(Profile, MetadataNodesAreReplacedInAThirdOfTheDraws) {
  int drawn = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const proto::Scenario scenario = draw("EVERYTHING", seed);
    const auto& faults = scenario.faults();
    const auto replacements = std::ranges::count_if(faults, [](const auto& fault) { return fault.has_replace_meta(); });
    EXPECT_EQ(replacements, scenario.spare_meta_nodes()) << seed;
    if (replacements > 0) ++drawn;
    EXPECT_EQ(draw("DATA", seed).spare_meta_nodes(), 0U) << seed;
  }
  EXPECT_GT(drawn, 35);
  EXPECT_LT(drawn, 65);
}

TEST(Profile, NoMoreServersGoForGoodThanCanBeDoneWithout) {
  int drawn = 0;
  int removed = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const proto::Scenario scenario = draw("DATA", seed);
    uint32_t gone = 0;
    bool has_departures = false;
    for (const proto::Fault& fault : scenario.faults()) {
      if (fault.crash().forever()) ++gone;
      if (!fault.has_drain_server() && !fault.has_maintain_server()) continue;
      has_departures = true;
      if (!fault.drain_server().remove()) continue;
      ++gone;
      ++removed;
    }
    EXPECT_LE(scenario.policy().data_shards() + scenario.policy().parity_shards() + gone, scenario.chunk_servers());
    if (has_departures) ++drawn;
  }
  EXPECT_GT(drawn, 35);
  EXPECT_LT(drawn, 65);
  EXPECT_GT(removed, 10);
}

TEST(Profile, WhatItDrewRunsTheSame) {
  const proto::Scenario scenario = parse_scenario("profile: DATA").value();
  const proto::Scenario explicit_one = with_explicit_faults(draw_profile(scenario, 3), 3);
  EXPECT_EQ(explicit_one.fault_classes_size(), 0);
  const auto digest = [](const proto::Scenario& each) { return sim::Run(each, 3, nullptr).execute().digest; };
  EXPECT_EQ(digest(scenario), digest(explicit_one));
}

}  // namespace
}  // namespace dogfs::sim
