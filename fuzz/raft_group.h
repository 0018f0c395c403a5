// A small Raft group whose whole fate is in the fuzzer's bytes: what arrives when, what is lost or doubled, whose disk
// lags, who crashes and what of its disk survives that, who joins, votes and leaves, to whom leadership is handed, and
// whether reads are answered from leases, with clocks that drift as far as those allow.
#pragma once

#include <map>
#include <string>

#include "fuzz/input.h"
#include "tests/core/raft/cluster.h"

namespace dogfs::fuzz {

class RaftGroup {
 public:
  // The first bytes decide how large the group is, and its limits.
  explicit RaftGroup(Input& input);

  // Does what the next bytes say.
  void step(Input& input);
  // Everybody is up, nothing is lost any more: the group must agree on everything within a few elections.
  void converge();

  // Ends the process where a promise of Raft's is broken.
  void check();

  raft::TestCluster& cluster() { return cluster_; }

 private:
  static raft::Options draw_options(Input& input);

  NodeId draw_node(Input& input) { return NodeId(1 + input.below(cluster_.nodes().size())); }
  void propose(NodeId node, Input& input);
  void read(NodeId node);
  void crash(NodeId node, Input& input);
  void change_membership(NodeId node, Input& input);
  void draw_clock(raft::TestNode& node, Input& input);
  void move_message(Input& input);
  void check_reads();
  bool converged();

  raft::Options options_;  // common to all
  raft::TestCluster cluster_;
  uint64_t last_command_ = 0;
  uint64_t last_read_ = 0;
  std::map<uint64_t, LogIndex> read_floor_;  // what was committed when the read began
};

}  // namespace dogfs::fuzz
