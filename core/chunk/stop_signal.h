// Tells the background loops of a node to end, and lets them sleep until then.
#pragma once

#include "core/env/sync.h"

namespace dogfs {

class StopSignal {
 public:
  explicit StopSignal(Clock& clock) : clock_(clock), stopped_(clock) {}

  bool stopping() const { return stopping_; }
  void stop() {
    stopping_ = true;
    stopped_.notify_all();
  }
  // Sleeps, unless the end comes first. True if the loop is to go on.
  Task<bool> sleep(Duration duration) {
    const MonoTime end = clock_.now() + duration;
    while (!stopping_ && clock_.now() < end) co_await stopped_.wait_until(end);
    co_return !stopping_;
  }

 private:
  Clock& clock_;
  bool stopping_ = false;
  Notifier stopped_;
};

}  // namespace dogfs
