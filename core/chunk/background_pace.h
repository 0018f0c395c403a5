// How fast repair and scrubbing may go: at full speed while no client is at work here, else at a set rate, so that the
// latency of clients stays what it is.
#pragma once

#include "core/chunk/stop_signal.h"
#include "core/chunk/token_bucket.h"

namespace dogfs {

class BackgroundPace {
 public:
  // `bytes_per_s`: while clients are at work. What is passed must outlive this object.
  BackgroundPace(Clock& clock, StopSignal& stop, uint64_t bytes_per_s)
      : clock_(clock), stop_(stop), bucket_(bytes_per_s, bytes_per_s / kBurstsPerSecond + 1) {}

  // A request of a client has come.
  void client_at_work() { last_client_ = clock_.now(); }

  // Waits for the turn of `bytes`, or until no client is at work any more. False, at once, where the turn would come only
  // after `deadline`, and false when the server stops.
  Task<bool> take(uint64_t bytes, MonoTime deadline) {
    if (!is_busy()) co_return !stop_.stopping();
    const std::optional<Duration> wait = bucket_.take_by(bytes, clock_.now(), deadline);
    if (!wait) co_return false;
    const MonoTime turn = clock_.now() + *wait;
    while (is_busy() && clock_.now() < turn) {
      if (!co_await stop_.sleep(std::min(turn, *last_client_ + kIdleAfter) - clock_.now())) co_return false;
    }
    co_return !stop_.stopping();
  }

 private:
  static constexpr uint64_t kBurstsPerSecond = 4;
  static constexpr Duration kIdleAfter = seconds(1);

  bool is_busy() const { return last_client_ && clock_.now() - *last_client_ < kIdleAfter; }

  Clock& clock_;
  StopSignal& stop_;
  TokenBucket bucket_;
  std::optional<MonoTime> last_client_;
};

}  // namespace dogfs
