// The Clock port by the operating system: CLOCK_MONOTONIC, and a timer of the event loop for each waiter.
#pragma once

#include <memory>

#include "core/env/clock.h"

namespace dogfs {

class SystemClock final : public Clock {
 public:
  // Waiters belong to `executor`, which must be single-threaded.
  explicit SystemClock(Executor executor) : executor_(std::move(executor)) {}

  MonoTime now() const override;
  WallTime wall() const override;
  std::unique_ptr<Waiter> make_waiter() override;

 private:
  Executor executor_;
};

}  // namespace dogfs
