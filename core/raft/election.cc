// Elections: PreVote, votes, CheckQuorum (Raft paper, 5.2 and 5.4.1; thesis, 4.2.3, 6.2 and 9.6).
#include <algorithm>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/hash.h"
#include "core/base/mutant.h"
#include "core/raft/raft.h"

namespace dogfs::raft {
namespace {

// A candidacy waits for the voters' disks, whose pace is not known here: one that follows another that expired has twice
// the time.
constexpr int kMaxCandidacyDoublings = 5;

}  // namespace

void Raft::restart_election_timer() {
  const auto spread = static_cast<uint64_t>(options_.election_timeout.count());
  const uint64_t draw = combine64(options_.election_seed, timeouts_drawn_++);
  election_wait_ = options_.election_timeout + Duration(static_cast<int64_t>(reduce64(draw, spread)));
  election_deadline_ = now_ + election_wait_;
}

// Whether a leader is known to be alive, so that candidates are not to be listened to. A leader that has lost its
// majority stops being one by CheckQuorum.
bool Raft::hears_a_leader() const {
  if (mutant_active(Mutant::kRemovedNodeDisrupts)) return false;
  if (role_ == RaftRole::kLeader) return true;
  // With leases that is a promise, which holds whatever was learnt since (lease.cc).
  const bool heard = options_.lease_drift_bound.has_value() || !leader_.is_none();
  return heard && now_ - last_heard_leader_ < options_.election_timeout;
}

// Votes count once they are durable. A node whose disk is behind, be it with its own vote or one for another, does not
// stand (again) before the disk has caught up: where disks are slower than the timeout, each candidacy would be given
// up before it can be won, and add to what the disks have to do.
void Raft::on_election_timeout() {
  if (persisted_batch_ < last_batch_) {
    election_deadline_ = now_ + election_wait_;
    return;
  }
  if (role_ == RaftRole::kCandidate) ++expired_candidacies_;
  campaign();
}

// A learner, or one who was removed, goes on listening. But while a node does not know that the configuration without it
// is committed, it may be the only one that can finish the change: the others may need its vote, which it refuses them
// if their logs are shorter (thesis, 4.2.2). It does not count itself.
bool Raft::may_stand() const {
  if (!is_counted() && !forms()) return false;
  if (quorum_.contains(options_.self)) return true;
  return !is_configuration_committed() && log_.configurations().at(commit_).configuration.is_voter(options_.self);
}

// Asks whether an election could be won, without entering a new term: a node that cannot win disturbs nobody.
void Raft::become_pre_candidate() {
  leave_role();
  role_ = RaftRole::kPreCandidate;
  leader_ = NodeId();
  restart_election_timer();
  request_votes(MessageKind::kPreVote, term_.next(), Campaign::kOwn);
  count_vote(options_.self, true);
}

void Raft::become_candidate(Campaign campaign) {
  leave_role();
  role_ = RaftRole::kCandidate;
  leader_ = NodeId();
  ++term_;
  voted_for_ = options_.self;
  hard_state_dirty_ = true;
  restart_election_timer();
  election_deadline_ += election_wait_ * ((1 << std::min(expired_candidacies_, kMaxCandidacyDoublings)) - 1);
  request_votes(MessageKind::kVote, term_, campaign);
  cast_own_vote();
}

void Raft::cast_own_vote() {
  Message own_vote = make_message(MessageKind::kVoteReply, options_.self);
  own_vote.to_store = store_;
  send_when_durable(std::move(own_vote));
}

// A candidacy claims a term and a log, and must not outlive either: if this node forgot them in a crash and stood again
// in the same term with a shorter log, a vote given to the first candidacy would be counted for the second.
void Raft::request_votes(MessageKind kind, Term term, Campaign campaign) {
  for (const NodeId voter : quorum_.voters()) {
    if (voter == options_.self) continue;
    Message request = make_message(kind, voter);
    request.term = term;
    request.log = log_.last();
    request.transfer = campaign == Campaign::kTransfer;
    request.to_store = configuration().store_of(voter);
    if (kind == MessageKind::kVote) {
      send_when_durable(std::move(request));
    } else {
      send(std::move(request));
    }
  }
}

void Raft::handle_vote_request(const Message& message) {
  const bool pre_vote = message.kind == MessageKind::kPreVote;
  const bool has_voted_so = voted_for_ == message.from && !has_answered_another_store(message);
  const bool free_to_vote = has_voted_so || (voted_for_.is_none() && leader_.is_none()) ||
                            (pre_vote && message.term > term_) || mutant_active(Mutant::kVoteTwice);
  const bool has_a_say = may_vote_for(message);
  const bool has_enough = log_.is_up_to_date(message.log) || mutant_active(Mutant::kVoteForShorterLog);
  // Of a request for the term that this node is in. Others that it must not listen to do not come this far.
  const bool has_promised = options_.lease_drift_bound && hears_a_leader() && !message.transfer;
  const bool granted = has_a_say && free_to_vote && has_enough && !has_promised;
  Message reply = make_message(pre_vote ? MessageKind::kPreVoteReply : MessageKind::kVoteReply, message.from);
  reply.reject = !granted;
  reply.to_store = message.from_store;
  if (!granted) {
    DOGFS_COVERAGE_MARK("raft: a vote or PreVote refused");
    return send(std::move(reply));
  }
  if (pre_vote) {
    // It binds nobody: the grant says what would be done in that term.
    reply.term = message.term;
    return send(std::move(reply));
  }
  if (voted_for_ != message.from) {
    voted_for_ = message.from;
    voted_store_ = message.from_store;
    hard_state_dirty_ = true;
  }
  restart_election_timer();
  send_when_durable(std::move(reply));
}

void Raft::handle_vote_reply(const Message& message) {
  const bool pre_vote = message.kind == MessageKind::kPreVoteReply;
  if (role_ != (pre_vote ? RaftRole::kPreCandidate : RaftRole::kCandidate)) return;
  // A grant of an earlier PreVote says nothing about this one.
  if (pre_vote && !message.reject && message.term != term_.next()) {
    DOGFS_COVERAGE_MARK("raft: PreVote grant of an earlier term ignored");
    return;
  }
  if (forms() && !message.reject) {
    // A vote that an earlier store of this node was given says nothing about this one.
    if (message.to_store != store_ || message.from_store.is_none()) return;
    founders_.emplace(message.from, message.from_store);
  }
  count_vote(message.from, !message.reject);
}

void Raft::count_vote(NodeId voter, bool granted) {
  votes_.emplace(voter, granted);
  switch (election_result()) {
    case VoteResult::kPending:
      return;
    case VoteResult::kLost:
      DOGFS_COVERAGE_MARK("raft: an election lost");
      return become_follower(term_, NodeId());
    case VoteResult::kWon:
      if (role_ == RaftRole::kPreCandidate) return become_candidate(Campaign::kOwn);
      return forms() ? found_group() : become_leader();
  }
}

// A candidate does not win before its own vote is durable.
VoteResult Raft::election_result() const {
  if (forms()) return founders_result();
  const VoteResult result = quorum_.result(votes_);
  return result == VoteResult::kWon && !votes_.contains(options_.self) ? VoteResult::kPending : result;
}

void Raft::become_leader() {
  DOGFS_CHECK(role_ == RaftRole::kCandidate && voted_for_ == options_.self);
  leave_role();
  role_ = RaftRole::kLeader;
  leader_ = options_.self;
  expired_candidacies_ = 0;
  receiving_.reset();  // a leader has all that anybody's snapshot includes
  add_progress_of_members(log_.last_index().next());
  heartbeat_deadline_ = next_heartbeat();
  tick_deadline_ = heartbeat_deadline_;
  // Entries of earlier terms commit behind one of this term, so there must be one (5.4.2; thesis, 6.4).
  append_own(EntryType::kNoop, nullptr);
  broadcast_appends();
}

void Raft::check_quorum() {
  const MonoTime last_quorum = quorum_.reached(
      [this](NodeId voter) { return voter == options_.self ? now_ : progress_.at(voter).last_contact(); });
  if (now_ - last_quorum > options_.election_timeout) {
    DOGFS_COVERAGE_MARK("raft: leader stepped down without a quorum");
    become_follower(term_, NodeId());
  }
}

// A leader applies nothing that it could still lose. While its disk hangs, whoever asks it waits, although the others may
// have committed long ago; and since heartbeats need no disk, nobody would replace it. It goes where they can do without
// it.
void Raft::check_disk() {
  if (role_ != RaftRole::kLeader || applied_at_.empty() || now_ - disk_moved_ <= options_.disk_patience) return;
  const MonoTime others = quorum_.reached(
      [this](NodeId voter) { return voter == options_.self ? MonoTime() : progress_.at(voter).last_contact(); });
  const NodeId successor = best_successor();
  if (successor.is_none() || now_ - others > options_.election_timeout) return;
  DOGFS_COVERAGE_MARK("raft: a leader whose disk hung stepped down");
  tell_to_stand(successor);
  become_follower(term_, NodeId());
}

}  // namespace dogfs::raft
