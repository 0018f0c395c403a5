// Numbers as they are given on a command line: what does not fit is refused, not taken for another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace dogfs::sim {

inline constexpr uint64_t kMaxSeedsInRange = 1'000'000'000;

struct SeedRange {
  uint64_t first = 1;
  uint64_t last = 1;  // inclusive
};

// Digits only, without a sign and without zeros in front, which would mean octal elsewhere.
Result<uint64_t> parse_whole_number(std::string_view text);
// "A..B" with A <= B, or "A" for one; at most kMaxSeedsInRange.
Result<SeedRange> parse_seeds(std::string_view text);

}  // namespace dogfs::sim
