#include "sim/years_options.h"

#include <algorithm>
#include <cstdio>

namespace dogfs::sim {
namespace {

constexpr milliseconds kShortest = std::chrono::hours(24);
constexpr uint32_t kMaxServers = 1'000;
constexpr uint32_t kMaxDisks = 100;
constexpr uint32_t kMaxBlocks = 1'000'000;
constexpr uint64_t kMaxServerBytes = 1'000'000'000'000'000;
constexpr uint64_t kMaxFactor = 1'000'000'000;
constexpr uint64_t kMaxRepairBytesPerSecond = 100 * kGiB;
constexpr milliseconds kShortestBeat = seconds(1);
// Reservations of repairs last ten beats or more, and a day at most.
constexpr milliseconds kLongestBeat = std::chrono::hours(1);

template <class... Args>
Error wrong(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}

Status check_range(const char* what, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return ok();
  return wrong("{} must be {} to {}, and not {}", what, low, high, value);
}

}  // namespace

uint64_t YearsOptions::scale() const {
  return std::max<uint64_t>(server_bytes / std::max<uint64_t>(shards_per_server() * shard_bytes(), 1), 1);
}

Status validate(const YearsOptions& options) {
  const milliseconds longest(static_cast<int64_t>(kMaxYears) * kYearMs);
  if (options.length < kShortest || options.length > longest) {
    return wrong("it lasts for a day to {} years", kMaxYears);
  }
  DOGFS_TRYV(check_range("servers", options.servers, options.policy.total_shards() + 1, kMaxServers));
  DOGFS_TRYV(check_range("racks", options.racks, 1, options.servers));
  DOGFS_TRYV(check_range("disks", options.disks, 1, kMaxDisks));
  DOGFS_TRYV(check_range("blocks", options.blocks, 1, kMaxBlocks));
  DOGFS_TRYV(check_range("bytes of a server", options.server_bytes, 1, kMaxServerBytes));
  DOGFS_TRYV(check_range("the acceleration", options.accelerate, 1, kMaxFactor));
  DOGFS_TRYV(check_range("the factor of latent errors", options.latent_factor, 1, kMaxFactor / options.accelerate));
  DOGFS_TRYV(check_range("bytes of repair a second", options.repair_bytes_per_s, 1, kMaxRepairBytesPerSecond));
  DOGFS_TRYV(check_range("milliseconds of a beat", static_cast<uint64_t>(options.beat.count()),
                         static_cast<uint64_t>(kShortestBeat.count()), static_cast<uint64_t>(kLongestBeat.count())));
  return validate(options.policy);
}

Result<Geometry> parse_years_policy(const std::string& text) {
  unsigned data = 0;
  unsigned parity = 0;
  int end = 0;
  // Eight characters hold all that is valid, and no number that would overflow.
  const bool parsed = text.size() <= 8 && std::sscanf(text.c_str(), "RS-%2u-%2u%n", &data, &parity, &end) == 2 &&
                      static_cast<size_t>(end) == text.size();
  if (!parsed || data == 0 || data > kMaxDataShards || parity > kMaxParityShards) {
    return wrong("a policy is RS-K-M, such as RS-6-3, with K up to {} and M up to {}, and not {}", kMaxDataShards,
                 kMaxParityShards, text);
  }
  Geometry geometry{.data_shards = data, .parity_shards = parity, .cell_bytes = 256 * kKiB};
  geometry.block_bytes = 64 * kMiB / geometry.stripe_bytes() * geometry.stripe_bytes();
  DOGFS_TRYV(validate(geometry));
  return geometry;
}

milliseconds mean_interval(uint64_t per_thousand, uint64_t units, uint64_t factor) {
  constexpr uint64_t kThousandYearsMs = uint64_t{1000} * kYearMs;
  return milliseconds(static_cast<int64_t>(std::max<uint64_t>(kThousandYearsMs / factor / (per_thousand * units), 1)));
}

}  // namespace dogfs::sim
