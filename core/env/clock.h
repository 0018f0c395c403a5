// Time, and the one way to wait.
//
// Simulated twin: sim/clock.h (virtual time, per-node drift). Real twin: runtime/clock.h (CLOCK_MONOTONIC).
// Everything here belongs to the node's executor.
#pragma once

#include <memory>

#include "core/base/time.h"
#include "core/env/task.h"

namespace dogfs {

// Suspends one coroutine at a time until a deadline or until it is notified. The primitive under every other way to
// wait (core/env/sync.h): it lets the simulator own each suspended handler, so that a crashed node leaks nothing.
class Waiter {
 public:
  virtual ~Waiter() = default;

  // Resumes with true when notified, with false at the deadline. A notification that came while nobody waited is
  // remembered (once) and ends the next wait at once. Precondition: nobody else is waiting here.
  virtual Task<bool> wait_until(MonoTime deadline) = 0;

  // Ends the current or the next wait. Never resumes the waiting coroutine inline.
  virtual void notify() = 0;
};

class Clock {
 public:
  virtual ~Clock() = default;

  virtual MonoTime now() const = 0;
  virtual WallTime wall() const = 0;
  virtual std::unique_ptr<Waiter> make_waiter() = 0;
};

inline constexpr MonoTime kNever = MonoTime::max();

}  // namespace dogfs
