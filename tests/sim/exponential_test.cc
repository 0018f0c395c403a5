#include "sim/exponential.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dogfs::sim {
namespace {

constexpr double kOne = 4294967296.0;  // minus_log counts in units of 2^-32

TEST(Exponential, TheIntegerLogarithmIsTheLogarithm) {
  RandomStream draws(StreamKey(1));
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t u = draws.next() >> draws.below(60) | 1;
    const double exact = -std::log(static_cast<double>(u) / std::pow(2.0, 64));
    EXPECT_NEAR(static_cast<double>(minus_log(u)) / kOne, exact, 1e-8) << u;
  }
}

TEST(Exponential, TheEndsOfTheRangeAreExact) {
  EXPECT_NEAR(static_cast<double>(minus_log(1)) / kOne, 64 * std::log(2.0), 1e-8);
  EXPECT_NEAR(static_cast<double>(minus_log(uint64_t{1} << 63)) / kOne, std::log(2.0), 1e-9);
  EXPECT_LE(minus_log(UINT64_MAX), 1U);
}

TEST(Exponential, WaitsHaveTheirMeanAndNoMemory) {
  constexpr milliseconds kMean(1'000'000);
  constexpr int kDraws = 100'000;
  RandomStream draws(StreamKey(2));
  double sum = 0;
  int beyond_mean = 0;
  int beyond_twice = 0;
  for (int i = 0; i < kDraws; ++i) {
    const milliseconds wait = exponential(draws, kMean);
    sum += static_cast<double>(wait.count());
    if (wait > kMean) ++beyond_mean;
    if (wait > 2 * kMean) ++beyond_twice;
  }
  EXPECT_NEAR(sum / kDraws, 1e6, 1e4);
  EXPECT_NEAR(static_cast<double>(beyond_mean) / kDraws, std::exp(-1.0), 0.005);
  EXPECT_NEAR(static_cast<double>(beyond_twice) / beyond_mean, std::exp(-1.0), 0.01);
}

TEST(Exponential, AMeanOfManyYearsDoesNotOverflow) {
  RandomStream draws(StreamKey(3));
  constexpr milliseconds kMean(int64_t{1'000'000} * 31'557'600'000);
  for (int i = 0; i < 1'000; ++i) {
    const milliseconds wait = exponential(draws, kMean);
    EXPECT_GE(wait.count(), 0);
    EXPECT_LE(wait / 45, kMean);
  }
}

}  // namespace
}  // namespace dogfs::sim
