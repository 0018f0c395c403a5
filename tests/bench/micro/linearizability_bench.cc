// How fast a history of the metadata is checked (sim/linearizability.h): ten thousand operations, two in five of them reads,
// each overlapping with others. Prints one line for tests/bench/bench_sim.py.
#include <cstdio>
#include <ctime>

#include "tests/sim/history_harness.h"

int main() {
  constexpr size_t kOperations = 10'000;
  dogfs::sim::HistoryHarness harness;
  dogfs::sim::run_overlapping_operations(harness, kOperations);
  const std::clock_t begin = std::clock();
  const auto result = dogfs::sim::check_linearizability(harness.history, harness.machine.log);
  const double cpu_seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  if (result.violation || result.changes + result.reads != kOperations) {
    std::fprintf(stderr, "a good history is said to be a bad one: %s\n", result.violation.value_or("").c_str());
    return 1;
  }
  std::printf("linearizability operations=%zu cpu_seconds=%.4f\n", kOperations, cpu_seconds);
}
