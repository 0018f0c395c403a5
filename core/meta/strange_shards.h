// How many shards the chunk servers have that the map has no place for, by their last block reports.
//
// A shard that was never issued is an alarm: its server is of another cluster or metadata was lost, and nobody may delete
// it. One that nothing lists goes by itself, when two reports have shown it. Both make their bucket differ in every digest,
// so each report counts them anew, and a bucket that does not differ any more has none. Soft state of a leader; belongs to
// the node's executor.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "core/meta/block_report.h"

namespace dogfs {

class StrangeShards {
 public:
  struct Counts {
    uint64_t impossible = 0;
    uint64_t unlisted = 0;
  };

  // The report `number` of `server` differs in these buckets only. One that is older than what was heard changes nothing.
  void take_digests(ServerId server, ReportNumber number, const std::vector<uint64_t>& differing);
  // What the shards of one of its buckets come to.
  void take_bucket(ServerId server, ReportNumber number, uint64_t bucket, const Counts& counts);
  void clear() { servers_.clear(); }

  // Of all servers but those that `leave_out` says, which were removed.
  Counts total(const std::set<ServerId>& leave_out = {}) const;

 private:
  struct Server {
    ReportNumber number;
    std::map<uint64_t, Counts> buckets;
  };
  std::map<ServerId, Server> servers_;
};

}  // namespace dogfs
