// What the runs of a swarm have come by: how often each kind of fault struck, how often each harm that faults do
// (sim/harms.h) came to pass, and how often each coverage mark (core/base/coverage_mark.h) was passed. A fault that never
// strikes tests nothing, and neither does a handler that never ran: `dogfs-sim swarm --coverage` fails for either.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/fault_kinds.h"
#include "sim/harms.h"

namespace dogfs::sim {

struct Coverage {
  // By the number of the kind.
  std::vector<uint64_t> faults = std::vector<uint64_t>(fault_kinds());
  // In the order of Harm.
  std::vector<uint64_t> harms = std::vector<uint64_t>(kHarms);
  // In the order of coverage_marks(). Empty in a build without marks.
  std::vector<uint64_t> marks;

  void add(const Coverage& other);
};

// The hits of all marks since the last call, in this process.
std::vector<uint64_t> take_mark_hits();

// How often each mark was passed, by its text, which may stand in several places. Empty in a build without marks.
std::map<std::string, uint64_t> mark_counts(const Coverage& coverage);

// The names of the kinds among `expected` that never struck.
std::vector<std::string> kinds_that_never_struck(const Coverage& coverage, const std::vector<bool>& expected);

// The names of the kinds that are not among `expected`.
std::vector<std::string> kinds_in_no_scenario(const std::vector<bool>& expected);

// A mark that no run of the simulator can pass.
struct UnreachableMark {
  std::string text;
  std::string why;
};
// All of them, as few as can be.
const std::vector<UnreachableMark>& unreachable_marks();

// What keeps a swarm over all scenarios from having covered everything, a line each: harms that never struck, marks that
// were never passed, and `unreachable` ones that were. Empty: nothing.
std::vector<std::string> coverage_gaps(const Coverage& coverage, const std::vector<UnreachableMark>& unreachable);

// For a person to read: the counts, what was never hit, and why there are no marks in a build without.
std::string coverage_text(const Coverage& coverage, const std::vector<bool>& expected);

}  // namespace dogfs::sim
