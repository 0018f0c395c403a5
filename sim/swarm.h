// Many runs over worker processes: a run that ends its process is a failure like any other, with its seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/coverage.h"
#include "sim/scenario.pb.h"

namespace dogfs::sim {

struct NamedScenario {
  std::string name;
  proto::Scenario scenario;
};

struct SwarmOptions {
  uint64_t first_seed = 1;
  uint64_t last_seed = 1;  // inclusive
  uint32_t workers = 1;
  std::string mutant;           // for the commands that are printed
  uint64_t longest_run_ms = 0;  // of real time: one that takes longer is ended, and has failed. 0: no limit
  // Of all scenarios together. The first in the order of the runs count, whichever worker fails first: what lies before
  // them is run to its end, what lies behind is not.
  uint64_t most_failures = 10;
};

struct SwarmFailure {
  std::string scenario;
  uint64_t seed = 0;
  std::string what;
  uint64_t run = 0;  // from 0, in the order of the runs: every scenario with the first seed, with the second, ...
};

struct ScenarioRuns {
  std::string scenario;
  uint64_t runs = 0;
  uint64_t failed = 0;
};

struct SwarmResult {
  uint64_t runs = 0;
  uint64_t events = 0;
  uint64_t virtual_ms = 0;
  uint64_t operations = 0;
  uint64_t failed_operations = 0;
  uint64_t faults = 0;
  uint64_t wall_ms = 0;
  uint64_t cpu_ms = 0;  // of all workers
  // Of the runs that came to their end: what a process had passed when it broke off is not known.
  Coverage coverage;
  std::vector<SwarmFailure> failures;   // in the order of the runs
  std::vector<ScenarioRuns> scenarios;  // all that were given, in their order
};

// Runs every scenario with every seed. Failures are printed to stdout as they are found.
SwarmResult run_swarm(const std::vector<NamedScenario>& scenarios, const SwarmOptions& options);

// Processor time that this process and its workers have used.
uint64_t cpu_ms();

// "dogfs-sim run leader_isolated --seed 7"
std::string reproduce_command(const std::string& scenario, uint64_t seed, const std::string& mutant);

}  // namespace dogfs::sim
