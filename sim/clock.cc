#include "sim/clock.h"

#include <utility>

namespace dogfs::sim {
namespace {

// 2026-01-01T00:00:00Z, when every run begins.
constexpr seconds kWallEpoch(1'767'225'600);
constexpr int64_t kMillion = 1'000'000;

// What a clock gains in `elapsed` nanoseconds. In two parts, so that no product overflows.
int64_t gain(int64_t elapsed, int64_t rate_ppm) {
  return elapsed / kMillion * rate_ppm + elapsed % kMillion * rate_ppm / kMillion;
}

class SimWaiter final : public Waiter {
 public:
  SimWaiter(SimExecutor executor, SimClock& clock) : executor_(executor), clock_(clock) {}

  Task<bool> wait_until(MonoTime deadline) override {
    // A clock that was slowed down meanwhile has not come to the deadline yet.
    do {
      uint64_t wait = 0;
      co_await park(executor_, [this, deadline, &wait](ParkId id) {
        waiting_ = id;
        if (notified_) executor_.simulator().wake(id);
        if (deadline != kNever) wait = clock_.wake_at(id, deadline);
      });
      clock_.forget(wait);
    } while (!notified_ && clock_.now() < deadline);
    // Asked after the wait, whatever ended it: a notification of the last moment is not lost to the deadline.
    co_return std::exchange(notified_, false);
  }

  void notify() override {
    if (std::exchange(notified_, true)) return;
    executor_.simulator().wake(waiting_);
  }

 private:
  SimExecutor executor_;
  SimClock& clock_;
  ParkId waiting_;
  bool notified_ = false;
};

}  // namespace

WallTime SimClock::wall() const {
  return WallTime(kWallEpoch + executor_.simulator().now().time_since_epoch() + error_.wall);
}

std::unique_ptr<Waiter> SimClock::make_waiter() {
  return std::make_unique<SimWaiter>(executor_, *this);
}

MonoTime SimClock::to_local(VirtualTime time) const {
  const Duration elapsed = time - base_;
  return local_base_ + elapsed + Duration(gain(elapsed.count(), error_.rate_ppm));
}

VirtualTime SimClock::to_virtual(MonoTime time) const {
  if (time == kNever) return kEndOfTime;
  const int64_t shown = (time - local_base_).count();
  if (error_.rate_ppm == 0 || shown <= 0) return base_ + Duration(shown);
  const int64_t rate = kMillion + error_.rate_ppm;
  int64_t elapsed = shown / rate * kMillion + shown % rate * kMillion / rate;
  while (elapsed > 0 && elapsed + gain(elapsed, error_.rate_ppm) >= shown) --elapsed;
  while (elapsed + gain(elapsed, error_.rate_ppm) < shown) ++elapsed;
  return base_ + Duration(elapsed);
}

void SimClock::rebase(Duration forward) {
  const VirtualTime now = executor_.simulator().now();
  local_base_ = to_local(now) + forward;
  base_ = now;
}

void SimClock::set_error(ClockError error) {
  rebase(Duration::zero());
  error_ = error;
  wake_anew();
}

void SimClock::jump(Duration forward) {
  rebase(forward);
  wake_anew();
}

void SimClock::wake_anew() {
  for (const auto& [number, wait] : waits_) {
    executor_.simulator().wake_at(wait.waiting, to_virtual(wait.deadline), Wake::kDeadline);
  }
}

uint64_t SimClock::wake_at(ParkId waiting, MonoTime deadline) {
  waits_.emplace(++last_wait_, Wait{waiting, deadline});
  executor_.simulator().wake_at(waiting, to_virtual(deadline), Wake::kDeadline);
  return last_wait_;
}

}  // namespace dogfs::sim
