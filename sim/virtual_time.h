// The simulator's own time: nanoseconds since the start of the run. Nodes never see it; each has a Clock of its own
// (sim/clock.h) that is derived from it.
#pragma once

#include "core/base/time.h"

namespace dogfs::sim {

struct VirtualTag {
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
};
using VirtualTime = std::chrono::time_point<VirtualTag, Duration>;

inline constexpr VirtualTime kEndOfTime = VirtualTime::max();

}  // namespace dogfs::sim
