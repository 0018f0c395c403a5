// Raft as a pure step machine: inputs go in, effects come out (Ongaro and Ousterhout, "In Search of an Understandable
// Consensus Algorithm", 2014, and Ongaro's thesis; the shape is that of etcd-io/raft).
//
// The machine does no I/O and reads no clock. Its owner feeds it time, messages, proposals and the completions of its
// own earlier effects, then takes and carries out the effects. Whatever the owner delays, the machine stays right:
//   - A disk write is an effect (PersistBatch) and its completion an input (persisted). Batches are written in order.
//   - A message that promises something about this node's disk (a vote, an append's acceptance, a candidacy) is held
//   back
//     until what it promises is durable. Others leave at once: so a leader writes to its disk in parallel with its
//     followers (thesis, 10.2.1), and counts itself for an entry only when its own write is done.
//   - Entries are handed out for applying when they are committed and durable here.
//
// Elections use PreVote (thesis, 9.6), CheckQuorum (6.2: a leader that cannot reach a majority for an election timeout
// steps down) and leader stickiness (4.2.3: who hears from a leader ignores candidates), so a node that was cut off
// does not disrupt those who were not.
//
// Invariants (checked here; those over several nodes are in core/raft/invariants.h):
//   1. term, and the vote within a term, never go back; neither does commit
//   2. applied <= handed to apply <= min(commit, durable), and commit <= last index
//   3. only entries of the leader's own term are committed by counting (5.4.2)
//   4. nothing committed is ever truncated at the end, nothing dropped at the front that is not durably applied
//
// Membership changes go through configuration entries (core/raft/configuration.h): a learner joins in one step, voters
// change by joint consensus. The leader leaves the joint configuration by itself when it is committed, and steps down
// when it is no voter of what follows. Votes and appends are taken from nodes that this one does not know, since they
// may know more (thesis, 4.1); answers from strangers are ignored. A member that answers from another store than it became
// a voter with has lost its disk, and is a stranger too; how that is told, and how a group is formed so that it can be,
// is in core/raft/formation.cc.
//
// A follower that lacks entries which the leader has dropped is sent the leader's state, in parts (core/raft/snapshot.cc).
// It puts them beside its own state, and when all are durable, its log begins anew behind them and the new state
// replaces the old. What is staged outlives a restart, and the transfer goes on behind it; where that cannot be, since
// its leader is followed by another or the log has come up to it in another way, it is to be discarded (wants_staged()).
//
// Limits: an append carries at most max_append_bytes (or one entry); a follower has at most `flow` under way; proposals
// are refused beyond max_uncommitted_bytes; entries in memory beyond max_cached_bytes are read back by LogFetch.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/raft/compaction.h"
#include "core/raft/configuration.h"
#include "core/raft/log.h"
#include "core/raft/progress.h"
#include "core/raft/read_queue.h"
#include "core/raft/types.h"

namespace dogfs::raft {

struct Options {
  GroupId group;
  NodeId self;
  Duration heartbeat_interval = milliseconds(50);
  // Each wait is drawn from [election_timeout, 2 * election_timeout).
  Duration election_timeout = milliseconds(300);
  // By how much the clocks of two members may part over an election timeout. Given on all members, or on none: leaders
  // then answer reads from their lease (core/raft/lease.cc), which is wrong where clocks drift further. Below
  // election_timeout - heartbeat_interval, or no lease is ever held.
  std::optional<Duration> lease_drift_bound;
  // The random bits that all waits are derived from: one draw of stream "raft.election".
  uint64_t election_seed = 0;

  EntryLimits append{kMaxAppendBytes, kMaxEntriesPerAppend};
  EntryLimits apply{kMaxApplyBytes, kMaxEntriesPerApply};
  FlowLimits flow{kMaxInflightAppends, kMaxInflightAppendBytes};
  size_t max_uncommitted_bytes = kMaxUncommittedBytes;
  size_t max_cached_bytes = kMaxLogCacheBytes;
  CompactionLimits compaction;
  // How long a leader keeps a snapshot for a follower that has fallen silent: enough for a process that restarts, and
  // opens its store, to come back for the rest.
  Duration snapshot_patience = seconds(10);
  // How long a leader waits for its disk to finish anything before it hands over to those whose disks work.
  Duration disk_patience = seconds(5);
};

// What the store had at start (core/raft/raft_store.h). A new node's log is empty; its configurations then begin with the
// group's first one, or with none where it waits to be added.
struct Restored {
  HardState hard_state;
  ConfigurationHistory configurations;
  TermRuns terms;
  LogSizes sizes;
  std::deque<Entry> tail;
  LogIndex applied;  // as the state machine remembers it
  // Of a snapshot whose transfer was interrupted.
  std::optional<StagedParts> staged = std::nullopt;
  // This node's. None: it takes part without one, and is not told from another of its id.
  StoreId store = StoreId();
};

// The log is to begin behind `base`: entries from `first` to there are dropped.
struct LogCompaction {
  LogIndex first;
  LogPosition base;
  ConfigurationHistory::Item configuration;  // in effect at the base
};

// To be written in one atomic, synced write, behind all batches of lower numbers.
struct PersistBatch {
  uint64_t number = 0;
  HardState hard_state;
  std::optional<LogIndex> truncate_from;  // erase every entry from here on, first
  std::vector<Entry> entries;
  LogPosition last;  // where the log ends after this batch
  std::optional<LogCompaction> compaction;
  // With this batch the snapshot that was staged becomes the state: what it includes. The log then begins behind it.
  std::optional<LogPosition> install;
};

// A part of the state that is to be sent to `peer` and given to snapshot_read().
struct SnapshotRead {
  NodeId peer;
  uint64_t snapshot = 0;
  // 0: of a new view of the state, for which snapshot_opened() is called first, or of the same again.
  uint64_t chunk = 0;
};

// A part of a snapshot that is to be made durable beside the state, behind the parts before it, then confirmed by
// snapshot_staged(). Part 0 replaces all that was staged before. The same write says whose part it is (StagedParts),
// but for the last part.
struct SnapshotStage {
  uint64_t transfer = 0;
  SnapshotId snapshot;
  std::shared_ptr<const SnapshotChunk> chunk;
};

// Entries that are needed but not in memory any more: to be read from the store and given to fetched().
struct LogFetch {
  NodeId peer;  // the follower that lacks them; none: they are to be applied here
  LogIndex first;
  LogIndex last;  // at most
  EntryLimits limits;
};

struct Effects {
  std::vector<Message> messages;  // to be sent, in this order to each peer
  std::optional<PersistBatch> persist;
  // To be applied, then confirmed by applied(). No more come before that.
  std::vector<Entry> committed;
  std::vector<LogFetch> fetches;
  std::vector<SnapshotRead> snapshot_reads;
  std::optional<SnapshotStage> stage;
  // What was staged is to take the place of the state; then snapshot_installed(). Nothing is to be applied meanwhile.
  std::optional<LogPosition> install;
  std::vector<CompletedReads> reads;
  std::vector<uint64_t> failed_reads;  // leadership was lost: nothing is known
  // Messages that no correct member sends, which were ignored; in words.
  std::vector<std::string> violations;

  bool empty() const;
};

struct Proposed {
  LogIndex first;
  Term term;
  size_t accepted = 0;  // so many of the batch, from its beginning; the rest is kOverloaded
};

// A follower's snapshot on its way here.
struct SnapshotReceiving {
  uint64_t transfer = 0;  // this node's number of it
  SnapshotId snapshot;
  uint64_t next_chunk = 0;
  bool staging = false;  // that part is being made durable
  bool complete = false;
  ConfigurationHistory::Item configuration{};  // as of the latest part
};

// The log begins behind a snapshot that is not the state yet.
struct SnapshotInstalling {
  LogPosition position;
  LogIndex first;      // where the log began before
  uint64_t batch = 0;  // which makes it so; 0: it is not handed out yet
};

class Raft {
 public:
  // Precondition: 3 * heartbeat_interval <= election_timeout.
  Raft(const Options& options, Restored restored, MonoTime now);

  // --- Inputs
  void tick(MonoTime now);
  void step(MonoTime now, const Message& message);
  // Starts an election as if the timeout had passed. Nothing happens on a leader, or on who has no vote.
  void campaign();
  // Appends commands to the log of a leader. kNotLeader, or kOverloaded when none was taken.
  Result<Proposed> propose(std::vector<Command> commands);
  // Begins a change of membership and returns where its entry is. It is complete when a configuration that is not joint
  // is committed there or behind. What is in effect already is not begun again: its entry is returned. Nothing is begun
  // when it fails with
  //   kNotLeader
  //   kBusy             not yet: this term has committed nothing, or a learner that is to vote is silent or behind
  //   kConflict         another change is under way, or too few of the new voters are alive to go on with
  //   kInvalidArgument, kLimitExceeded  see begin_change()
  Result<LogPosition> change_membership(const MembershipChange& change);
  // Begins to hand leadership to `target`; no proposals are taken until that is done, or given up after an election
  // timeout (transfer_target() is then none). Fails with kNotLeader, kInvalidArgument (no voter), kConflict (it is
  // silent, or a change of membership is under way), kBusy (it is being handed to another).
  Status transfer_leadership(NodeId target);
  // Asks for proof of leadership; `context` comes back in Effects::reads or failed_reads. kNotLeader.
  Status read_index(uint64_t context);
  // All batches up to `batch` are durable.
  void persisted(uint64_t batch);
  // The effects of entries up to `index` are in the state machine.
  void applied(LogIndex index);
  // The answer to `fetch`: at least its first entry, without gaps.
  void fetched(const LogFetch& fetch, std::vector<Entry> entries);

  // A view of the state was taken in which exactly applied() is applied, for the snapshot that `read` asks for. False:
  // it is not wanted any more.
  bool snapshot_opened(const SnapshotRead& read);
  // The answer to `read`: the part's rows, and whether there is none behind it.
  void snapshot_read(const SnapshotRead& read, std::string rows, bool last);
  // The part is not one of this group's state: the leader is to begin again.
  void snapshot_refused(const SnapshotStage& stage);
  // The part is durable.
  void snapshot_staged(const SnapshotStage& stage);
  // The state is that of `position`, durably.
  void snapshot_installed(LogPosition position);

  // --- Effects
  Effects take_effects();
  // When tick() must be called next, at the latest.
  MonoTime next_deadline() const { return role_ == RaftRole::kLeader ? tick_deadline_ : election_deadline_; }

  // --- State
  const Options& options() const { return options_; }
  StoreId store() const { return store_; }
  // Whether this node's store is new, and nobody has told it yet that its group exists, or that it is in it.
  bool forms() const;
  // Whether this node is the member that it became, as far as it knows: false on one that lost its disk.
  bool is_counted() const;
  // In effect here: the latest in the log.
  const Configuration& configuration() const { return log_.configurations().latest(); }
  bool is_configuration_committed() const { return log_.configurations().latest_index() <= commit_; }
  RaftRole role() const { return role_; }
  Term term() const { return term_; }
  NodeId voted_for() const { return voted_for_; }
  NodeId leader() const { return leader_; }  // none where unknown
  LogIndex commit() const { return commit_; }
  LogIndex applied() const { return applied_; }
  // Whether entries were handed out that are not confirmed by applied(): the state may have more of them, or not.
  bool is_applying() const { return applied_ < handed_; }
  // Up to here the effects of the log are in the state machine, or in the snapshot that replaces it, and no crash takes
  // them away.
  LogIndex durable_state() const { return installing_ ? installing_->position.index : durable_state_; }
  // Whether a snapshot has begun to replace the state.
  bool is_installing() const { return installing_.has_value(); }
  // Whether what is staged of a snapshot is of use. Otherwise, once no SnapshotStage is under way, it is to be erased.
  bool wants_staged() const { return receiving_.has_value() || installing_.has_value(); }
  // Whether the snapshot that `read` is of is still on its way.
  bool is_sending(const SnapshotRead& read) const;
  const Log& log() const { return log_; }
  const std::map<NodeId, Progress>& progress() const { return progress_; }
  // To whom leadership is being handed; none: to nobody.
  NodeId transfer_target() const { return transfer_ ? transfer_->target : NodeId(); }
  // The live voter with the most of the log, beside this leader; none where nobody is alive.
  NodeId best_successor() const;
  // Whether a read may be answered now without asking anybody.
  bool holds_lease() const;
  // The number of the latest PersistBatch that was handed out.
  uint64_t last_batch() const { return last_batch_; }

 private:
  // A message that waits until batch `batch` is durable.
  struct HeldMessage {
    uint64_t batch;
    Message message;
  };
  // What was applied when batch `batch` was handed out: durable with it, since state and log share one ordered store.
  struct AppliedAt {
    uint64_t batch;
    LogIndex applied;
  };
  enum class Send : uint8_t { kIfEntries, kAlways };
  enum class Campaign : uint8_t { kOwn, kTransfer };
  struct Transfer {
    NodeId target;
    MonoTime deadline;
  };

  // raft.cc: time, terms, roles, persistence
  void advance_clock(MonoTime now);
  bool is_addressed_here(const Message& message) const;
  bool is_answer_of_a_stranger(const Message& message) const;
  bool enter_higher_term(const Message& message);
  void answer_lower_term(const Message& message);
  void dispatch(const Message& message);
  void become_follower(Term term, NodeId leader);
  void leave_role();
  Message make_message(MessageKind kind, NodeId to) const;
  void send(Message message) { effects_.messages.push_back(std::move(message)); }
  void send_when_durable(Message message);
  void release_durable();
  bool needs_persist() const { return hard_state_dirty_ || log_.has_unstable(); }
  void take_persist_batch();
  void take_committed();
  void hand_to_apply(std::vector<Entry> entries);
  void note_violation(const Message& message, std::string_view what);

  // snapshot.cc
  std::optional<LogCompaction> compact();
  std::optional<LogIndex> acknowledged_by_live_followers() const;
  void begin_snapshot(NodeId peer);
  void go_on_with_snapshot(NodeId peer);
  void give_up_snapshots_to_lost_followers();
  void end_snapshot_that_arrived(Progress& progress, LogIndex acknowledged);
  void go_on_receiving(const StagedParts& staged);
  void give_up_receiving_in_vain();
  bool is_for_another_store(const SnapshotChunk& chunk) const;
  void handle_snapshot(const Message& message);
  void handle_snapshot_reply(const Message& message);
  void reply_to_snapshot(const SnapshotId& snapshot, uint64_t next_chunk);
  void acknowledge_snapshot(const SnapshotId& snapshot);
  void install_if_complete();
  void add_install(PersistBatch& batch);

  // formation.cc
  bool may_have_lost_store() const;
  bool may_vote_for(const Message& request) const;
  bool has_answered_another_store(const Message& request) const;
  VoteResult founders_result() const;
  void found_group();
  bool is_from_another_store(const Message& message) const;
  void note_store(const Message& message);

  // election.cc
  void restart_election_timer();
  bool hears_a_leader() const;
  void on_election_timeout();
  bool may_stand() const;
  void become_pre_candidate();
  void become_candidate(Campaign campaign);
  void cast_own_vote();
  VoteResult election_result() const;
  void become_leader();
  void request_votes(MessageKind kind, Term term, Campaign campaign);
  void handle_vote_request(const Message& message);
  void handle_vote_reply(const Message& message);
  void count_vote(NodeId voter, bool granted);
  void check_quorum();
  void check_disk();

  // replication.cc
  void follow(const Message& message);
  void handle_append(const Message& message);
  void handle_heartbeat(const Message& message);
  void handle_append_reply(const Message& message);
  void handle_heartbeat_reply(const Message& message);
  void append_own(EntryType type, Command command);
  void append_own(Entry entry);
  void broadcast_appends();
  void send_appends(NodeId peer);
  bool send_append(NodeId peer, Send mode);
  void send_entries(NodeId peer, std::vector<Entry> entries);
  void send_append_behind(NodeId peer, LogIndex previous, std::vector<Entry> entries);
  MonoTime next_heartbeat() const;
  void broadcast_heartbeat();
  void advance_commit();
  void commit_to(LogIndex index);
  // Whether the member has not answered for an election timeout.
  bool is_silent(const Progress& progress) const { return now_ - progress.last_contact() > options_.election_timeout; }
  bool committed_in_term() const { return log_.term_at(commit_) == term_; }
  void advance_reads();

  // membership.cc
  void adopt_configuration();
  void add_progress_of_members(LogIndex next);
  void go_on_with_membership();
  void let_go_of_former_members();
  void append_configuration(Configuration next);
  Status check_may_change() const;
  Status check_caught_up(const std::vector<NodeId>& promoted) const;
  Status check_live_quorum(const Configuration& next) const;

  // transfer.cc
  void go_on_with_transfer();
  void end_overdue_transfer();
  void tell_to_stand(NodeId successor);
  void handle_timeout_now(const Message& message);

  Options options_;
  // Of the configuration in effect, as it was adopted last.
  Quorum quorum_;
  uint64_t configuration_version_ = 0;

  // Time
  MonoTime now_;
  uint64_t timeouts_drawn_ = 0;
  Duration election_wait_{};
  MonoTime election_deadline_{};
  int expired_candidacies_ = 0;  // since a leader was heard of
  MonoTime tick_deadline_{};  // a leader's: what it looks after does not wait for its heartbeats, which reads may send
  MonoTime heartbeat_deadline_{};
  MonoTime last_heard_leader_;  // since the start at the earliest

  // Persistent state
  StoreId store_;
  Term term_;
  NodeId voted_for_;
  Log log_;
  bool hard_state_dirty_ = false;
  uint64_t last_batch_ = 0;       // the latest that was handed out
  uint64_t persisted_batch_ = 0;  // the latest that is durable

  // Volatile state
  RaftRole role_ = RaftRole::kFollower;
  NodeId leader_;
  LogIndex commit_;
  LogIndex applied_;
  LogIndex handed_;  // given out to be applied
  bool apply_fetching_ = false;
  LogIndex durable_state_;
  std::deque<AppliedAt> applied_at_;  // of the batches that are not durable yet
  MonoTime disk_moved_;               // when one became so, or one was handed to a disk without work

  // Voters
  StoreId voted_store_;  // of whom this node voted for, unless it has restarted since

  // Candidates
  std::map<NodeId, bool> votes_;
  std::map<NodeId, StoreId> founders_;  // of those who granted theirs to one that forms the group

  // Leaders
  // Of the other members, and of those who left by a configuration that is not committed yet: they are still told of it.
  std::map<NodeId, Progress> progress_;
  ByteWindow uncommitted_;
  ReadQueue reads_;
  std::optional<Transfer> transfer_;
  bool lease_revoked_ = false;  // somebody was told to stand in this term
  uint64_t snapshots_begun_ = 0;

  // Followers
  std::optional<SnapshotReceiving> receiving_;
  uint64_t transfers_ = 0;
  std::optional<SnapshotInstalling> installing_;

  std::deque<HeldMessage> held_;
  Effects effects_;
};

}  // namespace dogfs::raft
