// What a conformance test needs from the world that it runs in: a way to run a coroutine to its end.
//
// Each port's rules are written once, as typed GoogleTest bodies over a World (tests/conformance/*_conformance.h), and
// are run against both twins: the real one on an event loop, the simulated one in virtual time.
#pragma once

#include <gtest/gtest.h>

#include "core/env/clock.h"
#include "core/env/task.h"

namespace dogfs {

class Harness {
 public:
  virtual ~Harness() = default;

  virtual Executor executor() = 0;
  virtual Clock& clock() = 0;
  // Runs the world until `task` has ended.
  virtual void run(Task<void> task) = 0;
};

}  // namespace dogfs

// ASSERT_* return from a function, which a coroutine cannot do.
#define DOGFS_CO_ASSERT(condition)                              \
  if (!(condition)) {                                           \
    ADD_FAILURE() << "in a coroutine: " #condition " is false"; \
    co_return;                                                  \
  }                                                             \
  static_assert(true)
