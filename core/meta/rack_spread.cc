#include "core/meta/rack_spread.h"

#include <algorithm>

namespace dogfs {

// Of several attempts at an index the last counts.
std::map<uint32_t, ServerId> RackSpread::places_of(const wire::BlockRow& block) {
  std::map<uint32_t, ServerId> places;
  for (const wire::Shard& shard : block.shards()) places[shard.index()] = ServerId(shard.server());
  for (const wire::RepairReservation& each : block.reservations()) places[each.index()] = ServerId(each.target());
  return places;
}

uint32_t RackSpread::in(const std::string& rack) const {
  const auto found = shards_.find(rack);
  return found == shards_.end() ? 0 : found->second;
}

const std::string* RackSpread::crowded() const {
  const auto fullest = std::ranges::max_element(shards_, {}, [](const auto& rack) { return rack.second; });
  return fullest == shards_.end() || fullest->second <= parity_ ? nullptr : &fullest->first;
}

bool RackSpread::spreads(const std::string& from, const std::string& to) const {
  return from != to && in(to) + 1 < in(from);
}

}  // namespace dogfs
