// A Clock that shows virtual time, and lets those who wait on it go on only when the world says so: at a beat. Between
// two beats nothing of a node runs but what arrives there, so that hours in which nothing would happen cost nothing.
//
// To the node this is a machine that schedules it late, which any machine may do: a deadline is a promise that nothing
// goes on *before* it. What it would have done at deadlines in between, it does once, at the beat.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "core/env/clock.h"
#include "sim/executor.h"

namespace dogfs::sim {

class PacedClock final : public Clock {
 public:
  explicit PacedClock(SimExecutor executor) : executor_(executor) {}

  MonoTime now() const override;
  WallTime wall() const override;
  std::unique_ptr<Waiter> make_waiter() override;

  // All whose deadline has come go on now.
  void beat();

  // --- For waiters ---
  using Wait = std::pair<MonoTime, uint64_t>;
  // Wakes `waiting` at the first beat at `deadline` or later, until forget(). At once if the deadline has come already.
  Wait wake_at(ParkId waiting, MonoTime deadline);
  void forget(const Wait& wait) { waits_.erase(wait); }

 private:
  SimExecutor executor_;
  std::map<Wait, ParkId> waits_;
  uint64_t last_wait_ = 0;
};

}  // namespace dogfs::sim
