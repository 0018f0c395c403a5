// Randomness by named stream.
//
// Each draw is a function of (seed, stream, how often that stream was drawn from), so that taking away one consumer
// does not change what the others draw; that is what lets the simulator shrink a failing run.
// Simulated twin: sim/random.h (keyed by the run's seed and the node). Real twin: runtime/random.h (seeded by the
// operating system). Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <string_view>

namespace dogfs {

class Random {
 public:
  virtual ~Random() = default;

  // The next 64 random bits of `stream`, a name such as "raft.election" that stands for one purpose.
  virtual uint64_t draw(std::string_view stream) = 0;
};

}  // namespace dogfs
