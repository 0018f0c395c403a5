// Leadership transfer (thesis, 3.10): the leader takes no more proposals, brings the chosen follower up to its own log,
// and tells it to stand for election at once. Since that follower has everything, and the others are told that the old
// leader wishes it (so that they do not stick to it), it wins, and nobody waits for an election timeout.
//
// It is bounded: after an election timeout the leader gives up and takes proposals again. The word to stand may still be
// on its way then, so a lease that voters would break on that word is not relied on any more in this term (TiKV #1593).
#include <fmt/format.h>

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "core/base/mutant.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

Status Raft::transfer_leadership(NodeId target) {
  if (role_ != RaftRole::kLeader) return Error(ErrorCode::kNotLeader);
  if (target == options_.self) return ok();
  if (transfer_) {
    if (transfer_->target == target) return ok();
    return Error(ErrorCode::kBusy, fmt::format("leadership is being handed to node {}", transfer_->target));
  }
  if (configuration().is_joint() || !is_configuration_committed()) {
    return Error(ErrorCode::kConflict, "a change of membership is under way");
  }
  if (!quorum_.contains(target)) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("node {} is not a voter and cannot lead", target));
  }
  if (is_silent(progress_.at(target))) {
    return Error(ErrorCode::kConflict, fmt::format("node {} has not answered for an election timeout", target));
  }
  transfer_ = Transfer{target, now_ + options_.election_timeout};
  go_on_with_transfer();
  return ok();
}

NodeId Raft::best_successor() const {
  NodeId best;
  LogIndex best_match;
  for (const auto& [node, progress] : progress_) {
    if (!quorum_.contains(node) || is_silent(progress)) continue;
    if (!best.is_none() && progress.match() <= best_match) continue;
    best = node;
    best_match = progress.match();
  }
  return best;
}

// Called when the target has acknowledged something, when something was committed, and with each heartbeat, since the
// word may be lost.
void Raft::go_on_with_transfer() {
  if (role_ != RaftRole::kLeader || !transfer_) return;
  const Progress& progress = progress_.at(transfer_->target);
  if (progress.match() < log_.last_index()) return send_appends(transfer_->target);
  // What was proposed here is answered here: so it is committed first, which takes no longer than the target's election
  // would have to wait.
  if (commit_ == log_.last_index()) tell_to_stand(transfer_->target);
}

void Raft::end_overdue_transfer() {
  if (!transfer_ || now_ < transfer_->deadline) return;
  DOGFS_COVERAGE_MARK("raft: a transfer of leadership given up");
  transfer_.reset();
}

void Raft::tell_to_stand(NodeId successor) {
  lease_revoked_ = !mutant_active(Mutant::kLeaseAcrossTransfer);
  send(make_message(MessageKind::kTimeoutNow, successor));
}

// Without a PreVote: the leader that others would stick to has asked for this election.
void Raft::handle_timeout_now(const Message& message) {
  if (role_ != RaftRole::kFollower || leader_ != message.from || !quorum_.contains(options_.self) || !is_counted())
    return;
  become_candidate(Campaign::kTransfer);
}

}  // namespace dogfs::raft
