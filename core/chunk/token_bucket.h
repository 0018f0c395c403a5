// A rate with a burst: work is charged when it begins, and whoever finds the bucket overdrawn waits until it is not.
// Integer arithmetic: the same calls give the same waits everywhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace dogfs {

class TokenBucket {
 public:
  // `burst` bytes may be taken at once. Precondition: both positive.
  TokenBucket(uint64_t bytes_per_s, uint64_t burst) : bytes_per_s_(bytes_per_s), burst_(burst) {}

  // Takes `bytes`; how long the caller is to wait before it uses them.
  Duration take(uint64_t bytes, MonoTime now) {
    full_at_ = full_after(bytes, now);
    return wait_until(full_at_, now);
  }

  // As take(), if the wait is over at `deadline`. Otherwise nothing is taken: whoever is refused owes nothing, or those
  // that try again and again would keep each other out for ever.
  std::optional<Duration> take_by(uint64_t bytes, MonoTime now, MonoTime deadline) {
    if (now + wait_until(full_after(bytes, now), now) > deadline) return std::nullopt;
    return take(bytes, now);
  }

 private:
  // The bucket is the time at which it would be full: an overdrawn one is full only after now + the burst's time.
  MonoTime full_after(uint64_t bytes, MonoTime now) const { return std::max(full_at_, now) + time_of(bytes); }
  Duration wait_until(MonoTime full, MonoTime now) const {
    return std::max<Duration>(full - now - time_of(burst_), Duration(0));
  }

  Duration time_of(uint64_t bytes) const {
    constexpr uint64_t kNanos = 1'000'000'000;
    return Duration(static_cast<int64_t>(bytes / bytes_per_s_ * kNanos + bytes % bytes_per_s_ * kNanos / bytes_per_s_));
  }

  uint64_t bytes_per_s_;
  uint64_t burst_;
  MonoTime full_at_{};
};

}  // namespace dogfs
