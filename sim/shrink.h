// Makes a failing run small: the fewest faults, nodes, clients and operations, and the least time, that still fail in
// the same way.
//
// What counts is how much a run costs, since time is limited: one of a large swarm takes a second or two. So first what
// would have come after the failure goes, and no run may take much longer, in virtual time, than the smallest that has
// failed. Then come bold cuts (sim/shrink_cuts.h), the cheapest first, each with as many seeds as cost little beside what
// would be saved: what fails by a race often needs much only for its timing, and with another seed less will do. The
// small scenario names the seed that it fails with. Of what is left, which is cheap to run now, the faults are
// delta-debugged (sim/shrink_ddmin.h) as the explicit list that the seed drew, then operations, then everything else is
// tried smaller. It works because draws are keyed (sim/random.h): what is left behaves as before.
// A smaller run counts only if it fails in the same way (sim/failure_kind.h); what fails otherwise is another story.
#pragma once

#include <string>

#include "core/base/result.h"
#include "sim/scenario.pb.h"
#include "sim/shrink_probe.h"

namespace dogfs::sim {

struct ShrinkResult {
  proto::Scenario scenario;
  std::string first_failure;  // of the run that was given
  std::string failure;        // of the small one
  uint64_t runs = 0;
  uint64_t elapsed_ms = 0;
  int faults_before = 0;
  bool complete = false;  // false: the time was over before everything had been tried
};

// kInvalidArgument if the run does not fail. `scenario` is one that parse_scenario() gave.
Result<ShrinkResult> shrink(const proto::Scenario& scenario, uint64_t seed, const Prober::Options& options);

}  // namespace dogfs::sim
