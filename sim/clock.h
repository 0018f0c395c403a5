// The Clock of one life of a simulated node. Each life has its own zero, so that a time that leaked to another node, or
// over a restart, is seen to be wrong.
#pragma once

#include "core/env/clock.h"
#include "sim/executor.h"

namespace dogfs::sim {

class SimClock final : public Clock {
 public:
  SimClock(SimExecutor executor, Duration zero) : executor_(executor), zero_(zero) {}

  MonoTime now() const override { return to_local(executor_.simulator().now()); }
  WallTime wall() const override;
  std::unique_ptr<Waiter> make_waiter() override;

  MonoTime to_local(VirtualTime time) const { return MonoTime(time.time_since_epoch() + zero_); }
  VirtualTime to_virtual(MonoTime time) const;

 private:
  SimExecutor executor_;
  Duration zero_;
};

}  // namespace dogfs::sim
