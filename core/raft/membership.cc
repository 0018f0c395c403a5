// Changes of membership (thesis, chapter 4). What may follow what is in configuration.h; here is when a leader may
// begin, and how it goes on once a configuration is committed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/raft/codec.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

Result<LogPosition> Raft::change_membership(const MembershipChange& change) {
  if (role_ != RaftRole::kLeader) return Error(ErrorCode::kNotLeader);
  if (is_in_effect(configuration(), change)) {
    const LogIndex index = log_.configurations().latest_index();
    return LogPosition{index, index > log_.base().index ? log_.term_at(index) : Term()};
  }
  DOGFS_TRYV(check_may_change());
  DOGFS_TRY(Configuration next, begin_change(configuration(), change));
  DOGFS_TRYV(check_caught_up(change.promote));
  DOGFS_TRYV(check_live_quorum(next));
  for (const NodeId node : change.promote) {
    if (const StoreId store = progress_.at(node).store(); !store.is_none()) next.stores.insert_or_assign(node, store);
  }
  append_configuration(std::move(next));
  broadcast_appends();
  return log_.last();
}

Status Raft::check_may_change() const {
  if (transfer_) return Error(ErrorCode::kBusy, "leadership is being handed over");
  // Until then an earlier leader's change may be under way that this log does not hold.
  if (!committed_in_term()) return Error(ErrorCode::kBusy, "this leader's term has only begun");
  if (configuration().is_joint() || !is_configuration_committed()) {
    return Error(ErrorCode::kConflict, "another change of membership is under way");
  }
  return ok();
}

// A node that is dead, or has to fetch the log, would only raise the number of voters that must agree: with it and one
// old voter lost nothing is committed any more, nor could the change be taken back.
Status Raft::check_caught_up(const std::vector<NodeId>& promoted) const {
  for (const NodeId node : promoted) {
    const Progress& progress = progress_.at(node);
    const LogIndex last = log_.last_index();
    if (is_silent(progress)) {
      DOGFS_COVERAGE_MARK("raft: a node not promoted that is silent");
      const auto silent_ms = std::chrono::floor<milliseconds>(now_ - progress.last_contact()).count();
      return Error(ErrorCode::kBusy,
                   fmt::format("node {} has not answered for {} ms, when it had the log up to entry {} "
                               "of {}: it must be alive and catch up first",
                               node, silent_ms, progress.match(), last));
    }
    if (progress.catch_up().is_caught_up(progress.match(), last, now_, options_.election_timeout)) continue;
    DOGFS_COVERAGE_MARK("raft: a node not promoted that has to catch up");
    return Error(ErrorCode::kBusy, fmt::format("node {} has the log up to entry {} of {} and must catch up first", node,
                                               progress.match(), last));
  }
  return ok();
}

// A group whose voters are mostly silent stands still, and could not even take the change back.
Status Raft::check_live_quorum(const Configuration& next) const {
  std::vector<NodeId> silent;
  for (const NodeId voter : next.voters) {
    if (voter == options_.self) continue;
    if (is_silent(progress_.at(voter))) silent.push_back(voter);
  }
  const size_t voters = next.voters.size();
  const size_t needed = VoterSet(next.voters).majority();
  if (voters - silent.size() >= needed) return ok();
  return Error(ErrorCode::kConflict,
               fmt::format("of the {} voters that there would be {} must be alive, but these have not answered for an "
                           "election timeout: {}",
                           voters, needed, fmt::join(silent, ", ")));
}

void Raft::append_configuration(Configuration next) {
  const std::map<NodeId, Address> before = configuration().addresses;
  append_own(configuration_entry(LogPosition{log_.last_index().next(), term_}, std::move(next)));
  adopt_configuration();
  // Who is at another address now has yet to be heard of there.
  for (auto& [node, progress] : progress_) {
    const auto was = before.find(node);
    const auto is = configuration().addresses.find(node);
    const bool moved = was != before.end() && is != configuration().addresses.end() && was->second != is->second;
    if (moved) progress = Progress(options_.flow, log_.last_index().next(), now_);
  }
}

// The latest configuration in the log is another than before.
void Raft::adopt_configuration() {
  configuration_version_ = log_.configurations().version();
  quorum_ = configuration().quorum();
  if (role_ == RaftRole::kLeader) add_progress_of_members(log_.last_index());
}

void Raft::add_progress_of_members(LogIndex next) {
  for (const auto& [node, address] : configuration().addresses) {
    if (node != options_.self) progress_.emplace(node, Progress(options_.flow, next, now_));
  }
}

// What a leader does when a configuration has been committed: it leaves a joint one, and lets go of who is no member. If
// that is itself, it tells the others what is committed, and one of them to stand for election.
void Raft::go_on_with_membership() {
  if (!is_configuration_committed() || !committed_in_term()) return;
  if (configuration().is_joint()) {
    DOGFS_COVERAGE_MARK("raft: a joint configuration left");
    append_configuration(leave_joint(configuration()));
    return broadcast_appends();
  }
  let_go_of_former_members();
  if (quorum_.contains(options_.self)) return;
  DOGFS_COVERAGE_MARK("raft: a leader that was removed stepped down");
  broadcast_heartbeat();
  if (const NodeId successor = best_successor(); !successor.is_none()) tell_to_stand(successor);
  become_follower(term_, NodeId());
}

// Each is told once that its leaving is committed: a node that does not know goes on standing for election (may_stand).
void Raft::let_go_of_former_members() {
  for (auto item = progress_.begin(); item != progress_.end();) {
    const auto& [peer, progress] = *item;
    if (configuration().is_member(peer)) {
      ++item;
      continue;
    }
    const LogIndex previous = progress.next().previous();
    if (previous >= log_.base().index) send_append_behind(peer, previous, {});
    item = progress_.erase(item);
  }
}

}  // namespace dogfs::raft
