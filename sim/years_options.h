// What a run over years is made of: the cluster, how fast it repairs, and how often what fails. docs/durability.md says
// what is modelled and what is not.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/ec/geometry.h"

namespace dogfs::sim {

inline constexpr int64_t kYearMs = 31'557'600'000;  // of 365.25 days
inline constexpr uint64_t kMaxYears = 100;          // virtual time is in nanoseconds, of 292 years

// How often things happen, in events of a thousand units in a year, before anything is accelerated.
struct YearsRates {
  // Backblaze's Drive Stats have 1.4 % of all drives a year over the years, 1.7 % in 2023.
  uint64_t disks_lost = 14;
  // A server that is gone with all its disks (fire, theft, a controller that wrote nonsense). A guess: nobody publishes
  // it.
  uint64_t servers_lost = 10;
  // J. Dean, "Designs, Lessons and Advice from Building Large Distributed Systems" (LADIS 2009), of the first year of a
  // cluster of some 1800 machines in racks of 40 to 80: 1000 machine failures and 20 of racks, of one to six hours.
  // (Planned restarts are not counted: for these there is maintenance.)
  uint64_t server_outages = 560;
  uint64_t rack_outages = 670;
  // Bairavasundaram et al., "An Analysis of Latent Sector Errors in Disk Drives" (SIGMETRICS 2007): 9.5 % of nearline
  // disks develop some in a year. Each is taken to spoil one shard.
  uint64_t latent_errors = 95;
  // Cidon et al., "Copysets" (ATC 2013): of the servers that lost power, 0.5 to 1 % do not come back. In a million.
  uint32_t not_back_per_million = 7'500;
};

// How long outages are. Ford et al., "Availability in Globally Distributed Storage Systems" (OSDI 2010): less than a
// tenth of them exceed 15 minutes.
struct OutageLengths {
  milliseconds shortest = std::chrono::minutes(1);
  milliseconds usual = std::chrono::minutes(10);
  uint32_t long_percent = 10;
  milliseconds longest = std::chrono::hours(4);
  milliseconds rack_shortest = std::chrono::hours(1);
  milliseconds rack_longest = std::chrono::hours(6);
};

// In which order blocks are repaired.
enum class RepairOrder : uint8_t {
  kRisk,     // production's: fewest spares first
  kArrival,  // that in which they came to need it
};

struct YearsOptions {
  milliseconds length{10 * kYearMs};
  uint32_t servers = 60;
  uint32_t racks = 10;
  uint32_t disks = 12;                         // of a server
  uint64_t server_bytes = 29'000'000'000'000;  // of shards that a server has: 12 disks of 4 TB, 60 % full
  // Each stands for many that lie on the same servers, are lost with it, and have to be moved as well (scale()).
  uint32_t blocks = 5'000;
  Geometry policy = kDefaultGeometry;
  YearsRates rates;
  OutageLengths outages;
  // Multiplies what destroys data (disks and servers lost, latent errors); outages stay what they are.
  uint64_t accelerate = 1;
  // Multiplies latent errors alone, on top of that.
  uint64_t latent_factor = 1;
  RepairOrder order = RepairOrder::kRisk;
  // Of each server, both for what it rebuilds and for what others read from it: ChunkOptions' own while clients are at
  // work.
  uint64_t repair_bytes_per_s = 64 * kMiB;
  milliseconds repair_grace = std::chrono::minutes(5);
  // How often servers are heard of and the metadata node goes on while there is anything to do.
  milliseconds beat = std::chrono::minutes(1);
  milliseconds server_replaced_after = std::chrono::hours(24);
  uint64_t scrub_bytes_per_s = 8 * kMiB;  // a disk; ChunkOptions' own
  milliseconds scrub_interval = std::chrono::hours(24);

  double years() const { return static_cast<double>(length.count()) / static_cast<double>(kYearMs); }
  uint64_t shard_bytes() const { return policy.block_bytes / policy.data_shards; }
  uint64_t shards_per_server() const { return uint64_t{blocks} * policy.total_shards() / servers; }
  // How many real blocks one of `blocks` stands for.
  uint64_t scale() const;
};

// kInvalidArgument, with what is wrong.
Status validate(const YearsOptions& options);

// "RS-6-3": the geometry of k data and m parity shards with cells of 256 KiB and blocks of up to 64 MiB.
Result<Geometry> parse_years_policy(const std::string& text);

// The mean time between two events of `units` together that come `per_thousand` in a thousand unit-years, `factor`
// times as often.
milliseconds mean_interval(uint64_t per_thousand, uint64_t units, uint64_t factor);

}  // namespace dogfs::sim
