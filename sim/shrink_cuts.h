// What the shrinker tries first: cuts that leave out much at once, whatever it was that failed.
//
// Most failures of long runs are of chance: whenever some fault meets some operation, it may fail. Such a run's end by
// itself, with another seed perhaps, is as good as all of it, and costs a hundredth. So the ends come first, the
// shortest before all; then what makes every later run cheaper.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/scenario.pb.h"

namespace dogfs::sim {

using Edit = std::function<void(proto::Scenario&)>;

// The work ends at `end_ms` after the run has begun, or before, and only the first `faults` strike.
void leave_out_the_rest(proto::Scenario& scenario, uint64_t faults, uint64_t end_ms);

// The last `count` faults, and brisk work meanwhile, without the time in which nothing strikes. Faults stand in the
// order in which they begin.
void keep_the_end(proto::Scenario& scenario, int count);

// The same work and as many faults in a part of the time.
void quicken(proto::Scenario& scenario, uint32_t times);

// All faults as much sooner as brings the first to the beginning of the work, which ends as much sooner.
void begin_at_once(proto::Scenario& scenario);

// Shorter codes, the shortest first, each on no more chunk servers than it needs.
std::vector<Edit> shorter_codes(const proto::Scenario& scenario);

// A rough measure of what a run costs: nodes times time, and operations.
uint64_t estimated_cost(const proto::Scenario& scenario);

// All cuts that are bold, in the order in which to try them. What one leaves as it is, it does not cut.
std::vector<Edit> bold_cuts(const proto::Scenario& scenario);

}  // namespace dogfs::sim
