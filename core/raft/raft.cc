#include "core/raft/raft.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/mutant.h"
#include "core/raft/describe.h"

namespace dogfs::raft {

bool Effects::empty() const {
  return messages.empty() && !persist && committed.empty() && fetches.empty() && snapshot_reads.empty() && !stage &&
         !install && reads.empty() && failed_reads.empty() && violations.empty();
}

Raft::Raft(const Options& options, Restored restored, MonoTime now)
    : options_(options),
      quorum_(restored.configurations.latest().quorum()),
      now_(now),
      last_heard_leader_(now),
      store_(restored.store),
      term_(restored.hard_state.term),
      voted_for_(restored.hard_state.voted_for),
      log_(std::move(restored.terms), std::move(restored.sizes), std::move(restored.tail), options_.max_cached_bytes,
           std::move(restored.configurations)),
      commit_(std::max(restored.hard_state.commit, restored.applied)),
      applied_(restored.applied),
      handed_(restored.applied),
      durable_state_(restored.applied) {
  configuration_version_ = log_.configurations().version();
  DOGFS_CHECK(options_.election_timeout >= 3 * options_.heartbeat_interval);
  DOGFS_CHECK(commit_ <= log_.last_index(), "the store must not have lost committed entries");
  DOGFS_CHECK(log_.last().term <= term_, "the store must not have lost a term");
  DOGFS_CHECK(log_.base().index <= applied_, "what was dropped from the log must be in the state");
  DOGFS_CHECK(options_.snapshot_patience >= options_.election_timeout);
  if (restored.staged) go_on_receiving(*restored.staged);
  restart_election_timer();
  // Nobody else can be leader: there is nothing to wait for, but for the lease of one that has just left.
  if (quorum_.is_only(options_.self) && !options_.lease_drift_bound) election_deadline_ = now_;
}

// --- Inputs ---------------------------------------------------------------------------------------------------------

void Raft::advance_clock(MonoTime now) {
  now_ = std::max(now_, now);
}

void Raft::tick(MonoTime now) {
  advance_clock(now);
  if (role_ == RaftRole::kLeader) {
    if (now_ < tick_deadline_) return;
    tick_deadline_ = next_heartbeat();
    end_overdue_transfer();
    check_quorum();
    check_disk();
    if (role_ != RaftRole::kLeader) return;
    give_up_snapshots_to_lost_followers();
    // One that went out with a round of reads just now will do.
    if (now_ >= heartbeat_deadline_) broadcast_heartbeat();
    go_on_with_transfer();
  } else if (now_ >= election_deadline_) {
    on_election_timeout();
  }
}

void Raft::campaign() {
  if (role_ == RaftRole::kLeader) return;
  if (!may_stand()) return restart_election_timer();
  if (mutant_active(Mutant::kRemovedNodeDisrupts)) return become_candidate(Campaign::kOwn);
  become_pre_candidate();
}

void Raft::step(MonoTime now, const Message& message) {
  advance_clock(now);
  if (!is_addressed_here(message)) return;
  note_store(message);
  if (is_answer_of_a_stranger(message)) return;
  if (message.term > term_) {
    if (!enter_higher_term(message)) return;
  } else if (message.term < term_) {
    answer_lower_term(message);
    return;
  }
  dispatch(message);
}

bool Raft::is_addressed_here(const Message& message) const {
  return message.group == options_.group && message.to == options_.self && message.from != options_.self;
}

// Whoever left the group may not know it, or be at a later term than the group ever was. What it asks is judged like
// what anybody asks; its answers are to questions that nobody in the group has any more.
bool Raft::is_answer_of_a_stranger(const Message& message) const {
  switch (message.kind) {
    case MessageKind::kPreVoteReply:
    case MessageKind::kVoteReply:
    case MessageKind::kAppendReply:
    case MessageKind::kHeartbeatReply:
    case MessageKind::kSnapshotReply:
      if (is_from_another_store(message)) return true;
      return !configuration().is_member(message.from) && !progress_.contains(message.from);
    default:
      return false;
  }
}

// False when the message is to be ignored.
bool Raft::enter_higher_term(const Message& message) {
  switch (message.kind) {
    case MessageKind::kPreVote:
      return !hears_a_leader();
    case MessageKind::kVote:
      if (hears_a_leader() && !message.transfer) return false;
      become_follower(message.term, NodeId());
      return true;
    case MessageKind::kPreVoteReply:
      // A grant names the term that its candidate asked for, which nobody has entered yet.
      if (message.reject && !mutant_active(Mutant::kMutePreVote)) become_follower(message.term, NodeId());
      return true;
    case MessageKind::kAppend:
    case MessageKind::kHeartbeat:
    case MessageKind::kSnapshot:
      become_follower(message.term, message.from);
      return true;
    default:
      become_follower(message.term, NodeId());
      return true;
  }
}

// Most old messages say nothing. But a leader, or a pre-candidate, of an old term would never learn of the new one by
// itself: this node ignores the leader's messages, and, with PreVote, nobody's term rises by being contacted.
void Raft::answer_lower_term(const Message& message) {
  if (message.kind == MessageKind::kAppend || message.kind == MessageKind::kHeartbeat ||
      message.kind == MessageKind::kSnapshot) {
    Message reply = make_message(MessageKind::kAppendReply, message.from);
    reply.reject = true;
    reply.log.index = message.log.index;
    send(std::move(reply));
  } else if (message.kind == MessageKind::kPreVote && !mutant_active(Mutant::kMutePreVote)) {
    Message reply = make_message(MessageKind::kPreVoteReply, message.from);
    reply.reject = true;
    send(std::move(reply));
  }
}

void Raft::dispatch(const Message& message) {
  switch (message.kind) {
    case MessageKind::kPreVote:
    case MessageKind::kVote:
      return handle_vote_request(message);
    case MessageKind::kPreVoteReply:
    case MessageKind::kVoteReply:
      return handle_vote_reply(message);
    case MessageKind::kAppend:
    case MessageKind::kHeartbeat:
    case MessageKind::kSnapshot:
      return follow(message);
    case MessageKind::kAppendReply:
      return handle_append_reply(message);
    case MessageKind::kHeartbeatReply:
      return handle_heartbeat_reply(message);
    case MessageKind::kTimeoutNow:
      return handle_timeout_now(message);
    case MessageKind::kSnapshotReply:
      return handle_snapshot_reply(message);
  }
}

Result<Proposed> Raft::propose(std::vector<Command> commands) {
  if (role_ != RaftRole::kLeader) return Error(ErrorCode::kNotLeader);
  if (transfer_) return Error(ErrorCode::kBusy, "leadership is being handed over");
  Proposed proposed{log_.last_index().next(), term_, 0};
  for (Command& command : commands) {
    if (uncommitted_.bytes() + command->size() + kEntryOverheadBytes > options_.max_uncommitted_bytes) break;
    append_own(EntryType::kCommand, std::move(command));
    ++proposed.accepted;
  }
  if (proposed.accepted == 0 && !commands.empty()) {
    DOGFS_COVERAGE_MARK("raft: proposals refused, since too much is uncommitted");
    return Error(ErrorCode::kOverloaded, "too many bytes of proposals are not committed yet");
  }
  broadcast_appends();
  return proposed;
}

Status Raft::read_index(uint64_t context) {
  if (role_ != RaftRole::kLeader) return Error(ErrorCode::kNotLeader);
  if (holds_lease()) {
    DOGFS_COVERAGE_MARK("raft: reads answered by a lease");
    effects_.reads.push_back(CompletedReads{commit_, {context}});
    return ok();
  }
  reads_.add(context);
  advance_reads();
  return ok();
}

void Raft::applied(LogIndex index) {
  DOGFS_CHECK(index >= applied_ && index <= handed_, "only what was handed out can have been applied");
  applied_ = index;
  install_if_complete();
}

void Raft::fetched(const LogFetch& fetch, std::vector<Entry> entries) {
  const auto still_ours = [this](const Entry& entry) { return log_.contains(LogPosition{entry.index, entry.term}); };
  const bool valid = !entries.empty() && entries.front().index == fetch.first && still_ours(entries.back());
  if (fetch.peer.is_none()) {
    DOGFS_CHECK(apply_fetching_ && valid, "committed entries stay in the store");
    apply_fetching_ = false;
    hand_to_apply(std::move(entries));
    return;
  }
  const auto found = progress_.find(fetch.peer);
  if (role_ != RaftRole::kLeader || found == progress_.end() || !found->second.is_fetching()) return;
  found->second.end_fetch();
  // The follower's answers may have moved its place meanwhile.
  if (valid && found->second.next() == fetch.first && found->second.may_send()) {
    send_entries(fetch.peer, std::move(entries));
  }
  send_appends(fetch.peer);
}

// --- Roles ----------------------------------------------------------------------------------------------------------

void Raft::become_follower(Term term, NodeId leader) {
  DOGFS_CHECK(term >= term_, "terms never go back");
  leave_role();
  if (term > term_) {
    term_ = term;
    voted_for_ = NodeId();
    hard_state_dirty_ = true;
  }
  role_ = RaftRole::kFollower;
  leader_ = leader;
  restart_election_timer();
}

// What belongs to one candidacy or one leadership ends with it.
void Raft::leave_role() {
  votes_.clear();
  founders_.clear();
  progress_.clear();
  uncommitted_.clear();
  transfer_.reset();
  lease_revoked_ = false;
  const std::vector<uint64_t> failed = reads_.take_all();
  effects_.failed_reads.insert(effects_.failed_reads.end(), failed.begin(), failed.end());
}

// --- Messages and persistence ---------------------------------------------------------------------------------------

Message Raft::make_message(MessageKind kind, NodeId to) const {
  Message message;
  message.kind = kind;
  message.group = options_.group;
  message.from = options_.self;
  message.to = to;
  message.term = term_;
  message.from_store = store_;
  return message;
}

// Holds the message back until all that this node knows now is durable. That is at least what it promises, and simple
// enough to be right; batches are written in order, so nothing overtakes.
void Raft::send_when_durable(Message message) {
  const uint64_t batch = needs_persist() ? last_batch_ + 1 : last_batch_;
  held_.push_back(HeldMessage{mutant_active(Mutant::kAckBeforeSync) ? 0 : batch, std::move(message)});
  release_durable();
}

void Raft::release_durable() {
  while (!held_.empty() && held_.front().batch <= persisted_batch_) {
    Message message = std::move(held_.front().message);
    held_.pop_front();
    if (message.to != options_.self) {
      send(std::move(message));
    } else if (message.term == term_) {
      // A candidate's own vote counts like any other: once it is durable.
      handle_vote_reply(message);
    }
  }
}

void Raft::persisted(uint64_t batch) {
  DOGFS_CHECK(batch <= last_batch_, "only what was handed out can have been persisted");
  if (batch <= persisted_batch_) return;
  const uint64_t before = std::exchange(persisted_batch_, batch);
  disk_moved_ = now_;
  log_.persisted(batch);
  for (; !applied_at_.empty() && applied_at_.front().batch <= batch; applied_at_.pop_front()) {
    durable_state_ = std::max(durable_state_, applied_at_.front().applied);
  }
  if (installing_ && installing_->batch > before && installing_->batch <= batch) {
    effects_.install = installing_->position;
  }
  release_durable();
  if (role_ == RaftRole::kLeader) advance_commit();
}

Effects Raft::take_effects() {
  give_up_receiving_in_vain();
  if (needs_persist()) take_persist_batch();
  take_committed();
  Effects effects = std::move(effects_);
  effects_ = Effects();
  return effects;
}

void Raft::take_persist_batch() {
  PersistBatch batch;
  batch.number = ++last_batch_;
  batch.hard_state = HardState{term_, mutant_active(Mutant::kForgetVote) ? NodeId() : voted_for_, commit_};
  Log::Unstable unstable = log_.take_unstable(batch.number);
  batch.truncate_from = unstable.truncate_from;
  batch.entries = std::move(unstable.entries);
  batch.last = log_.last();
  if (installing_ && installing_->batch == 0) {
    add_install(batch);
  } else {
    batch.compaction = compact();
  }
  if (applied_at_.empty()) disk_moved_ = now_;
  applied_at_.push_back(AppliedAt{batch.number, applied_});
  hard_state_dirty_ = false;
  effects_.persist = std::move(batch);
}

void Raft::take_committed() {
  const LogIndex last = mutant_active(Mutant::kApplyBeforeDurable) ? commit_ : std::min(commit_, log_.durable());
  if (is_applying() || handed_ >= last || apply_fetching_ || installing_) return;
  const LogIndex first = handed_.next();
  if (first >= log_.first_cached()) {
    hand_to_apply(log_.cached(first, last, options_.apply));
  } else {
    DOGFS_COVERAGE_MARK("raft: entries read back from the store to be applied");
    apply_fetching_ = true;
    effects_.fetches.push_back(LogFetch{NodeId(), first, last, options_.apply});
  }
}

void Raft::hand_to_apply(std::vector<Entry> entries) {
  DOGFS_CHECK(entries.front().index == handed_.next() && entries.back().index <= commit_);
  DOGFS_CHECK(entries.back().index <= log_.durable() || mutant_active(Mutant::kApplyBeforeDurable));
  handed_ = entries.back().index;
  effects_.committed = std::move(entries);
}

void Raft::note_violation(const Message& message, std::string_view what) {
  effects_.violations.push_back(std::string(what) + ": " + describe(message));
}

}  // namespace dogfs::raft
