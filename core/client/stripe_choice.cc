#include "core/client/stripe_choice.h"

#include <algorithm>

namespace dogfs {
namespace {

bool is_got(const ShardOutlook& shard) {
  return shard.narrow_got || shard.wide_got;
}

// Whether a needed shard can be counted on to bring its own bytes. `around`: whether suspects can be gone around.
bool is_promising(const ShardOutlook& shard, bool around) {
  if (is_got(shard)) return true;
  if (shard.failed || shard.late) return false;
  return !shard.suspect || !around || shard.narrow_asked || shard.wide_asked;
}

}  // namespace

bool is_satisfied(const std::vector<ShardOutlook>& shards, uint32_t required) {
  const bool direct = std::ranges::all_of(shards, [](const ShardOutlook& s) { return !s.needed || is_got(s); });
  return direct || std::ranges::count_if(shards, &ShardOutlook::wide_got) >= required;
}

StripeChoice choose_reads(const std::vector<ShardOutlook>& shards, uint32_t required) {
  StripeChoice choice;
  const auto unsuspected =
      std::ranges::count_if(shards, [](const ShardOutlook& s) { return !s.suspect && !s.failed && !s.late; });
  const bool around = unsuspected >= required;
  const bool direct =
      std::ranges::all_of(shards, [around](const ShardOutlook& s) { return !s.needed || is_promising(s, around); });
  if (direct) {
    for (const ShardOutlook& shard : shards) {
      const bool asked = shard.narrow_asked || shard.wide_asked;
      if (shard.needed && !asked) choice.read_narrow.push_back(shard.index);
    }
    return choice;
  }
  uint32_t sources = 0;
  for (const ShardOutlook& shard : shards) {
    if (shard.wide_got || (shard.wide_asked && !shard.failed && !shard.late)) ++sources;
  }
  // Ascending index within each rank: data shards come first.
  for (const bool suspect : {false, true}) {
    for (const ShardOutlook& shard : shards) {
      if (sources >= required) return choice;
      if (shard.suspect != suspect || shard.failed || shard.late || shard.wide_asked) continue;
      choice.read_wide.push_back(shard.index);
      ++sources;
    }
  }
  return choice;
}

}  // namespace dogfs
