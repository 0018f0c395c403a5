#include "core/meta/strange_shards.h"

#include <algorithm>

namespace dogfs {

void StrangeShards::take_digests(ServerId server, ReportNumber number, const std::vector<uint64_t>& differing) {
  Server& known = servers_[server];
  if (number < known.number) return;
  known.number = number;
  std::erase_if(known.buckets,
                [&](const auto& bucket) { return !std::ranges::binary_search(differing, bucket.first); });
}

void StrangeShards::take_bucket(ServerId server, ReportNumber number, uint64_t bucket, const Counts& counts) {
  Server& known = servers_[server];
  if (number < known.number) return;
  known.buckets.erase(bucket);
  const bool any = counts.impossible + counts.unlisted > 0;
  if (any && known.buckets.size() < kMaxReportBuckets) known.buckets.emplace(bucket, counts);
}

StrangeShards::Counts StrangeShards::total(const std::set<ServerId>& leave_out) const {
  Counts sum;
  for (const auto& [server, known] : servers_) {
    if (leave_out.contains(server)) continue;
    for (const auto& [bucket, counts] : known.buckets) {
      sum.impossible += counts.impossible;
      sum.unlisted += counts.unlisted;
    }
  }
  return sum;
}

}  // namespace dogfs
