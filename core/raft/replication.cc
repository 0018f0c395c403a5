// Log replication, commitment and ReadIndex (Raft paper, 5.3 and 5.4.2; thesis, 6.4 and 10.2).
#include <algorithm>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/mutant.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

// --- Follower -------------------------------------------------------------------------------------------------------

// A message from the leader of this term.
void Raft::follow(const Message& message) {
  if (role_ == RaftRole::kLeader || (!leader_.is_none() && leader_ != message.from)) {
    return note_violation(message, "a second leader in one term");
  }
  if (role_ != RaftRole::kFollower) become_follower(term_, message.from);
  leader_ = message.from;
  last_heard_leader_ = now_;
  expired_candidacies_ = 0;
  election_deadline_ = now_ + election_wait_;
  if (message.kind == MessageKind::kAppend) {
    handle_append(message);
  } else if (message.kind == MessageKind::kSnapshot) {
    handle_snapshot(message);
  } else {
    handle_heartbeat(message);
  }
}

void Raft::handle_append(const Message& message) {
  Message reply = make_message(MessageKind::kAppendReply, message.from);
  if (message.log.index < commit_) {
    DOGFS_COVERAGE_MARK("raft: stale append answered with the commit index");
    // Old, or doubled: what is committed agrees with the leader in any case.
    reply.log.index = commit_;
    return send_when_durable(std::move(reply));
  }
  const bool matches = log_.contains(message.log) ||
                       (mutant_active(Mutant::kAppendWithoutMatch) && message.log.index <= log_.last_index());
  if (!matches) {
    DOGFS_COVERAGE_MARK("raft: append rejected with a conflict hint");
    // The leader may skip all entries of the suggestion's term or above that it has behind it (log.h).
    reply.reject = true;
    reply.log.index = message.log.index;
    reply.hint = log_.last_at_most(message.log.index, message.log.term);
    return send(std::move(reply));
  }
  const LogIndex conflict = log_.find_conflict(message.entries);
  if (!conflict.is_none() && conflict <= commit_) return note_violation(message, "an append against committed entries");
  log_.merge(message.entries);
  if (configuration_version_ != log_.configurations().version()) adopt_configuration();
  // Behind what this append covers, the log may hold another leader's entries: they are not what is committed.
  const LogIndex covered(message.log.index.value() + message.entries.size());
  commit_to(std::min(message.commit, covered));
  reply.log.index = covered;
  send_when_durable(std::move(reply));
}

void Raft::handle_heartbeat(const Message& message) {
  // The leader never tells of a commit beyond what this node has acknowledged to it: with this store, or a lost one.
  const bool beyond = message.commit > log_.last_index() && !mutant_active(Mutant::kCommitWithoutMatch);
  if (beyond && !may_have_lost_store()) return note_violation(message, "a commit beyond the log");
  if (!beyond) commit_to(message.commit);
  Message reply = make_message(MessageKind::kHeartbeatReply, message.from);
  reply.read_round = message.read_round;
  reply.sent_at = message.sent_at;
  send(std::move(reply));
}

// --- Leader ---------------------------------------------------------------------------------------------------------

void Raft::append_own(EntryType type, Command command) {
  append_own(Entry{log_.last_index().next(), term_, type, std::move(command)});
}

void Raft::append_own(Entry entry) {
  uncommitted_.add(entry.index, entry.bytes());
  log_.append(std::move(entry));
}

void Raft::broadcast_appends() {
  for (auto& [peer, progress] : progress_) {
    progress.catch_up().appended(log_.last_index(), now_);
    send_appends(peer);
  }
}

// Sends all that the follower lacks, as far as its window goes.
void Raft::send_appends(NodeId peer) {
  while (send_append(peer, Send::kIfEntries)) {
  }
}

// Sends one append, if the follower's flow allows it and, but for kAlways, there are entries for it. True when one was
// sent.
bool Raft::send_append(NodeId peer, Send mode) {
  Progress& progress = progress_.at(peer);
  if (progress.state() == Progress::State::kSnapshot) return false;
  if (progress.next().previous() < log_.base().index) {
    if (!is_silent(progress)) begin_snapshot(peer);
    return false;
  }
  const bool has_entries = progress.may_send() && progress.next() <= log_.last_index();
  if (!has_entries) {
    if (mode == Send::kAlways && !progress.is_fetching()) send_entries(peer, {});
    return false;
  }
  if (progress.next() < log_.first_cached()) {
    DOGFS_COVERAGE_MARK("raft: entries read back from the store for a follower");
    progress.begin_fetch();
    effects_.fetches.push_back(LogFetch{peer, progress.next(), log_.last_index(), options_.append});
    return false;
  }
  send_entries(peer, log_.cached(progress.next(), log_.last_index(), options_.append));
  return true;
}

void Raft::send_entries(NodeId peer, std::vector<Entry> entries) {
  Progress& progress = progress_.at(peer);
  const LogIndex previous = progress.next().previous();
  size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.bytes();
  progress.sent(entries.empty() ? previous : entries.back().index, bytes);
  send_append_behind(peer, previous, std::move(entries));
}

void Raft::send_append_behind(NodeId peer, LogIndex previous, std::vector<Entry> entries) {
  Message append = make_message(MessageKind::kAppend, peer);
  append.log = LogPosition{previous, log_.term_at(previous)};
  append.commit = commit_;
  append.entries = std::move(entries);
  send(std::move(append));
}

// At whole intervals of this node's clock, so that it is the same moment for all groups that this node leads: their
// heartbeats share frames (core/raft/outbox.h).
MonoTime Raft::next_heartbeat() const {
  const Duration since = now_.time_since_epoch() % options_.heartbeat_interval;
  return now_ - since + options_.heartbeat_interval;
}

void Raft::broadcast_heartbeat() {
  heartbeat_deadline_ = next_heartbeat();
  for (const auto& [peer, progress] : progress_) {
    Message heartbeat = make_message(MessageKind::kHeartbeat, peer);
    heartbeat.commit = mutant_active(Mutant::kCommitWithoutMatch) ? commit_ : std::min(commit_, progress.match());
    heartbeat.read_round = reads_.round();
    if (options_.lease_drift_bound) heartbeat.sent_at = now_;
    send(std::move(heartbeat));
  }
}

void Raft::handle_append_reply(const Message& message) {
  const auto found = progress_.find(message.from);
  if (role_ != RaftRole::kLeader || found == progress_.end()) return;
  Progress& progress = found->second;
  progress.contacted(now_);
  if (message.reject) {
    DOGFS_COVERAGE_MARK("raft: conflict hint used");
    // Both logs agree at most up to where this one's term is not above the follower's.
    const LogPosition resume = log_.last_at_most(message.hint.index, message.hint.term);
    if (progress.rejected(message.log.index, resume.index)) send_append(message.from, Send::kAlways);
    return;
  }
  if (message.log.index > log_.last_index()) return note_violation(message, "an acknowledgement beyond the log");
  end_snapshot_that_arrived(progress, message.log.index);
  const bool news = progress.accepted(message.log.index);
  progress.catch_up().acknowledged(progress.match(), log_.last_index(), now_);
  if (news) advance_commit();
  // What was committed may have been the end of this leadership, or of the follower's membership.
  if (progress_.contains(message.from)) send_appends(message.from);
}

void Raft::handle_heartbeat_reply(const Message& message) {
  const auto found = progress_.find(message.from);
  if (role_ != RaftRole::kLeader || found == progress_.end()) return;
  Progress& progress = found->second;
  progress.contacted(now_);
  progress.confirm_round(std::min(message.read_round, reads_.round()));
  if (message.sent_at != MonoTime()) progress.promised(std::min(message.sent_at, now_));
  progress.allow_probe();
  if (progress.snapshot()) {
    go_on_with_snapshot(message.from);
    return advance_reads();
  }
  // It lives, but has not acknowledged all. An append, empty if need be, finds out whether something was lost.
  const bool lacks = progress.match() < log_.last_index() || progress.state() == Progress::State::kProbe;
  if (lacks && send_append(message.from, Send::kAlways)) send_appends(message.from);
  advance_reads();
}

void Raft::advance_commit() {
  const LogIndex own = mutant_active(Mutant::kCountUnsyncedSelf) ? log_.last_index() : log_.durable();
  LogIndex reached =
      quorum_.reached([this, own](NodeId voter) { return voter == options_.self ? own : progress_.at(voter).match(); });
  if (mutant_active(Mutant::kCommitAlone)) reached = own;
  // Copies of an older term's entry prove nothing (5.4.2, figure 8); it commits behind one of this term.
  if (log_.term_at(reached) != term_ && !mutant_active(Mutant::kCommitOlderTerm)) return;
  commit_to(reached);
  uncommitted_.release_up_to(commit_);
  advance_reads();
  go_on_with_membership();
  go_on_with_transfer();
}

void Raft::commit_to(LogIndex index) {
  if (mutant_active(Mutant::kCommitWithoutMatch)) index = std::min(index, log_.last_index());
  DOGFS_CHECK(index <= log_.last_index());
  commit_ = std::max(commit_, index);
}

// Confirms what the answers so far prove, then begins the next round if somebody waits for one. No read is served
// before an entry of this term is committed: until then the leader does not know what earlier leaders committed.
void Raft::advance_reads() {
  const auto confirm = [this] {
    uint64_t confirmed = quorum_.reached(
        [this](NodeId voter) { return voter == options_.self ? reads_.round() : progress_.at(voter).read_round(); });
    if (mutant_active(Mutant::kReadUnconfirmed)) confirmed = reads_.round();
    if (auto done = reads_.confirm(confirmed)) effects_.reads.push_back(*std::move(done));
  };
  confirm();
  if (!reads_.wants_round()) return;
  if (!committed_in_term() && !mutant_active(Mutant::kReadBeforeTermCommit)) return;
  reads_.begin_round(commit_);
  broadcast_heartbeat();
  confirm();
}

}  // namespace dogfs::raft
