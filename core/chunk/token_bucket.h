// A rate with a burst: work is charged when it begins, and whoever finds the bucket overdrawn waits until it is not.
// Integer arithmetic: the same calls give the same waits everywhere.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/time.h"

namespace dogfs {

class TokenBucket {
 public:
  // `burst` bytes may be taken at once. Precondition: both positive.
  TokenBucket(uint64_t bytes_per_s, uint64_t burst) : bytes_per_s_(bytes_per_s), burst_(burst) {}

  // Takes `bytes`; how long the caller is to wait before it uses them.
  Duration take(uint64_t bytes, MonoTime now) {
    // The bucket is the time at which it would be full: an overdrawn one is full only after now + the burst's time.
    const Duration filling = time_of(burst_);
    full_at_ = std::max(full_at_, now) + time_of(bytes);
    return std::max<Duration>(full_at_ - now - filling, Duration(0));
  }

 private:
  Duration time_of(uint64_t bytes) const {
    constexpr uint64_t kNanos = 1'000'000'000;
    return Duration(static_cast<int64_t>(bytes / bytes_per_s_ * kNanos + bytes % bytes_per_s_ * kNanos / bytes_per_s_));
  }

  uint64_t bytes_per_s_;
  uint64_t burst_;
  MonoTime full_at_{};
};

}  // namespace dogfs
