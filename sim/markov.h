// The textbook's model of how long an erasure-coded block lives: a chain of states, one for each number of missing
// shards. From state j a block goes to j + 1 when another of its n - j shards is lost, and back to j - 1 when one is
// rebuilt. With more than m missing it is lost, for good.
//
// The mean time to that end is solved exactly. Let h(j) be the mean time from j until j + 1 is reached for the first
// time: the wait in j, and with the chance that the step goes back, the way up again:
//   h(0) = 1 / loss(0),   h(j) = (1 + repair(j) h(j - 1)) / loss(j),   MTTDL = h(0) + ... + h(m)
// All terms are positive, so nothing cancels, however far the rates are apart. (The well-known mu^m / (n ...
// lambda^m+1) is only the last term's leading part, and wrong when repair is not much faster than loss.)
#pragma once

#include <vector>

namespace dogfs::sim {

// By the number of missing shards, 0 ... m; all in one unit, such as events a year.
struct MarkovRates {
  std::vector<double> loss;
  std::vector<double> repair;  // that of state 0 has no meaning
};

// `shards` that are each lost at a rate of `shard_loss`, up to `parity` of them at once, while one at a time is
// rebuilt.
MarkovRates serial_repair(unsigned shards, unsigned parity, double shard_loss, double repair);

// In the unit of the rates. Precondition: as many repair rates as loss rates, at least one, and no loss rate of zero.
double mean_time_to_loss(const MarkovRates& rates);

// What part of its life a block spends in each state before it is lost, as long as that is rare.
std::vector<double> shares_of_time(const MarkovRates& rates);

// How many of `blocks` are lost within `time`: their life is memoryless but for its first moments.
double expected_losses(double blocks, double time, double mean_time_to_loss);

}  // namespace dogfs::sim
