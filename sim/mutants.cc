#include "sim/mutants.h"

#include <fmt/format.h>

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

Status arm_mutant(const std::string& name) {
  if (name.empty()) return ok();
#ifdef DOGFS_MUTANTS
#define X(mutant, spelling, scenario, text, origin) \
  if (name == (spelling)) {                         \
    set_active_mutant(Mutant::mutant);              \
    return ok();                                    \
  }
  DOGFS_MUTANT_LIST(X)
#undef X
  return Error(ErrorCode::kInvalidArgument, "no mutant " + name + " (dogfs-sim list shows them)");
#else
  return Error(ErrorCode::kUnsupported, "this build has no mutants: use the preset mutants");
#endif
}

Result<MutantHunt> hunt_mutant(const MutantEntry& mutant, const std::string& directory,
                               std::vector<NamedScenario> scenarios, SwarmOptions options) {
  DOGFS_TRYV(arm_mutant(mutant.name));
  if (scenarios.empty()) {
    DOGFS_TRY(proto::Scenario own, load_scenario(directory, mutant.scenario));
    scenarios.push_back({mutant.scenario, std::move(own)});
  }
  std::printf("=== %s: %s\n", mutant.name.c_str(), mutant.text.c_str());
  options.mutant = mutant.name;
  options.most_failures = 1;
  SwarmResult result = run_swarm(scenarios, options);
  MutantHunt hunt{mutant, result.runs, std::nullopt};
  if (!result.failures.empty()) hunt.caught = std::move(result.failures.front());
  std::printf("%s after %llu runs\n", hunt.caught ? "caught" : "SURVIVED", static_cast<unsigned long long>(hunt.runs));
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
