// The hunt for planted bugs (core/base/mutant.h): what the simulator is worth.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "sim/swarm.h"

namespace dogfs::sim {

struct MutantEntry {
  std::string name;
  std::string scenario;  // that catches it
  std::string text;      // what goes wrong
  std::string origin;    // where it went wrong, or who forbids it
};

const std::vector<MutantEntry>& all_mutants();

// Whether all of them are mutants; the error names one that is not.
Status check_mutant_names(const std::vector<std::string>& names);

// Plants the bug of that name in this process, in place of any other; an empty name is none. kUnsupported in a build
// without mutants.
Status arm_mutant(const std::string& name);

struct MutantHunt {
  MutantEntry mutant;
  uint64_t runs = 0;  // up to the one that failed, with it
  // The first run that failed, and passes without the mutant; none: the mutant survived.
  std::optional<SwarmFailure> caught;
  // The first run that failed does so without the mutant, too: the hunt has ended there, and proves nothing.
  bool fails_without = false;
};

// Runs the mutant's own scenario, or else all of `scenarios`, with each seed until one run fails; then that run without
// the mutant. Prints as it goes, and leaves none planted.
// Precondition: the build has mutants. Fails when the mutant's scenario does not load.
Result<MutantHunt> hunt_mutant(const MutantEntry& mutant, const std::string& directory,
                               std::vector<NamedScenario> scenarios, SwarmOptions options);

// The table of docs/mutants.md.
std::string mutant_table(const std::vector<MutantHunt>& hunts);

}  // namespace dogfs::sim
