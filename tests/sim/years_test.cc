#include "sim/years.h"

#include <gtest/gtest.h>

#include "sim/years_report.h"

namespace dogfs::sim {
namespace {

// Weeks in which more fails than in a lifetime: a second or two of real time.
YearsOptions hard_times() {
  YearsOptions options;
  options.length = std::chrono::hours(24) * 40;
  options.servers = 20;
  options.racks = 10;
  options.disks = 4;
  options.blocks = 300;
  options.accelerate = 200;
  options.latent_factor = 10'000;
  options.server_bytes = 4'000'000'000'000;
  options.repair_bytes_per_s = 16 * kMiB;
  options.rates.rack_outages = 4'000;
  options.rates.server_outages = 4'000;
  options.beat = std::chrono::minutes(20);
  return options;
}

std::string lines(const std::vector<std::string>& problems) {
  std::string text;
  for (const std::string& problem : problems) text += problem + "\n";
  return text;
}

void expect_that_all_happened(const YearsResult& result) {
  EXPECT_GT(result.fleet.disks_lost, 10U);
  EXPECT_GT(result.fleet.servers_lost, 1U);
  EXPECT_GT(result.fleet.outages, 5U);
  EXPECT_GT(result.fleet.spoilt, 10U);
  EXPECT_GT(result.rack_outages, 1U);
  EXPECT_GT(result.rebuilds.of_gone, 100U);
  EXPECT_GT(result.rebuilds.of_spoilt, 5U);
  EXPECT_GT(result.rebuilds.in_vain, 5U);
}

void expect_books_to_balance(const YearsOptions& options, const YearsResult& result) {
  uint64_t block_ms = 0;
  for (const uint64_t time : result.states.block_ms) block_ms += time;
  // Every block was counted for every moment, but for what came after its loss.
  const uint64_t all = result.blocks * static_cast<uint64_t>(options.length.count());
  EXPECT_LE(block_ms, all + result.blocks);
  EXPECT_GE(block_ms + result.lost * static_cast<uint64_t>(options.length.count()), all);
  // Who went from one state to the next came back from there, is there still, or went on.
  for (uint32_t missing = 0; missing < 3; ++missing) {
    const uint64_t up = result.states.losses[missing];
    const uint64_t back = result.states.rebuilds[missing + 1];
    EXPECT_GE(up, back);
    EXPECT_LE(up - back, result.blocks);
  }
  EXPECT_EQ(result.states.losses[3], result.lost);
  const RebuildCounts& rebuilds = result.rebuilds;
  const uint64_t written = (rebuilds.of_gone + rebuilds.in_vain) * options.scale() + rebuilds.of_spoilt;
  EXPECT_EQ(rebuilds.bytes_written, written * options.shard_bytes());
  EXPECT_GE(rebuilds.bytes_read, rebuilds.bytes_written * options.policy.data_shards);
}

TEST(Years, HardTimesLeaveEveryBlockWholeOrKnownToBeLost) {
  Years years(hard_times(), 1);
  const YearsResult result = years.run();
  EXPECT_EQ(result.blocks, 300U);
  expect_that_all_happened(result);
  expect_books_to_balance(hard_times(), result);
  EXPECT_EQ(lines(years.heal_and_check()), "");
}

TEST(Years, EqualSeedsGiveEqualYears) {
  YearsOptions options = hard_times();
  options.length = std::chrono::hours(24) * 8;
  const YearsResult first = Years(options, 3).run();
  const YearsResult second = Years(options, 3).run();
  const YearsResult other = Years(options, 4).run();
  EXPECT_EQ(first.digest, second.digest);
  EXPECT_EQ(first.commands, second.commands);
  EXPECT_EQ(first.rebuilds.bytes_read, second.rebuilds.bytes_read);
  EXPECT_NE(first.digest, other.digest);
}

TEST(Years, WhileNothingFailsNothingRuns) {
  YearsOptions options = hard_times();
  options.accelerate = 1;
  options.latent_factor = 1;
  options.rates = {.disks_lost = 1, .servers_lost = 1, .server_outages = 1, .rack_outages = 1, .latent_errors = 1};
  options.length = milliseconds(10 * kYearMs);
  Years years(options, 5);
  const YearsResult result = years.run();
  EXPECT_LT(result.beats, 5'000U);
  EXPECT_EQ(result.lost, 0U);
  EXPECT_EQ(lines(years.heal_and_check()), "");
}

// The same failures, by the same seeds: servers are lost almost as fast as they can be made up for.
TEST(Years, RiskFirstLosesLessThanFirstComeFirstServed) {
  YearsOptions options = hard_times();
  options.length = std::chrono::hours(24) * 20;
  options.blocks = 600;
  options.accelerate = 1;
  options.latent_factor = 1;
  options.rates = {.disks_lost = 10, .servers_lost = 9'000, .server_outages = 1, .rack_outages = 1, .latent_errors = 1};
  options.beat = std::chrono::minutes(15);
  YearsResult by_risk;
  YearsResult by_arrival;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    options.order = RepairOrder::kRisk;
    const YearsResult risk = Years(options, seed).run();
    options.order = RepairOrder::kArrival;
    const YearsResult arrival = Years(options, seed).run();
    EXPECT_EQ(risk.fleet.servers_lost, arrival.fleet.servers_lost) << "seed " << seed;
    by_risk.lost += risk.lost;
    by_arrival.lost += arrival.lost;
    by_risk.states.block_ms[3] += risk.states.block_ms[3];
    by_arrival.states.block_ms[3] += arrival.states.block_ms[3];
  }
  EXPECT_LT(by_risk.lost, by_arrival.lost);
  EXPECT_LT(by_risk.states.block_ms[3] * 2, by_arrival.states.block_ms[3]);
}

TEST(YearsOptions, PoliciesAreCheckedAsTheyAreWritten) {
  EXPECT_EQ(parse_years_policy("RS-6-3").value(), kDefaultGeometry);
  EXPECT_EQ(parse_years_policy("RS-10-4").value().total_shards(), 14U);
  for (const char* text :
       {"", "RS", "RS-6", "RS-6-3x", "RS-0-3", "RS-33-1", "RS-6-17", "RS--6-3", "XX-6-3", "RS-6-300"}) {
    EXPECT_FALSE(parse_years_policy(text).has_value()) << text;
  }
}

TEST(YearsOptions, WhatIsOutOfBoundsIsRefused) {
  EXPECT_TRUE(validate(YearsOptions()).has_value());
  const auto refused = [](auto change) {
    YearsOptions options;
    change(options);
    return !validate(options).has_value();
  };
  EXPECT_TRUE(refused([](YearsOptions& options) { options.length = std::chrono::hours(23); }));
  EXPECT_TRUE(refused([](YearsOptions& options) { options.length = milliseconds(101 * kYearMs); }));
  EXPECT_TRUE(refused([](YearsOptions& options) { options.servers = 9; }));
  EXPECT_TRUE(refused([](YearsOptions& options) { options.racks = 61; }));
  EXPECT_TRUE(refused([](YearsOptions& options) { options.blocks = 0; }));
  EXPECT_TRUE(refused([](YearsOptions& options) { options.accelerate = 0; }));
  EXPECT_TRUE(refused([](YearsOptions& options) { options.beat = milliseconds(999); }));
  EXPECT_TRUE(refused([](YearsOptions& options) {
    options.accelerate = 1'000'000;
    options.latent_factor = 1'000'000;
  }));
}

TEST(YearsReport, TheTextbookIsFedWithTheRatesThatWentIn) {
  YearsOptions options;
  options.accelerate = 10;
  options.rates = {.disks_lost = 20, .servers_lost = 5, .server_outages = 1, .rack_outages = 0, .latent_errors = 0};
  YearsResult result;
  result.blocks = 1000;
  result.states.block_ms = {static_cast<uint64_t>(kYearMs) * 9'990, static_cast<uint64_t>(kYearMs) * 10};
  result.states.rebuilds = {0, 20'000};
  const YearsSum sum(options, {result});
  EXPECT_DOUBLE_EQ(sum.shard_loss(), 0.25);
  EXPECT_DOUBLE_EQ(sum.repair_rate(1), 2'000);
  EXPECT_DOUBLE_EQ(sum.repair_rate(3), 2'000);  // unknown: as that of the state before
  EXPECT_DOUBLE_EQ(sum.share_of_time(1), 0.001);
  EXPECT_DOUBLE_EQ(sum.textbook().loss.at(1), 8 * 0.25);
  EXPECT_NEAR(sum.expected_losses(sum.textbook()),
              expected_losses(1000, 10, mean_time_to_loss(serial_repair(9, 3, 0.25, 2'000))), 1e-9);
}

}  // namespace
}  // namespace dogfs::sim
