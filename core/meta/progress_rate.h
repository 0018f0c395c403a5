// How long what is left will take, by how fast it has become less of late.
//
// What is left may also become more: only decreases are progress. Time in which there was none yet does not count, so
// that an estimate is of work that goes on. Nothing is said before it has gone on for a while. Integers only.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "core/base/time.h"

namespace dogfs {

class ProgressRate {
 public:
  // Of late.
  static constexpr Duration kWindow = std::chrono::minutes(10);
  static constexpr Duration kShortest = seconds(5);
  // Samples closer together than that are one.
  static constexpr Duration kSpacing = seconds(2);

  void note(uint64_t left, MonoTime now);
  void clear() { *this = {}; }

  // 0: not known yet.
  uint64_t per_hour() const;
  // For `more` of the same; nullopt: not known yet.
  std::optional<milliseconds> time_for(uint64_t more) const;

 private:
  struct Sample {
    MonoTime when;
    uint64_t done = 0;
  };
  bool known() const;
  // From the first sample to the last.
  uint64_t progress() const { return samples_.back().done - samples_.front().done; }
  uint64_t elapsed_ms() const;

  std::deque<Sample> samples_;
  uint64_t left_ = 0;
  uint64_t done_ = 0;
};

}  // namespace dogfs
