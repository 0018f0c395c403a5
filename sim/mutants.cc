#include "sim/mutants.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "core/base/check.h"
#include "core/base/mutant.h"
#include "sim/scenario.h"

namespace dogfs::sim {

const std::vector<MutantEntry>& all_mutants() {
  static const std::vector<MutantEntry> entries = {
#define X(mutant, spelling, scenario, text, origin) {spelling, scenario, text, origin},
      DOGFS_MUTANT_LIST(X)
#undef X
  };
  return entries;
}

Status check_mutant_names(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (std::ranges::find(all_mutants(), name, &MutantEntry::name) != all_mutants().end()) continue;
    return Error(ErrorCode::kInvalidArgument, "no mutant " + name + " (dogfs-sim list shows them)");
  }
  return ok();
}

Status arm_mutant(const std::string& name) {
#ifdef DOGFS_MUTANTS
  if (name.empty()) {
    set_active_mutant(Mutant::kNone);
    return ok();
  }
#define X(mutant, spelling, scenario, text, origin) \
  if (name == (spelling)) {                         \
    set_active_mutant(Mutant::mutant);              \
    return ok();                                    \
  }
  DOGFS_MUTANT_LIST(X)
#undef X
  return Error(ErrorCode::kInvalidArgument, "no mutant " + name + " (dogfs-sim list shows them)");
#else
  if (name.empty()) return ok();
  return Error(ErrorCode::kUnsupported, "this build has no mutants: use the preset mutants");
#endif
}

namespace {

// The same run, now that no mutant is planted. One that fails as well has caught nothing: what broke it is in the code,
// or in the scenario.
bool passes_control(const std::vector<NamedScenario>& scenarios, const SwarmFailure& failure) {
  const auto named = std::ranges::find(scenarios, failure.scenario, &NamedScenario::name);
  // A swarm of one, so that a run that ends its process does not end this one.
  return run_swarm({*named}, {.first_seed = failure.seed, .last_seed = failure.seed, .mutant = {}}).failures.empty();
}

void print_end(const MutantHunt& hunt) {
  if (hunt.fails_without) std::printf("That run fails WITHOUT the mutant, too: it proves nothing of the mutant\n");
  std::printf("%s after %llu runs\n", hunt.caught ? "caught" : "SURVIVED", static_cast<unsigned long long>(hunt.runs));
}

}  // namespace

Result<MutantHunt> hunt_mutant(const MutantEntry& mutant, const std::string& directory,
                               std::vector<NamedScenario> scenarios, SwarmOptions options) {
  if (scenarios.empty()) {
    DOGFS_TRY(proto::Scenario own, load_scenario(directory, mutant.scenario));
    scenarios.push_back({mutant.scenario, std::move(own)});
  }
  std::printf("=== %s: %s\n", mutant.name.c_str(), mutant.text.c_str());
  options.mutant = mutant.name;
  options.most_failures = 1;
  DOGFS_TRYV(arm_mutant(mutant.name));
  SwarmResult result = run_swarm(scenarios, options);
  DOGFS_TRYV(arm_mutant(""));
  MutantHunt hunt{mutant, result.runs, std::nullopt};
  if (!result.failures.empty()) {
    // Not those that other workers have begun behind it: the table does not depend on how many there are.
    hunt.runs = result.failures.front().run + 1;
    hunt.fails_without = !passes_control(scenarios, result.failures.front());
    if (!hunt.fails_without) hunt.caught = std::move(result.failures.front());
  }
  print_end(hunt);
  return hunt;
}

std::string mutant_table(const std::vector<MutantHunt>& hunts) {
  std::string table = "| Mutant | What goes wrong | Where | Caught by | Seed | Runs |\n|---|---|---|---|---|---|\n";
  for (const MutantHunt& hunt : hunts) {
    const std::string caught =
        hunt.caught ? fmt::format("{} | {}", hunt.caught->scenario, hunt.caught->seed) : std::string("**nobody** | ");
    table += fmt::format("| `{}` | {} | {} | {} | {} |\n", hunt.mutant.name, hunt.mutant.text, hunt.mutant.origin,
                         caught, hunt.runs);
  }
  return table;
}

}  // namespace dogfs::sim
