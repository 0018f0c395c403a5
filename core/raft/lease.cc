// Lease reads (thesis, 6.4.1): a leader that a quorum has lately promised to stick to needs not ask again.
//
// A voter that hears from a leader votes for nobody else for an election timeout of its own clock. So once a quorum has
// answered a heartbeat that was sent at time t, there is no other leader before t + election_timeout: provided that no
// voter's clock runs ahead. That is the assumption, and it has a number: over an election timeout the clocks of two
// members may part by at most Options::lease_drift_bound. The lease is shorter by that much. If a clock drifts further, a
// read may be stale; so leases are off unless a bound is given, and ReadIndex, which trusts no clock, is used.
//
// What else would break the promise, and how that is met:
//   - A voter that restarts has forgotten whom it heard: with leases on it votes for nobody in its first election
//     timeout.
//   - A voter may learn of a higher term from an old message, and so forget its leader: it keeps to the time all the
//     same, whether it is asked for its vote in that term or in a later one. All members must have leases on for both.
//   - A transfer of leadership asks voters not to stick: no lease in that term any more (transfer.cc).
//   - A change of voters: the lease is judged by the quorum of the configuration in effect, which meets every quorum by
//     which another could be elected.
#include "core/base/mutant.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

bool Raft::holds_lease() const {
  if (!options_.lease_drift_bound || lease_revoked_ || role_ != RaftRole::kLeader || !committed_in_term()) return false;
  const MonoTime promised = quorum_.reached(
      [this](NodeId voter) { return voter == options_.self ? now_ : progress_.at(voter).promised_at(); });
  const Duration drift_bound =
      mutant_active(Mutant::kLeaseTrustsClocks) ? Duration::zero() : *options_.lease_drift_bound;
  return now_ < promised + options_.election_timeout - drift_bound;
}

}  // namespace dogfs::raft
