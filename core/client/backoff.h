// Exponential backoff with jitter: how long to wait before what failed is tried again.
//
// Each delay is drawn evenly from the upper half of a bound that doubles up to a limit, so that clients that failed
// together do not come back together.
#pragma once

#include <algorithm>

#include "core/base/hash.h"
#include "core/base/time.h"
#include "core/env/random.h"

namespace dogfs {

struct BackoffOptions {
  Duration first = milliseconds(20);
  Duration most = milliseconds(500);
};

class Backoff {
 public:
  // `random` must outlive this object.
  explicit Backoff(Random& random, BackoffOptions options = {})
      : random_(random), options_(options), bound_(options.first) {}

  // The next delay.
  Duration next() {
    const Duration half = bound_ / 2;
    const auto spread = static_cast<uint64_t>(half.count()) + 1;
    const Duration delay = half + Duration(reduce64(random_.draw("client.backoff"), spread));
    bound_ = std::min(bound_ * 2, options_.most);
    return delay;
  }

 private:
  Random& random_;
  BackoffOptions options_;
  Duration bound_;
};

}  // namespace dogfs
