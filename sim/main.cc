// dogfs-sim: runs DogFS in the simulator. A run is a function of (build, scenario, seed).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>  // architecture: allow log: what a run traces is printed
#include <string>
#include <vector>

#include "core/base/mutant.h"
#include "sim/mutants.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/swarm.h"

namespace dogfs::sim {
namespace {

struct Flags {
  std::string directory = DOGFS_SCENARIO_DIRECTORY;
  std::string mutant;
  // run
  std::string scenario;
  uint64_t seed = 1;
  bool trace = false;
  bool faults = false;
  // swarm, mutants
  std::vector<std::string> scenarios;
  std::vector<std::string> only;
  std::string seeds;
  uint32_t workers = 1;
};

int complain(const std::string& what) {
  std::fprintf(stderr, "dogfs-sim: %s\n", what.c_str());
  return 2;
}

// "A..B", or "A" for one.
Result<std::pair<uint64_t, uint64_t>> parse_seeds(const std::string& text) {
  const size_t dots = text.find("..");
  uint64_t first = 0;
  uint64_t last = 0;
  const bool parsed = CLI::detail::lexical_cast(text.substr(0, dots), first) &&
                      (dots == std::string::npos || CLI::detail::lexical_cast(text.substr(dots + 2), last));
  if (dots == std::string::npos) last = first;
  if (!parsed || first > last) return Error(ErrorCode::kInvalidArgument, "seeds are A..B with A <= B, not " + text);
  return std::pair(first, last);
}

Result<std::vector<NamedScenario>> load_all(const std::string& directory, std::vector<std::string> names) {
  if (names.empty()) names = list_scenarios(directory);
  std::vector<NamedScenario> scenarios;
  for (const std::string& name : names) {
    DOGFS_TRY(proto::Scenario scenario, load_scenario(directory, name));
    scenarios.push_back({name, std::move(scenario)});
  }
  return scenarios;
}

void print_result(const RunResult& result, double cpu_seconds) {
  const double virtual_seconds = static_cast<double>(result.virtual_time / milliseconds(1)) / 1000;
  std::printf("digest             %016llx\n", static_cast<unsigned long long>(result.digest));
  const auto line = [](const char* name, uint64_t value) {
    std::printf("%-18s %llu\n", name, static_cast<unsigned long long>(value));
  };
  line("events", result.events);
  line("messages", result.messages);
  line("faults", result.faults);
  line("operations", result.operations);
  line("  that failed", result.failed_operations);
  line("bytes written", result.bytes_written);
  line("bytes read", result.bytes_read);
  line("log entries", result.committed_entries);
  line("states compared", result.states_compared);
  line("shards checked", result.shards_checked);
  std::printf("virtual time       %.3f s in %.3f s of processor time: %.0f times real time\n", virtual_seconds,
              cpu_seconds, virtual_seconds / cpu_seconds);
}

int run_one(const Flags& flags) {
  const Result<proto::Scenario> scenario = load_scenario(flags.directory, flags.scenario);
  if (!scenario.has_value()) return complain(scenario.error().detail);
  if (flags.faults) {
    for (const PlannedFault& planned : plan_faults(scenario.value(), flags.seed)) {
      std::printf("%s\n", describe_fault(planned.fault).c_str());
    }
  }
  const uint64_t begin = cpu_ms();
  Run run(scenario.value(), flags.seed, flags.trace ? &std::cout : nullptr);
  const RunResult result = run.execute();
  const double seconds = static_cast<double>(std::max<uint64_t>(cpu_ms() - begin, 1)) / 1000;
  std::cout.flush();
  print_result(result, seconds);
  if (!result.failure) return 0;
  std::printf("FAILED: %s\n  %s\n", result.failure->c_str(),
              reproduce_command(flags.scenario, flags.seed, flags.mutant).c_str());
  return 1;
}

void print_swarm(const SwarmResult& result) {
  const double wall = static_cast<double>(std::max<uint64_t>(result.wall_ms, 1)) / 1000;
  const double cpu = static_cast<double>(std::max<uint64_t>(result.cpu_ms, 1)) / 1000;
  std::printf("%llu runs, %zu failed; %llu operations (%llu failed), %llu faults\n",
              static_cast<unsigned long long>(result.runs), result.failures.size(),
              static_cast<unsigned long long>(result.operations),
              static_cast<unsigned long long>(result.failed_operations),
              static_cast<unsigned long long>(result.faults));
  std::printf("%.1f s: %.1f runs/s; per second of processor time: %.0f events, %.0f virtual seconds\n", wall,
              static_cast<double>(result.runs) / wall, static_cast<double>(result.events) / cpu,
              static_cast<double>(result.virtual_ms) / 1000 / cpu);
}

int run_many(const Flags& flags) {
  const Result<std::vector<NamedScenario>> scenarios = load_all(flags.directory, flags.scenarios);
  if (!scenarios.has_value()) return complain(scenarios.error().detail);
  const auto seeds = parse_seeds(flags.seeds);
  if (!seeds.has_value()) return complain(seeds.error().detail);
  const SwarmResult result = run_swarm(scenarios.value(), {.first_seed = seeds.value().first,
                                                           .last_seed = seeds.value().second,
                                                           .workers = flags.workers,
                                                           .mutant = flags.mutant});
  print_swarm(result);
  return result.failures.empty() ? 0 : 1;
}

// Hunts each planted bug, or those that were named, each in its own scenario or in those that were named.
int run_mutants(const Flags& flags) {
  std::vector<NamedScenario> scenarios;
  if (!flags.scenarios.empty()) {
    Result<std::vector<NamedScenario>> named = load_all(flags.directory, flags.scenarios);
    if (!named.has_value()) return complain(named.error().detail);
    scenarios = std::move(named).value();
  }
  const auto seeds = parse_seeds(flags.seeds);
  if (!seeds.has_value()) return complain(seeds.error().detail);
  SwarmOptions options;
  options.first_seed = seeds.value().first;
  options.last_seed = seeds.value().second;
  options.workers = flags.workers;
  std::vector<MutantHunt> hunts;
  for (const MutantEntry& mutant : all_mutants()) {
    if (!flags.only.empty() && std::ranges::count(flags.only, mutant.name) == 0) continue;
    Result<MutantHunt> hunt = hunt_mutant(mutant, flags.directory, scenarios, options);
    if (!hunt.has_value()) return complain(hunt.error().detail);
    hunts.push_back(std::move(hunt).value());
  }
  if (hunts.size() < flags.only.size()) return complain("no such mutant (dogfs-sim list shows them)");
  std::printf("\n%s", mutant_table(hunts).c_str());
  return std::ranges::all_of(hunts, [](const MutantHunt& hunt) { return hunt.caught.has_value(); }) ? 0 : 1;
}

int list(const Flags& flags) {
  const Result<std::vector<NamedScenario>> scenarios = load_all(flags.directory, {});
  if (!scenarios.has_value()) return complain(scenarios.error().detail);
  std::printf("Scenarios:\n");
  for (const NamedScenario& named : scenarios.value()) {
    std::printf("  %-28s %s\n", named.name.c_str(), named.scenario.shows().c_str());
  }
  std::printf("\nMutants%s:\n", kMutantsCompiledIn ? "" : " (of the preset mutants; not in this build)");
  for (const MutantEntry& mutant : all_mutants()) {
    std::printf("  %-28s %s (%s)\n", mutant.name.c_str(), mutant.text.c_str(), mutant.origin.c_str());
  }
  return 0;
}

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Runs DogFS in the simulator: real metadata nodes, chunk servers and clients on virtual ports.");
  app.require_subcommand(1);
  app.add_option("--scenarios", flags.directory, "Where the scenario files are")->capture_default_str();

  CLI::App* run = app.add_subcommand("run", "One run; prints its digest. Exits with 1 if an oracle finds a fault.");
  run->add_option("SCENARIO", flags.scenario, "A scenario's name, or the path of a file")->required();
  run->add_option("--seed", flags.seed, "Equal seeds give equal runs")->capture_default_str();
  run->add_flag("--trace", flags.trace, "Print everything that happens");
  run->add_flag("--faults", flags.faults, "Print the planned faults first");
  run->add_option("--mutant", flags.mutant, "Plant this bug (builds of the preset mutants)");

  CLI::App* swarm = app.add_subcommand("swarm", "Many runs. Prints the seed and the command of each that fails.");
  swarm->add_option("SCENARIO", flags.scenarios, "Which scenarios; none: all");
  swarm->add_option("--seeds", flags.seeds, "A..B")->required();
  swarm->add_option("-j,--jobs", flags.workers, "Worker processes")->check(CLI::Range(1, 256))->capture_default_str();
  swarm->add_option("--mutant", flags.mutant, "Plant this bug (builds of the preset mutants)");

  CLI::App* mutants = app.add_subcommand("mutants", "Plants each known bug in turn; exits with 1 if one is not found.");
  mutants->add_option("SCENARIO", flags.scenarios, "Which scenarios; none: each mutant's own");
  mutants->add_option("--only", flags.only, "Hunt these mutants only");
  mutants->add_option("--seeds", flags.seeds, "A..B")->default_str("1..2000")->default_val("1..2000");
  mutants->add_option("-j,--jobs", flags.workers, "Worker processes")->check(CLI::Range(1, 256))->capture_default_str();

  CLI::App* show = app.add_subcommand("list", "The scenarios and the mutants.");
  CLI11_PARSE(app, argc, argv);

  const Status armed = arm_mutant(flags.mutant);
  if (!armed.has_value()) return complain(armed.error().detail);
  if (run->parsed()) return run_one(flags);
  if (swarm->parsed()) return run_many(flags);
  if (mutants->parsed()) return run_mutants(flags);
  return show->parsed() ? list(flags) : 2;
}

}  // namespace
}  // namespace dogfs::sim

int main(int argc, char** argv) {
  return dogfs::sim::main(argc, argv);
}
