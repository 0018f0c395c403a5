#include "sim/markov.h"

#include <gtest/gtest.h>

#include <numeric>

#include "sim/random.h"

namespace dogfs::sim {
namespace {

TEST(Markov, WithoutParityABlockLivesUntilTheFirstOfItsShardsIsLost) {
  EXPECT_DOUBLE_EQ(mean_time_to_loss(serial_repair(6, 0, 0.02, 1000)), 1 / (6 * 0.02));
}

TEST(Markov, WithOneParityShardTheClosedFormIsMet) {
  for (const double repair : {0.0, 0.5, 20.0, 1e4, 1e9}) {
    const double n = 7;
    const double loss = 0.03;
    const double exact = ((2 * n - 1) * loss + repair) / (n * (n - 1) * loss * loss);
    EXPECT_NEAR(mean_time_to_loss(serial_repair(7, 1, loss, repair)) / exact, 1, 1e-12) << repair;
  }
}

TEST(Markov, FastRepairApproachesTheWellKnownFormula) {
  const double loss = 0.02;
  const double repair = 5000;
  const double formula = repair * repair * repair / (9 * 8 * 7 * 6 * loss * loss * loss * loss);
  EXPECT_NEAR(mean_time_to_loss(serial_repair(9, 3, loss, repair)) / formula, 1, 1e-3);
}

TEST(Markov, WithoutRepairTheWaitsForEachShardAddUp) {
  EXPECT_NEAR(mean_time_to_loss(serial_repair(9, 3, 0.1, 0)), 10.0 / 9 + 10.0 / 8 + 10.0 / 7 + 10.0 / 6, 1e-12);
}

TEST(Markov, SharesOfTimeAreThoseOfABalance) {
  const MarkovRates rates = serial_repair(9, 3, 0.5, 40);
  const std::vector<double> shares = shares_of_time(rates);
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12);
  for (size_t missing = 1; missing < shares.size(); ++missing) {
    EXPECT_NEAR(shares[missing] * rates.repair[missing], shares[missing - 1] * rates.loss[missing - 1], 1e-12);
  }
}

TEST(Markov, FewLossesAreProportionalToTimeAndManyEndWithAllBlocks) {
  EXPECT_NEAR(expected_losses(1e6, 1, 1e9), 1e-3, 1e-9);
  EXPECT_NEAR(expected_losses(100, 1000, 1), 100, 1e-9);
}

// A slow model that is obviously right: chains are played, step by step.
TEST(Markov, PlayedChainsTakeAsLong) {
  const MarkovRates rates{.loss = {3, 2, 1}, .repair = {0, 4, 2}};
  RandomStream draws(StreamKey(7));
  constexpr int kChains = 20'000;
  double total = 0;
  for (int chain = 0; chain < kChains; ++chain) {
    size_t missing = 0;
    while (missing < rates.loss.size()) {
      const double both = rates.loss[missing] + rates.repair[missing];
      total += 1 / both;  // the mean of the wait serves as well as the wait
      const bool lost = static_cast<double>(draws.below(1'000'000)) < 1e6 * rates.loss[missing] / both;
      missing = lost ? missing + 1 : missing - 1;
    }
  }
  EXPECT_NEAR(total / kChains / mean_time_to_loss(rates), 1, 0.02);
}

}  // namespace
}  // namespace dogfs::sim
