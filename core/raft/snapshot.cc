// Compaction of the log, and snapshots of the state for those who lack what was dropped (Ongaro's thesis, chapter 5).
//
// A snapshot is the rows of the state machine at one applied index, read from a frozen view of the store while commands
// go on being applied. It travels in parts, each of which the follower makes durable beside its own state before it asks
// for the next; a part or an answer that is lost is sent again, and a follower that restarts goes on behind the parts
// that it has, while its leader keeps the view. The position is committed, so a follower that has that
// entry needs none of it. Another drops its whole log, whose end the leader's contradicts or does not reach: only then
// does it acknowledge the position, and only then does the new state take the place of the old. Up to that batch it has
// what it had; from it on, a crash finds the snapshot whole.
#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

// --- Compaction -----------------------------------------------------------------------------------------------------

// It rides with a batch that is written anyway.
std::optional<LogCompaction> Raft::compact() {
  const LogIndex base = log_.base().index;
  const CompactionInputs inputs{base, std::min(durable_state_, log_.durable()), acknowledged_by_live_followers()};
  const LogIndex target = compaction_target(log_.sizes(), inputs, options_.compaction);
  if (target == base) return std::nullopt;
  DOGFS_COVERAGE_MARK("raft: log compacted");
  log_.compact_to(target);
  return LogCompaction{base.next(), log_.base(), log_.configurations().items().front()};
}

// Who is sent a snapshot needs nothing before its position, but what is behind it, also if it is away for a moment.
std::optional<LogIndex> Raft::acknowledged_by_live_followers() const {
  if (role_ != RaftRole::kLeader) return std::nullopt;
  LogIndex acknowledged = log_.last_index();
  for (const auto& [peer, progress] : progress_) {
    if (is_silent(progress) && !progress.snapshot()) continue;
    const LogIndex covered = progress.snapshot() ? progress.snapshot()->position.index : LogIndex();
    acknowledged = std::min(acknowledged, std::max(progress.match(), covered));
  }
  return acknowledged;
}

// --- Leader ---------------------------------------------------------------------------------------------------------

void Raft::begin_snapshot(NodeId peer) {
  // A state that is being replaced has no position; the next sign of life begins it.
  if (installing_) return;
  DOGFS_COVERAGE_MARK("raft: snapshot begun");
  progress_.at(peer).begin_snapshot(++snapshots_begun_);
  effects_.snapshot_reads.push_back(SnapshotRead{peer, snapshots_begun_, 0});
}

bool Raft::is_sending(const SnapshotRead& read) const {
  const auto found = progress_.find(read.peer);
  return role_ == RaftRole::kLeader && found != progress_.end() && found->second.snapshot() &&
         found->second.snapshot()->number == read.snapshot;
}

bool Raft::snapshot_opened(const SnapshotRead& read) {
  if (!is_sending(read)) return false;
  DOGFS_CHECK(!installing_ && read.chunk == 0);
  SnapshotSending& sending = *progress_.at(read.peer).snapshot();
  sending.position = LogPosition{applied_, log_.term_at(applied_)};
  sending.configuration = log_.configurations().at(applied_);
  return true;
}

void Raft::snapshot_read(const SnapshotRead& read, std::string rows, bool last) {
  if (!is_sending(read)) return;
  SnapshotSending& sending = *progress_.at(read.peer).snapshot();
  if (sending.chunk != read.chunk || !sending.reading) return;
  sending.reading = false;
  sending.last = last;
  sending.sent_at = now_;
  SnapshotChunk chunk;
  chunk.number = read.chunk;
  chunk.last = last;
  chunk.configuration = sending.configuration;
  chunk.rows = std::move(rows);
  Message message = make_message(MessageKind::kSnapshot, read.peer);
  message.log = sending.position;
  message.snapshot = sending.number;
  message.chunk = std::make_shared<const SnapshotChunk>(std::move(chunk));
  send(std::move(message));
}

void Raft::handle_snapshot_reply(const Message& message) {
  const auto found = progress_.find(message.from);
  if (role_ != RaftRole::kLeader || found == progress_.end()) return;
  Progress& progress = found->second;
  progress.contacted(now_);
  if (!progress.snapshot() || progress.snapshot()->number != message.snapshot) return;
  SnapshotSending& sending = *progress.snapshot();
  if (sending.reading) return;
  if (message.next_chunk == 0 && sending.chunk > 0) {
    DOGFS_COVERAGE_MARK("raft: follower has forgotten a snapshot");
    return begin_snapshot(message.from);
  }
  if (message.next_chunk != sending.chunk + 1 || sending.last) return;
  ++sending.chunk;
  sending.patience = {};
  sending.reading = true;
  effects_.snapshot_reads.push_back(SnapshotRead{message.from, sending.number, sending.chunk});
}

// The follower lives. What it has not answered for long is sent again: it, or the answer, was lost; or its disk takes its
// time, and then longer and longer. It is the same part of the same view, also the first: with another one the follower
// would drop what it is writing, and never come to an answer that counts.
void Raft::go_on_with_snapshot(NodeId peer) {
  SnapshotSending& sending = *progress_.at(peer).snapshot();
  const Duration patience = std::max(2 * sending.patience, options_.election_timeout);
  if (sending.reading || now_ - sending.sent_at < patience) return;
  DOGFS_COVERAGE_MARK("raft: part of a snapshot sent again");
  sending.patience = std::min(patience, options_.snapshot_patience / 4);
  sending.reading = true;
  effects_.snapshot_reads.push_back(SnapshotRead{peer, sending.number, sending.chunk});
}

// Who has restarted comes back for the rest. But a view that is held open costs the store what is deleted and
// overwritten meanwhile.
void Raft::give_up_snapshots_to_lost_followers() {
  for (auto& [peer, progress] : progress_) {
    if (!progress.snapshot() || now_ - progress.last_contact() <= options_.snapshot_patience) continue;
    DOGFS_COVERAGE_MARK("raft: snapshot given up");
    progress.end_snapshot();
  }
}

// Where the log was dropped beyond the snapshot meanwhile, another one follows.
void Raft::end_snapshot_that_arrived(Progress& progress, LogIndex acknowledged) {
  if (!progress.snapshot()) return;
  const LogIndex position = progress.snapshot()->position.index;
  const bool arrived = !position.is_none() && acknowledged >= position;
  if (arrived || acknowledged >= log_.base().index) progress.end_snapshot();
}

// --- Follower -------------------------------------------------------------------------------------------------------

// What a restart has left. Whether its leader still has the view is seen by what comes next.
void Raft::go_on_receiving(const StagedParts& staged) {
  receiving_.emplace();
  receiving_->transfer = ++transfers_;
  receiving_->snapshot = staged.snapshot;
  receiving_->next_chunk = staged.parts;
}

// The leader of an earlier term sends no more parts. What has arrived whole is a state of the group all the same.
void Raft::give_up_receiving_in_vain() {
  if (!receiving_ || receiving_->complete) return;
  const SnapshotId& snapshot = receiving_->snapshot;
  if (snapshot.term == term_ && snapshot.position.index > commit_) return;
  DOGFS_COVERAGE_MARK("raft: parts of a snapshot discarded");
  receiving_.reset();
}

// The leader has not heard yet that this node lost the store that the group counts: what it answers would be a stranger's,
// so that the rest would never come.
bool Raft::is_for_another_store(const SnapshotChunk& chunk) const {
  const StoreId counted = chunk.configuration.configuration.store_of(options_.self);
  return !counted.is_none() && counted != store_;
}

void Raft::handle_snapshot(const Message& message) {
  if (is_for_another_store(*message.chunk)) {
    DOGFS_COVERAGE_MARK("raft: a snapshot for the store that this node has lost ignored");
    return;
  }
  const SnapshotId snapshot{message.from, message.term, message.snapshot, message.log};
  if (message.log.index <= commit_ || log_.contains(message.log)) {
    DOGFS_COVERAGE_MARK("raft: snapshot not needed");
    receiving_.reset();
    return acknowledge_snapshot(snapshot);
  }
  // The place where parts are staged is in use. The leader will send this one again.
  if (installing_) return;
  const bool same_leader =
      receiving_ && receiving_->snapshot.leader == snapshot.leader && receiving_->snapshot.term == snapshot.term;
  if (same_leader && snapshot.number < receiving_->snapshot.number) return;
  if (!receiving_ || receiving_->snapshot != snapshot) {
    if (message.chunk->number != 0) return reply_to_snapshot(snapshot, 0);
    receiving_.emplace();
    receiving_->transfer = ++transfers_;
    receiving_->snapshot = snapshot;
  }
  // What is under way is answered when it is done.
  if (receiving_->staging || receiving_->complete) return;
  if (message.chunk->number != receiving_->next_chunk) return reply_to_snapshot(snapshot, receiving_->next_chunk);
  receiving_->configuration = message.chunk->configuration;
  receiving_->staging = true;
  effects_.stage = SnapshotStage{receiving_->transfer, snapshot, message.chunk};
}

void Raft::reply_to_snapshot(const SnapshotId& snapshot, uint64_t next_chunk) {
  if (snapshot.term != term_) return;
  Message reply = make_message(MessageKind::kSnapshotReply, snapshot.leader);
  reply.log = snapshot.position;
  reply.snapshot = snapshot.number;
  reply.next_chunk = next_chunk;
  send(std::move(reply));
}

// This log agrees with the leader's at least up to the snapshot's position.
void Raft::acknowledge_snapshot(const SnapshotId& snapshot) {
  commit_to(snapshot.position.index);
  if (snapshot.term != term_) return;
  Message reply = make_message(MessageKind::kAppendReply, snapshot.leader);
  reply.log.index = commit_;
  send_when_durable(std::move(reply));
}

void Raft::snapshot_refused(const SnapshotStage& stage) {
  if (receiving_ && receiving_->transfer == stage.transfer) receiving_.reset();
}

void Raft::snapshot_staged(const SnapshotStage& stage) {
  if (!receiving_ || receiving_->transfer != stage.transfer) return;
  DOGFS_CHECK(receiving_->staging && stage.chunk->number == receiving_->next_chunk);
  receiving_->staging = false;
  ++receiving_->next_chunk;
  receiving_->complete = stage.chunk->last;
  if (!receiving_->complete) return reply_to_snapshot(receiving_->snapshot, receiving_->next_chunk);
  install_if_complete();
}

// Waits until nothing is being applied to the state that is to go.
void Raft::install_if_complete() {
  if (!receiving_ || !receiving_->complete || installing_ || is_applying() || apply_fetching_) return;
  const SnapshotReceiving received = *std::exchange(receiving_, std::nullopt);
  const LogPosition position = received.snapshot.position;
  if (position.index > commit_ && !log_.contains(position)) {
    DOGFS_COVERAGE_MARK("raft: snapshot installed");
    installing_.emplace();
    installing_->position = position;
    installing_->first = log_.first_index();
    log_.reset(position, received.configuration);
    commit_to(position.index);
    hard_state_dirty_ = true;
    adopt_configuration();
    // It may have begun to stand for election while it applied the rest, and learn only now that it has no vote.
    if (role_ != RaftRole::kFollower && !may_stand()) become_follower(term_, NodeId());
  }
  acknowledge_snapshot(received.snapshot);
}

void Raft::add_install(PersistBatch& batch) {
  const LogPosition position = installing_->position;
  installing_->batch = batch.number;
  batch.truncate_from = installing_->first;
  batch.compaction = LogCompaction{installing_->first, position, log_.configurations().items().front()};
  batch.install = position;
}

void Raft::snapshot_installed(LogPosition position) {
  DOGFS_CHECK(installing_ && installing_->position == position);
  applied_ = handed_ = durable_state_ = position.index;
  installing_.reset();
}

}  // namespace dogfs::raft
