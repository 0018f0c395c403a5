// How a simulated operation ends: the operation keeps a Completion and sets its result; one coroutine waits for it.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "core/base/check.h"
#include "sim/executor.h"

namespace dogfs::sim {

template <class T>
class Completion {
 public:
  bool done() const { return value_.has_value(); }

  // The first result counts. The waiting coroutine goes on in an event of its own.
  void set(Simulator& simulator, T value) {
    if (done()) return;
    value_.emplace(std::move(value));
    simulator.wake(waiting_);
  }
  // As set, but the waiting coroutine goes on inline. Precondition: as for Simulator::resume.
  void set_and_resume(Simulator& simulator, T value) {
    if (done()) return;
    value_.emplace(std::move(value));
    simulator.resume(waiting_, Wake::kCompleted);
  }

  // Waits for the result of `completion`, until `deadline` at the latest (then nullopt).
  static Task<std::optional<T>> wait_until(SimExecutor executor, std::shared_ptr<Completion> completion,
                                           VirtualTime deadline) {
    co_await park(executor, [executor, completion, deadline](ParkId id) {
      completion->waiting_ = id;
      if (completion->done()) executor.simulator().wake(id);
      if (deadline != kEndOfTime) executor.simulator().wake_at(id, deadline, Wake::kDeadline);
    });
    co_return std::exchange(completion->value_, std::nullopt);
  }

  static Task<T> wait(SimExecutor executor, std::shared_ptr<Completion> completion) {
    std::optional<T> value = co_await wait_until(executor, std::move(completion), kEndOfTime);
    DOGFS_CHECK(value.has_value());
    co_return *std::move(value);
  }

 private:
  std::optional<T> value_;
  ParkId waiting_;
};

}  // namespace dogfs::sim
