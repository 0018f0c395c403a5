#include "sim/markov.h"

#include <cmath>
#include <cstddef>

#include "core/base/check.h"

namespace dogfs::sim {

MarkovRates serial_repair(unsigned shards, unsigned parity, double shard_loss, double repair) {
  MarkovRates rates;
  for (unsigned missing = 0; missing <= parity; ++missing) {
    rates.loss.push_back((shards - missing) * shard_loss);
    rates.repair.push_back(missing == 0 ? 0 : repair);
  }
  return rates;
}

double mean_time_to_loss(const MarkovRates& rates) {
  DOGFS_CHECK(!rates.loss.empty() && rates.loss.size() == rates.repair.size());
  double way_up = 0;
  double sum = 0;
  for (size_t missing = 0; missing < rates.loss.size(); ++missing) {
    DOGFS_CHECK(rates.loss[missing] > 0);
    way_up = (1 + (missing == 0 ? 0 : rates.repair[missing] * way_up)) / rates.loss[missing];
    sum += way_up;
  }
  return sum;
}

// In balance, as many blocks go up from each state as come back to it.
std::vector<double> shares_of_time(const MarkovRates& rates) {
  std::vector<double> shares = {1};
  double sum = 1;
  for (size_t missing = 1; missing < rates.loss.size(); ++missing) {
    shares.push_back(rates.repair[missing] > 0 ? shares.back() * rates.loss[missing - 1] / rates.repair[missing] : 0);
    sum += shares.back();
  }
  for (double& share : shares) share /= sum;
  return shares;
}

double expected_losses(double blocks, double time, double mean_time_to_loss) {
  return blocks * -std::expm1(-time / mean_time_to_loss);
}

}  // namespace dogfs::sim
