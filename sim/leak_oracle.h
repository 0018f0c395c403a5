// Nothing stays for ever (P5): once everybody has been idle for as long as the limits say, there is no lease, no session,
// no block that was never committed, nothing deleted that is not taken apart, and no shard, or record of one, that the
// metadata does not list. The Raft store of each metadata node has what the member needs and nothing else: no entry in
// front of the log's beginning, no more of the log than compaction leaves, no part of a snapshot that nobody will
// complete. Nodes that are gone for good are left out: nobody can tidy up there.
#pragma once

#include <set>
#include <string>

#include "core/wire/state.pb.h"
#include "sim/cluster.h"

namespace dogfs::sim {

class LeakOracle {
 public:
  explicit LeakOracle(Cluster& cluster) : cluster_(cluster) {}

  // Whether nothing is left over. Looks only now and then, since a look reads every row: in between it gives the last
  // answer. Precondition: nodes and clients are up, and the clients idle.
  bool is_clean();
  // What was left over at the last look, in words.
  const std::string& leftover() const { return leftover_; }

 private:
  std::string look();
  std::string look_at_metadata(const KvReader& rows) const;
  uint64_t count_garbage(const KvReader& rows) const;
  bool is_gone(const wire::ChunkServerRow& server) const;
  std::string look_at_shards(const KvReader& rows);
  std::string look_at_disks(Node& node, const std::set<std::string>& listed) const;
  std::string look_at_raft_store(Node& node);
  std::string look_at_log_length(Node& node);

  Cluster& cluster_;
  VirtualTime next_look_{};
  std::string leftover_ = "nobody has looked yet";
};

}  // namespace dogfs::sim
