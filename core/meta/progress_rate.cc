#include "core/meta/progress_rate.h"

#include <algorithm>
#include <limits>

namespace dogfs {
namespace {

constexpr uint64_t kHourMs = 3'600'000;
// Longer estimates are this one.
constexpr uint64_t kLongestMs = 1000ULL * 365 * 24 * kHourMs;

uint64_t proportion(uint64_t value, uint64_t times, uint64_t by, uint64_t limit) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(std::min<Wide>(Wide{value} * times / by, limit));
}

}  // namespace

void ProgressRate::note(uint64_t left, MonoTime now) {
  if (left < left_) done_ += left_ - left;
  left_ = left;
  if (samples_.empty() || samples_.front().done == done_) {
    samples_.assign(1, {.when = now, .done = done_});
    return;
  }
  // The last one is as fresh as can be; those before it keep their distances.
  const size_t count = samples_.size();
  if (count > 1 && samples_[count - 1].when - samples_[count - 2].when < kSpacing) samples_.pop_back();
  samples_.push_back({.when = now, .done = done_});
  while (samples_.size() > 2 && now - samples_[1].when >= kWindow) samples_.pop_front();
}

bool ProgressRate::known() const {
  return samples_.size() > 1 && samples_.back().when - samples_.front().when >= kShortest && progress() > 0;
}

uint64_t ProgressRate::elapsed_ms() const {
  return static_cast<uint64_t>(std::chrono::ceil<milliseconds>(samples_.back().when - samples_.front().when).count());
}

uint64_t ProgressRate::per_hour() const {
  return known() ? proportion(progress(), kHourMs, elapsed_ms(), std::numeric_limits<uint64_t>::max()) : 0;
}

std::optional<milliseconds> ProgressRate::time_for(uint64_t more) const {
  if (!known()) return std::nullopt;
  return milliseconds(proportion(more, elapsed_ms(), progress(), kLongestMs));
}

}  // namespace dogfs
