// Scenarios that a seed draws as a whole: the cluster, the code, the network, the work, and which faults strike how often.
//
// A scenario that a person has written shows one thing. What it leaves out are the combinations that nobody thought of;
// those are drawn. Some classes of faults are off in each draw, since a run that is struck by everything at once gets
// nothing done, and one fault may hide what another would show (Groce et al., "Swarm Testing", 2012).
#pragma once

#include <cstdint>

#include "sim/scenario.pb.h"

namespace dogfs::sim {

// What `scenario` is with `seed`: a scenario without a profile, which validates. One that has none is left as it is.
// A pure function, with a stream for each thing that is drawn.
proto::Scenario draw_profile(const proto::Scenario& scenario, uint64_t seed);

}  // namespace dogfs::sim
