// Block reports: what a chunk server has, held against what the map says it should have.
//
// Digests of buckets of block ids are compared first, and only where they differ the shards themselves. Differences are
// normal while blocks are written, repaired and deleted, so only those that two reports in a row show are acted on; and
// that a shard is absent counts only if the report began after the server had heard of a state in which it was listed:
// by then it had been sealed. A shard is adopted only after its server has read it through: what it takes the place of
// may be whole and merely out of reach, and will be deleted when it is back. What is done about a difference is decided by
// apply alone (report_commands.h). Pure functions and soft state; belongs to the node's executor.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "core/base/shard_digest.h"
#include "core/meta/report_commands.h"
#include "core/meta/tables.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

// Limits of one report. Buckets are of 4096 blocks that were ever written: these are 800 million.
inline constexpr int kMaxReportBuckets = 200'000;
inline constexpr int kMaxShardsPerReport = 50'000;

// The digests of what `server` should have, by bucket. Without what is called damaged: the server's own digests leave out
// what it calls so itself, and the two agree as long as they agree on that.
Result<std::map<uint64_t, ShardDigest>> listed_digests(const MetaTables& tables, ServerId server);

// The buckets in which the two differ, ascending.
std::vector<uint64_t> differing_buckets(const std::map<uint64_t, ShardDigest>& listed,
                                        const std::map<uint64_t, ShardDigest>& reported);

// What one bucket's report comes to.
struct ReportFindings {
  std::set<PlacedShard> damaged;  // listed, and damaged by the server's own word: no second look is needed
  std::set<PlacedShard> absent;   // listed, and certainly not there
  std::map<PlacedShard, wire::ServerShard> adoptable;
  std::set<PlacedShard> unread;                       // would be adoptable if their server had read them through lately
  std::map<PlacedShard, wire::ServerShard> unwanted;  // superseded or abandoned
  std::set<PlacedShard> impossible;
};
Result<ReportFindings> read_report(const MetaTables& tables, const wire::ReportShardsRequest& report);

// Which report of a server it is.
struct ReportNumber {
  uint64_t incarnation = 0;
  uint64_t sequence = 0;
  auto operator<=>(const ReportNumber&) const = default;
};

// Remembers what the report before said, for each server.
class ReportMemory {
 public:
  // Those of `findings` that the server's report before this one showed too; a shard that is adoptable now may have been
  // unread then. Damage passes at once, and so does what is unread. What comes of an older report than was seen already
  // confirms nothing.
  ReportFindings confirm(ServerId server, ReportNumber number, ReportFindings findings);
  void clear() { servers_.clear(); }

 private:
  struct Seen {
    ReportNumber number;
    std::set<PlacedShard> now;
    std::set<PlacedShard> before;
  };
  std::map<ServerId, Seen> servers_;
};

}  // namespace dogfs
