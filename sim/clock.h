// The Clock of one life of a simulated node. Each life has its own zero, so that a time that leaked to another node, or
// over a restart, is seen to be wrong. It may run too fast or too slow, and jump; what waits on it follows.
#pragma once

#include <cstdint>
#include <map>

#include "core/env/clock.h"
#include "sim/executor.h"

namespace dogfs::sim {

// How a machine's clocks are off, whoever looks at them.
struct ClockError {
  // How much faster than real time monotonic time passes, in parts per million.
  int64_t rate_ppm = 0;
  Duration wall{};  // what wall time is ahead
};

class SimClock final : public Clock {
 public:
  SimClock(SimExecutor executor, Duration zero, ClockError error)
      : executor_(executor),
        base_(executor.simulator().now()),
        local_base_(base_.time_since_epoch() + zero),
        error_(error) {}

  MonoTime now() const override { return to_local(executor_.simulator().now()); }
  WallTime wall() const override;
  std::unique_ptr<Waiter> make_waiter() override;

  MonoTime to_local(VirtualTime time) const;
  // The first moment at which the clock, as it runs now, shows `time` or more.
  VirtualTime to_virtual(MonoTime time) const;

  // From now on.
  void set_error(ClockError error);
  // Monotonic time moves on by `forward` at once.
  void jump(Duration forward);

  // --- For waiters ---
  // Wakes `waiting` at `deadline` of this clock, even if the clock changes; maybe earlier as well. Until forget().
  uint64_t wake_at(ParkId waiting, MonoTime deadline);
  void forget(uint64_t wait) { waits_.erase(wait); }

 private:
  struct Wait {
    ParkId waiting;
    MonoTime deadline;
  };

  void rebase(Duration forward);
  void wake_anew();

  SimExecutor executor_;
  // The clock showed local_base_ at base_, and runs with a constant rate since then.
  VirtualTime base_;
  MonoTime local_base_;
  ClockError error_;
  std::map<uint64_t, Wait> waits_;
  uint64_t last_wait_ = 0;
};

}  // namespace dogfs::sim
