#include "sim/clock.h"

#include <utility>

namespace dogfs::sim {
namespace {

// 2026-01-01T00:00:00Z, when every run begins.
constexpr seconds kWallEpoch(1'767'225'600);

class SimWaiter final : public Waiter {
 public:
  SimWaiter(SimExecutor executor, const SimClock& clock) : executor_(executor), clock_(clock) {}

  Task<bool> wait_until(MonoTime deadline) override {
    const VirtualTime until = clock_.to_virtual(deadline);
    co_await park(executor_, [this, until](ParkId id) {
      waiting_ = id;
      if (notified_) executor_.simulator().wake(id);
      if (until != kEndOfTime) executor_.simulator().wake_at(id, until, Wake::kDeadline);
    });
    // Asked after the wait, whatever ended it: a notification of the last moment is not lost to the deadline.
    co_return std::exchange(notified_, false);
  }

  void notify() override {
    if (std::exchange(notified_, true)) return;
    executor_.simulator().wake(waiting_);
  }

 private:
  SimExecutor executor_;
  const SimClock& clock_;
  ParkId waiting_;
  bool notified_ = false;
};

}  // namespace

WallTime SimClock::wall() const {
  return WallTime(kWallEpoch + executor_.simulator().now().time_since_epoch());
}

std::unique_ptr<Waiter> SimClock::make_waiter() {
  return std::make_unique<SimWaiter>(executor_, *this);
}

VirtualTime SimClock::to_virtual(MonoTime time) const {
  if (time == kNever) return kEndOfTime;
  return VirtualTime(time.time_since_epoch() - zero_);
}

}  // namespace dogfs::sim
