#include "sim/leader_oracle.h"

#include <utility>

#include "core/raft/raft.h"

namespace dogfs::sim {

void LeaderOracle::after_event(const Node& node, size_t active_faults) {
  if (stays_after_ == Duration::zero()) return;
  const VirtualTime now = cluster_.world().now();
  if (active_faults > 0) last_fault_ = now;
  const raft::Raft* raft = cluster_.raft(node);
  if (raft == nullptr || raft->role() != RaftRole::kLeader || raft->term() <= latest_) return;
  const Term before = std::exchange(latest_, raft->term());
  if (before.is_none() || now - last_fault_ <= stays_after_) return;
  verdict_.fail("leader", fmt::format("{} leads term {} although no fault has struck since term {} was led",
                                      node.name(), raft->term(), before));
}

}  // namespace dogfs::sim
