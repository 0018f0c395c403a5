// Points in time, apart by kind so that one is never taken for the other. No clock here can be read: time comes from
// the Clock port (core/env/clock.h).
#pragma once

#include <chrono>
#include <cstdint>

namespace dogfs {

using Duration = std::chrono::nanoseconds;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A node's monotonic time: never goes back, means nothing on another node or after a restart.
struct MonoTag {
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
};
using MonoTime = std::chrono::time_point<MonoTag, Duration>;

// Wall time since the Unix epoch, for people to read (mtime). May jump; nothing that must be right depends on it.
struct WallTag {
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
};
using WallTime = std::chrono::time_point<WallTag, Duration>;

}  // namespace dogfs
