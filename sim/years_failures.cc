#include "sim/years_failures.h"

#include <algorithm>
#include <utility>

#include "sim/exponential.h"

namespace dogfs::sim {
namespace {

// A scrubber comes to a server that was away when it is back: it is looked for so often.
constexpr milliseconds kScrubRetry = std::chrono::hours(1);

milliseconds draw_between(RandomStream& draws, milliseconds low, milliseconds high) {
  return std::chrono::floor<milliseconds>(draws.between(Duration(low), Duration(high)));
}

}  // namespace

YearsFailures::YearsFailures(Simulator& simulator, YearsFleet& fleet, const YearsOptions& options, StreamKey key,
                             std::function<void()> before)
    : simulator_(simulator), fleet_(fleet), options_(options), key_(key), before_(std::move(before)) {}

void YearsFailures::begin() {
  for (SlotIndex slot = 0; slot < fleet_.slots(); ++slot) add_slot(slot);
  for (uint32_t rack = 0; rack < options_.racks; ++rack) {
    add(key_.with("rack").with(rack), mean_interval(options_.rates.rack_outages, 1, 1),
        [this, rack](RandomStream& draws) { take_rack_away(rack, draws); });
  }
  for (size_t source = 0; source < sources_.size(); ++source) wait_for(source);
}

void YearsFailures::add_slot(SlotIndex slot) {
  const YearsRates& rates = options_.rates;
  const StreamKey key = key_.with("slot").with(slot);
  for (uint32_t disk = 0; disk < options_.disks; ++disk) {
    add(key.with("disk").with(disk), mean_interval(rates.disks_lost, 1, options_.accelerate),
        [this, slot, disk](RandomStream&) { fleet_.lose_disk(slot, disk); });
  }
  add(key.with("loss"), mean_interval(rates.servers_lost, 1, options_.accelerate),
      [this, slot](RandomStream&) { lose_server(slot); });
  add(key.with("outage"), mean_interval(rates.server_outages, 1, 1),
      [this, slot](RandomStream& draws) { take_away(slot, outage_length(draws)); });
  // Of all shards of a disk only some are simulated: errors of the others are none of these.
  const milliseconds errors =
      mean_interval(rates.latent_errors, options_.disks, options_.accelerate * options_.latent_factor);
  add(key.with("latent"), errors * static_cast<int64_t>(options_.scale()),
      [this, slot](RandomStream& draws) { spoil(slot, draws); });
}

void YearsFailures::add(StreamKey key, milliseconds mean, std::function<void(RandomStream&)> strike) {
  sources_.push_back({.draws = RandomStream(key), .mean = mean, .strike = std::move(strike)});
}

void YearsFailures::wait_for(size_t source) {
  after(exponential(sources_[source].draws, sources_[source].mean), [this, source] {
    if (ended_) return;
    before_();
    sources_[source].strike(sources_[source].draws);
    wait_for(source);
  });
}

void YearsFailures::after(milliseconds wait, std::function<void()> what) {
  // What lies behind the end of time never comes, and does not fit its unit.
  if (wait >= std::chrono::floor<milliseconds>(kEndOfTime - simulator_.now())) return;
  simulator_.at(simulator_.world(), simulator_.now() + wait, std::move(what));
}

void YearsFailures::lose_server(SlotIndex slot) {
  if (!fleet_.server(slot).exists) return;
  fleet_.lose_server(slot);
  after(options_.server_replaced_after, [this, slot] {
    before_();
    fleet_.replace_server(slot);
  });
}

// Of outages that overlap the later end counts.
void YearsFailures::take_away(SlotIndex slot, milliseconds length) {
  fleet_.stop(slot);
  VirtualTime& until = away_until_[slot];
  until = std::max(until, simulator_.now() + length);
  after(length, [this, slot] {
    if (away_until_[slot] > simulator_.now()) return;
    before_();
    fleet_.start(slot);
  });
}

void YearsFailures::take_rack_away(uint32_t rack, RandomStream& draws) {
  ++rack_outages_;
  const milliseconds length = draw_between(draws, options_.outages.rack_shortest, options_.outages.rack_longest);
  for (SlotIndex slot = rack; slot < fleet_.slots(); slot += options_.racks) {
    const bool comes_back = !draws.chance(options_.rates.not_back_per_million);
    if (comes_back) {
      take_away(slot, length);
    } else {
      lose_server(slot);
    }
  }
}

milliseconds YearsFailures::outage_length(RandomStream& draws) const {
  const OutageLengths& lengths = options_.outages;
  const bool is_long = draws.below(100) < lengths.long_percent;
  const milliseconds low = is_long ? lengths.usual : lengths.shortest;
  return draw_between(draws, low, is_long ? lengths.longest : lengths.usual);
}

// Of a whole disk.
milliseconds YearsFailures::scrub_pass() const {
  const uint64_t pass_s = options_.server_bytes / options_.disks / options_.scrub_bytes_per_s;
  return std::max(options_.scrub_interval, milliseconds(static_cast<int64_t>(pass_s * 1000)));
}

void YearsFailures::spoil(SlotIndex slot, RandomStream& draws) {
  const milliseconds until_read = draw_between(draws, milliseconds(0), scrub_pass());
  const std::optional<ShardKey> shard = fleet_.spoil_one(slot);
  if (shard) after(until_read, [this, slot, shard] { scrub(slot, *shard); });
}

void YearsFailures::scrub(SlotIndex slot, const ShardKey& shard) {
  const YearsServer& server = fleet_.server(slot);
  if (!server.shards.contains(shard)) return;
  if (!server.up) return after(kScrubRetry, [this, slot, shard] { scrub(slot, shard); });
  before_();
  fleet_.find_damage(slot, shard);
}

}  // namespace dogfs::sim
