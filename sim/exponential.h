// Waiting times without memory, drawn with integers alone: a floating-point logarithm differs between libraries, and
// with it the run.
#pragma once

#include <cstdint>

#include "core/base/time.h"
#include "sim/random.h"

namespace dogfs::sim {

// -ln(u / 2^64), in units of 2^-32, to within a few of them. Precondition: u > 0.
uint64_t minus_log(uint64_t u);

// The time until the next of events that come `mean` apart on average, each independent of those before.
milliseconds exponential(RandomStream& draws, milliseconds mean);

}  // namespace dogfs::sim
