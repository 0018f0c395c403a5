#include "core/meta/block_report.h"

#include <utility>

namespace dogfs {
namespace {

// Of one server; what is beyond is looked at by a later report.
constexpr size_t kMaxRemembered = 100'000;

wire::ServerShard reported_shard(const wire::ReportShardsRequest& report, const wire::ReportedShard& each) {
  wire::ServerShard shard;
  shard.set_server(report.server());
  shard.set_block(each.shard().block());
  shard.set_index(each.shard().index());
  shard.set_generation(each.shard().generation());
  shard.set_length(each.length());
  shard.set_crc32c(each.crc32c());
  return shard;
}

void sort_out(const wire::ReportedShard& each, const wire::ServerShard& shard, ReportedShard kind,
              ReportFindings& findings) {
  switch (kind) {
    case ReportedShard::kListed:
      if (each.damaged()) findings.damaged.insert(placed_shard(shard));
      return;
    case ReportedShard::kAdoptable:
      if (each.damaged() || each.unverified()) return;
      if (each.read_lately()) {
        findings.adoptable.emplace(placed_shard(shard), shard);
      } else {
        findings.unread.insert(placed_shard(shard));
      }
      return;
    case ReportedShard::kSuperseded:
    case ReportedShard::kAbandoned:
      if (!each.unverified()) findings.unwanted.emplace(placed_shard(shard), shard);
      return;
    case ReportedShard::kImpossible:
      findings.impossible.insert(placed_shard(shard));
      return;
    case ReportedShard::kReserved:
    case ReportedShard::kGarbage:
      return;
  }
}

// What the server should have in the bucket and does not.
Status find_absent(const MetaTables& tables, const wire::ReportShardsRequest& report,
                   const std::set<PlacedShard>& there, ReportFindings& findings) {
  const ServerId server(report.server());
  const KeyRange range{tables.keys().listed(server, BlockId(report.bucket() * kBlocksPerReportBucket)),
                       tables.keys().listed(server, BlockId((report.bucket() + 1) * kBlocksPerReportBucket))};
  return scan_rows<wire::ListedShardRow>(tables.reader(), range,
                                         [&](std::string_view key, const wire::ListedShardRow& row) {
                                           const PlacedShard shard{.server = server,
                                                                   .block = BlockId(last_id(key)),
                                                                   .index = ShardIndex(row.index()),
                                                                   .generation = ShardGeneration(row.generation())};
                                           const bool known = row.damaged() || row.listed_at() > report.heard_index();
                                           if (!known && !there.contains(shard)) findings.absent.insert(shard);
                                           return true;
                                         });
}

PlacedShard key_of(const PlacedShard& shard) {
  return shard;
}
PlacedShard key_of(const std::pair<const PlacedShard, wire::ServerShard>& shard) {
  return shard.first;
}

template <class Shards>
void keep_seen(Shards& shards, const std::set<PlacedShard>& before, std::set<PlacedShard>& now) {
  std::erase_if(shards, [&](const auto& shard) {
    const PlacedShard key = key_of(shard);
    if (now.size() < kMaxRemembered) now.insert(key);
    return !before.contains(key);
  });
}

}  // namespace

Result<std::map<uint64_t, ShardDigest>> listed_digests(const MetaTables& tables, ServerId server) {
  std::map<uint64_t, ShardDigest> digests;
  DOGFS_TRYV(scan_rows<wire::ListedShardRow>(tables.reader(), tables.keys().listed_of(server, BlockId()),
                                             [&](std::string_view key, const wire::ListedShardRow& row) {
                                               if (row.damaged()) return true;
                                               const BlockId block(last_id(key));
                                               digests[report_bucket(block)].add(block, ShardIndex(row.index()),
                                                                                 ShardGeneration(row.generation()),
                                                                                 row.crc32c());
                                               return true;
                                             }));
  return digests;
}

std::vector<uint64_t> differing_buckets(const std::map<uint64_t, ShardDigest>& listed,
                                        const std::map<uint64_t, ShardDigest>& reported) {
  std::set<uint64_t> buckets;
  for (const auto& [bucket, digest] : listed) {
    const auto other = reported.find(bucket);
    if (other == reported.end() || other->second != digest) buckets.insert(bucket);
  }
  for (const auto& [bucket, digest] : reported) {
    if (!listed.contains(bucket)) buckets.insert(bucket);
  }
  return {buckets.begin(), buckets.end()};
}

Result<ReportFindings> read_report(const MetaTables& tables, const wire::ReportShardsRequest& report) {
  ReportFindings findings;
  DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
  if (!counters) return findings;
  std::set<PlacedShard> there;
  for (const wire::ReportedShard& each : report.shards()) {
    const wire::ServerShard shard = reported_shard(report, each);
    there.insert(placed_shard(shard));
    DOGFS_TRY(const ReportedShard kind, classify(tables, *counters, shard));
    sort_out(each, shard, kind, findings);
  }
  // A server that could not read one of its disks does not know what it lacks.
  if (!report.incomplete()) {
    DOGFS_TRYV(find_absent(tables, report, there, findings));
  }
  return findings;
}

ReportFindings ReportMemory::confirm(ServerId server, ReportNumber number, ReportFindings findings) {
  Seen& seen = servers_[server];
  if (number < seen.number) return {};
  if (number.incarnation != seen.number.incarnation) seen = Seen{};
  if (number != seen.number) {
    seen.before = std::exchange(seen.now, {});
    seen.number = number;
  }
  for (const PlacedShard& shard : findings.unread) {
    if (seen.now.size() < kMaxRemembered) seen.now.insert(shard);
  }
  keep_seen(findings.absent, seen.before, seen.now);
  keep_seen(findings.adoptable, seen.before, seen.now);
  keep_seen(findings.unwanted, seen.before, seen.now);
  return findings;
}

}  // namespace dogfs
