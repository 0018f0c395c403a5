// Linearizability of a whole run: records what the clients do and what is committed, and checks both at the end
// (sim/linearizability.h). Then every metadata node must have the tree, leases and sessions that the model has.
#pragma once

#include <vector>

#include "sim/cluster.h"
#include "sim/history.h"
#include "sim/linearizability.h"
#include "sim/verdict.h"

namespace dogfs::sim {

class HistoryOracle {
 public:
  // Records all clients that are started from now on.
  HistoryOracle(Cluster& cluster, Verdict& verdict);

  // To be called after every event of a metadata node: takes what is committed before a compaction may.
  void after_event(const Node& node);
  void check();

  uint64_t operations() const { return history_.operations().size(); }
  // Operations that were checked: changes that have their place in the log, and reads that have one.
  uint64_t checked() const { return checked_; }
  // For tests, which falsify it.
  const std::vector<CommittedEntry>& log() const { return log_; }

 private:
  void check_rows(uint64_t applied, const std::vector<Node*>& nodes);

  Cluster& cluster_;
  Verdict& verdict_;
  History history_;
  std::vector<CommittedEntry> log_;
  uint64_t checked_ = 0;
};

// What MetadataModel::describe_tree() and sessions() say, of the rows of a store.
std::vector<std::string> describe_rows(const KvReader& store);
std::vector<uint64_t> sessions_in_rows(const KvReader& store);

}  // namespace dogfs::sim
