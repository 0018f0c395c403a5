#include "sim/mutants.h"

#include <gtest/gtest.h>

#include "core/base/mutant.h"
#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

// One metadata node has nobody to ask: a leader that commits alone breaks nothing there.
const char* const kCalm = R"(
  meta_nodes: 1 chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 500 })";

// No read is so fast: every run fails, whatever is planted.
const char* const kHaste = R"(
  chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 20000 } reads_within_ms: 1
  network { delay_min_us: 2000 delay_max_us: 3000 })";

// A cut-off leader commits what the others never hear of.
const char* const kCutOff = R"(
  chunk_servers: 3 clients: 3 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 5000 }
  faults { at_ms: 1000 for_ms: 2000 partition { a: "leader" b: "followers" } })";

MutantEntry mutant(const std::string& name) {
  for (const MutantEntry& entry : all_mutants()) {
    if (entry.name == name) return entry;
  }
  ADD_FAILURE() << name;
  return {};
}

MutantHunt hunt(const std::string& name, const char* scenario) {
  const Result<MutantHunt> hunt =
      hunt_mutant(mutant(name), "", {{"given", parse_scenario(scenario).value()}}, {.last_seed = 4, .mutant = {}});
  EXPECT_TRUE(hunt.has_value());
  return hunt.has_value() ? hunt.value() : MutantHunt{};
}

class MutantHunts : public testing::Test {
  void SetUp() override {
    if (!kMutantsCompiledIn) GTEST_SKIP() << "this build has no mutants: ./dev test runs this in the one that has";
  }
};

TEST(Mutants, CannotBePlantedInABuildThatHasNone) {
  EXPECT_TRUE(arm_mutant("").has_value());
  EXPECT_EQ(arm_mutant("commit-alone").has_value(), kMutantsCompiledIn);
  EXPECT_FALSE(arm_mutant("no-such-mutant").has_value());
  EXPECT_TRUE(arm_mutant("").has_value());
}

TEST(Mutants, AreKnownByName) {
  EXPECT_TRUE(check_mutant_names({"commit-alone", "read-unconfirmed"}).has_value());
  const Status wrong = check_mutant_names({"read-unconfirmed", "calm"});
  ASSERT_FALSE(wrong.has_value());
  EXPECT_NE(wrong.error().detail.find("calm"), std::string::npos);
}

TEST_F(MutantHunts, EndWithARunThatPassesWithoutTheMutant) {
  const MutantHunt found = hunt("commit-alone", kCutOff);
  ASSERT_TRUE(found.caught.has_value());
  EXPECT_EQ(found.caught->scenario, "given");
  EXPECT_FALSE(found.fails_without);
}

TEST_F(MutantHunts, SayWhenTheMutantSurvives) {
  const MutantHunt found = hunt("commit-alone", kCalm);
  EXPECT_FALSE(found.caught.has_value());
  EXPECT_FALSE(found.fails_without);
  EXPECT_EQ(found.runs, 4U);
}

TEST_F(MutantHunts, TakeNoRunForACatchThatFailsWithoutTheMutantToo) {
  const MutantHunt found = hunt("lease-across-transfer", kHaste);
  EXPECT_FALSE(found.caught.has_value());
  EXPECT_TRUE(found.fails_without);
  EXPECT_NE(mutant_table({found}).find("**nobody**"), std::string::npos);
}

TEST_F(MutantHunts, LeaveNoMutantPlanted) {
  static_cast<void>(hunt("commit-alone", kCalm));
  EXPECT_TRUE(mutant_active(Mutant::kNone));
}

}  // namespace
}  // namespace dogfs::sim
