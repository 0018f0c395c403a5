// How fast many operations of one kind went, as the programs of this folder print it for the scripts.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace dogfs::bench {

using SteadyClock = std::chrono::steady_clock;

inline double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

struct RateResult {
  uint64_t operations = 0;
  double seconds = 0;
  double p50_ms = 0;
  double p99_ms = 0;

  double per_second() const { return static_cast<double>(operations) / seconds; }
};

// Of operations that took so long each, and `seconds` together.
inline RateResult rate_of(std::vector<double> latencies_s, double seconds) {
  RateResult result{.operations = latencies_s.size(), .seconds = seconds};
  if (latencies_s.empty()) return result;
  std::sort(latencies_s.begin(), latencies_s.end());
  result.p50_ms = latencies_s[latencies_s.size() / 2] * 1e3;
  result.p99_ms = latencies_s[latencies_s.size() * 99 / 100] * 1e3;
  return result;
}

inline void print_rate(const char* program, const char* operation, const RateResult& result) {
  std::printf("%s op=%s operations=%llu seconds=%.3f per_second=%.1f p50_ms=%.3f p99_ms=%.3f\n", program, operation,
              static_cast<unsigned long long>(result.operations), result.seconds, result.per_second(), result.p50_ms,
              result.p99_ms);
}

}  // namespace dogfs::bench
