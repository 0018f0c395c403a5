// Raft's safety properties as checks over views of the members of one group (Raft paper, figure 3).
//
// Apart from the protocol on purpose: these say what must hold, raft.cc how it is brought about. (After LogCabin's
// Server/RaftConsensusInvariants.cc: state checks, and checks from step to step.) Each returns nothing when all is
// well, else what is broken, in words. Meant for simulators and tests: a check may cost as much as a log has terms.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/membership_invariants.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

using Violation = std::optional<std::string>;

// One member at one moment. `log` is valid until the member's next input.
struct NodeView {
  NodeId node;
  RaftRole role = RaftRole::kFollower;
  Term term;
  NodeId voted_for;
  NodeId leader;
  LogIndex commit;
  LogIndex applied;
  LogIndex durable_state;  // Raft::durable_state
  StoreId store;
  const Log* log = nullptr;
};

NodeView view_of(const Raft& raft);

// --- State

// What holds of one member at any moment: the numbered invariants of raft.h that can be seen from outside.
Violation check_node(const NodeView& view);
// Log matching: two logs that share an entry's index and term share all entries before it.
Violation check_log_matching(const NodeView& a, const NodeView& b);

// --- Step to step

// What is kept of a member's state for the next check.
struct NodeSnapshot {
  RaftRole role = RaftRole::kFollower;
  Term term;
  NodeId voted_for;
  LogPosition last;
  LogPosition committed;
  LogIndex durable;  // the last entry known to be on the disk; none: no entry is
  StoreId store;
};

NodeSnapshot snapshot_of(const NodeView& view);
// Terms, the vote within a term and the commit index never go back, what is committed stays, a leader only appends,
// and moves its commit index only to entries of its own term (5.4.2).
// Between two moments of one incarnation.
Violation check_step(const NodeSnapshot& before, const NodeView& after);
// Between the last moment of one incarnation and the first of the next, of what the disk must have kept: the term and vote
// of a leader, and durable entries. Nothing holds of a node that comes with another disk.
Violation check_restart(const NodeSnapshot& before, const NodeView& after);

// --- History

// Remembers a group's whole run: which node led which term, and what was ever committed. Feed it after every event
// that may have changed a member (views of running members only).
class SafetyHistory {
 public:
  // Election safety over time; log matching of all pairs; state machine safety: no two members ever commit different
  // entries at an index; leader completeness: a new leader has everything committed in earlier terms; and those of
  // membership_invariants.h.
  Violation observe(const std::vector<NodeView>& views);
  // A member was restarted: its next view is held against what its disk must have kept, and starts anew.
  void restarted(NodeId node);

  // Everything that was ever committed, from index 1.
  LogIndex committed() const { return LogIndex(ledger_.size()); }
  // `node` applies `entry`, or has it committed: it must be what was committed at its index.
  Violation check_committed(NodeId node, const Entry& entry);

 private:
  struct Committed {
    Term term;
    Term when;                     // the term of the member that was first seen to have it committed
    std::optional<uint64_t> hash;  // of the command, unless nobody had it in memory yet
  };

  Violation observe_role(const NodeView& view);
  Violation observe_commits(const NodeView& view, LogIndex known);
  Violation observe_committed(const NodeView& view, LogPosition position);
  Violation check_complete(const NodeView& leader) const;
  Violation observe_membership(const NodeView& view, const std::vector<NodeView>& views);

  std::map<Term, NodeId> leaders_;
  std::map<NodeId, NodeSnapshot> snapshots_;
  std::map<NodeId, NodeSnapshot> restarted_;  // the last of the incarnation before, until the first view of this one
  std::vector<Committed> ledger_;
  MembershipHistory memberships_;
};

}  // namespace dogfs::raft
