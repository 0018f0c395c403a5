#include "sim/paced_clock.h"

#include <chrono>

namespace dogfs::sim {
namespace {

// The machine has been up for so long, so that no time that is subtracted comes below zero.
constexpr Duration kUpSince = std::chrono::hours(1000);
// 2026-01-01T00:00:00Z, when every run begins.
constexpr seconds kWallEpoch(1'767'225'600);

class PacedWaiter final : public Waiter {
 public:
  PacedWaiter(SimExecutor executor, PacedClock& clock) : executor_(executor), clock_(clock) {}

  Task<bool> wait_until(MonoTime deadline) override {
    PacedClock::Wait wait;
    co_await park(executor_, [this, deadline, &wait](ParkId id) {
      waiting_ = id;
      if (notified_) executor_.simulator().wake(id);
      if (deadline != kNever) wait = clock_.wake_at(id, deadline);
    });
    clock_.forget(wait);
    co_return std::exchange(notified_, false);
  }

  void notify() override {
    if (std::exchange(notified_, true)) return;
    executor_.simulator().wake(waiting_);
  }

 private:
  SimExecutor executor_;
  PacedClock& clock_;
  ParkId waiting_;
  bool notified_ = false;
};

}  // namespace

MonoTime PacedClock::now() const {
  return MonoTime(executor_.simulator().now().time_since_epoch() + kUpSince);
}

WallTime PacedClock::wall() const {
  return WallTime(kWallEpoch + executor_.simulator().now().time_since_epoch());
}

std::unique_ptr<Waiter> PacedClock::make_waiter() {
  return std::make_unique<PacedWaiter>(executor_, *this);
}

void PacedClock::beat() {
  const MonoTime time = now();
  while (!waits_.empty() && waits_.begin()->first.first <= time) {
    executor_.simulator().wake_at(waits_.begin()->second, executor_.simulator().now(), Wake::kDeadline);
    waits_.erase(waits_.begin());
  }
}

PacedClock::Wait PacedClock::wake_at(ParkId waiting, MonoTime deadline) {
  const Wait wait(deadline, ++last_wait_);
  if (deadline <= now()) {
    executor_.simulator().wake_at(waiting, executor_.simulator().now(), Wake::kDeadline);
  } else {
    waits_.emplace(wait, waiting);
  }
  return wait;
}

}  // namespace dogfs::sim
