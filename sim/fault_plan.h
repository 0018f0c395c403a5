// The faults of a run as a list, drawn before it begins.
//
// A run is a function of (scenario, seed), but its faults are a list first: who is struck, when, and for how long. So
// the list can be printed and, when the run fails, be made shorter: a fault that is taken away changes none of the
// others. Only what depends on the run itself stays open until a fault begins (who leads then); what it draws while
// it strikes comes from a stream of its own.
#pragma once

#include <vector>

#include "sim/scenario.pb.h"

namespace dogfs::sim {

struct PlannedFault {
  proto::Fault fault;   // its selectors leave nothing to chance
  uint64_t stream = 0;  // what it draws from while it strikes
};

// The scenario's own faults and those of its classes, by their beginning. Precondition: the scenario is valid.
std::vector<PlannedFault> plan_faults(const proto::Scenario& scenario, uint64_t seed);

// The scenario with that list in place of its faults and classes: its run with `seed` is the same.
proto::Scenario with_explicit_faults(const proto::Scenario& scenario, uint64_t seed);

}  // namespace dogfs::sim
