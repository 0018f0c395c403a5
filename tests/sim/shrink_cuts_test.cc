#include "sim/shrink_cuts.h"

#include <gtest/gtest.h>

#include <optional>

#include "sim/fault_plan.h"
#include "sim/profile.h"
#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

proto::Scenario scenario_of(const char* text) {
  return parse_scenario(text).value();
}

// What some seed draws, with its faults as a list.
proto::Scenario drawn(proto::Profile profile, uint64_t seed) {
  proto::Scenario scenario = scenario_of("");
  scenario.set_profile(profile);
  return with_explicit_faults(draw_profile(scenario, seed), seed);
}

const char* const kThreeCrashes = R"(
  work { for_ms: 90000 think_max_ms: 5000 }
  faults { at_ms: 10000 for_ms: 500 crash { nodes: "chunk-1" } }
  faults { at_ms: 50000 for_ms: 4000 crash { nodes: "chunk-2" } }
  faults { at_ms: 52000 for_ms: 300 crash { nodes: "chunk-3" } }
)";

TEST(ShrinkCuts, TheEndIsTheLastFaultsWithoutTheTimeInWhichNothingStrikes) {
  proto::Scenario end = scenario_of(kThreeCrashes);
  keep_the_end(end, 2);
  ASSERT_EQ(end.faults_size(), 2);
  EXPECT_EQ(end.faults(0).crash().nodes(), "chunk-2");
  EXPECT_EQ(end.faults(0).at_ms(), 1000U);
  EXPECT_EQ(end.faults(1).at_ms(), 3000U) << "it strikes while the other does, as before";
  EXPECT_EQ(end.work().for_ms(), 8000U) << "three seconds more than the faults";
  EXPECT_LE(end.work().think_max_ms(), 200U);
}

TEST(ShrinkCuts, TheCalmBetweenFaultsIsShortened) {
  proto::Scenario end = scenario_of(kThreeCrashes);
  keep_the_end(end, 3);
  EXPECT_EQ(end.faults(0).at_ms(), 1000U);
  EXPECT_EQ(end.faults(1).at_ms(), 2500U);
  EXPECT_EQ(end.faults(2).at_ms(), 4500U);
}

TEST(ShrinkCuts, WhatBeginsAtOnceKeepsItsOrder) {
  proto::Scenario sooner = scenario_of(kThreeCrashes);
  begin_at_once(sooner);
  EXPECT_EQ(sooner.faults(0).at_ms(), 0U);
  EXPECT_EQ(sooner.faults(1).at_ms(), 40'000U);
  EXPECT_EQ(sooner.faults(2).at_ms(), 42'000U);
  EXPECT_EQ(sooner.work().for_ms(), 80'000U);
}

TEST(ShrinkCuts, TheRestIsWhatComesAfterTheFailure) {
  proto::Scenario shorter = scenario_of(kThreeCrashes);
  leave_out_the_rest(shorter, 1, 20'010);
  EXPECT_EQ(shorter.faults_size(), 1);
  EXPECT_EQ(shorter.work().for_ms(), 20'100U);
  proto::Scenario same = scenario_of(kThreeCrashes);
  leave_out_the_rest(same, UINT64_MAX, UINT64_MAX);
  EXPECT_EQ(same.SerializeAsString(), scenario_of(kThreeCrashes).SerializeAsString()) << "nothing is known";
}

// Else shrinking might go round in circles.
TEST(ShrinkCuts, NoBoldCutMakesAnythingLarger) {
  for (const proto::Profile profile : {proto::EVERYTHING, proto::DATA}) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
      proto::Scenario before = drawn(profile, seed);
      for (uint32_t for_ms : {before.work().for_ms(), 700U}) {
        before.mutable_work()->set_for_ms(for_ms);
        for (const Edit& cut : bold_cuts(before)) {
          proto::Scenario after = before;
          cut(after);
          EXPECT_LE(after.faults_size(), before.faults_size());
          EXPECT_LE(after.work().for_ms(), before.work().for_ms());
          EXPECT_LE(after.work().think_max_ms(), before.work().think_max_ms());
          EXPECT_LE(after.work().looks_at_others_max_ms(), before.work().looks_at_others_max_ms());
          EXPECT_LE(after.meta_nodes() + after.spare_meta_nodes(), before.meta_nodes() + before.spare_meta_nodes());
          EXPECT_LE(after.chunk_servers(), before.chunk_servers());
          EXPECT_LE(after.clients(), before.clients());
        }
      }
    }
  }
}

TEST(ShrinkCuts, TheFirstCutsCostAFractionOfTheRunEach) {
  const proto::Scenario before = drawn(proto::EVERYTHING, 1);
  const std::vector<Edit> cuts = bold_cuts(before);
  for (size_t i = 0; i < 3; ++i) {
    proto::Scenario after = before;
    cuts[i](after);
    EXPECT_EQ(after.faults_size(), static_cast<int>(i));
    EXPECT_LT(10 * estimated_cost(after), estimated_cost(before)) << i;
  }
}

}  // namespace
}  // namespace dogfs::sim
