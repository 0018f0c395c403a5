#include "sim/seeds.h"

#include <fmt/format.h>

#include <charconv>

namespace dogfs::sim {

Result<uint64_t> parse_whole_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size() && (text == "0" || text.front() != '0');
  if (whole) return number;
  return Error(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is no number from 0 to {}", text, UINT64_MAX));
}

Result<SeedRange> parse_seeds(std::string_view text) {
  const size_t dots = text.find("..");
  SeedRange seeds;
  DOGFS_TRY(seeds.first, parse_whole_number(text.substr(0, dots)));
  seeds.last = seeds.first;
  if (dots != std::string_view::npos) {
    DOGFS_TRY(seeds.last, parse_whole_number(text.substr(dots + 2)));
  }
  if (seeds.first > seeds.last) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("seeds are A..B with A <= B, not {}", text));
  }
  if (seeds.last - seeds.first >= kMaxSeedsInRange) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("{} are more than {} seeds", text, kMaxSeedsInRange));
  }
  return seeds;
}

}  // namespace dogfs::sim
