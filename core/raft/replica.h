// One member of one Raft group on a node: drives the pure step machine (core/raft/raft.h) with the ports.
//
// The step machine decides; the replica only moves: messages to the transport, entries to the KvStore (one write for
// all that is waiting), committed entries to the state machine, and ticks from the clock. Belongs to the node's
// executor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/raft/compaction.h"
#include "core/raft/state_machine.h"
#include "core/raft/types.h"

namespace dogfs {

namespace wire {
class RaftMessage;
}
namespace raft {
class Outbox;
class Raft;
}  // namespace raft

// What a node takes an empty store for.
enum class EmptyStore : uint8_t {
  kForms,    // its first start, and its group's: it forms it with all other first voters (core/raft/formation.cc)
  kJoins,    // its first start: it waits until the leader of a group that exists adds it, as a learner
  kRefused,  // a loss: it does not start
};

struct ReplicaOptions {
  GroupId group;
  NodeId self;
  // A new group: all its voters with their addresses, this node included. Afterwards the log knows who is in it, and
  // these are only addresses to begin with.
  std::map<NodeId, Address> voters;
  EmptyStore empty_store = EmptyStore::kForms;
  Duration heartbeat_interval = milliseconds(50);
  // Drawn anew for each wait from [election_timeout, 2 * election_timeout). Precondition: at least 3 heartbeats.
  Duration election_timeout = milliseconds(300);
  // A follower lets what is committed gather for so long before it applies it: nobody waits for it there, and one batch
  // costs little more than one command. It is what a new leader may have to catch up with.
  Duration follower_apply_interval = milliseconds(5);
  // raft::Options::lease_drift_bound.
  std::optional<Duration> lease_drift_bound;
  // Most bytes of entries in one append (a single larger entry goes alone). Small values make a lagging follower's log
  // grow in many steps, which is where the simulator looks for trouble.
  size_t max_append_bytes = kMaxAppendBytes;
  // How much of the log is kept (core/raft/compaction.h). Small values send followers snapshots that are hardly behind.
  raft::CompactionLimits log;
  // Entries that stay in memory once they are durable; older ones are read back from the store for who lacks them. Small
  // values have that happen to a short log.
  size_t max_cached_bytes = kMaxLogCacheBytes;
  // Bytes of commands that wait for their turn, and of entries that are not committed: more are refused. Small values let
  // few clients see that. Precondition: at least as many as any one command has, with kEntryOverheadBytes.
  size_t max_uncommitted_bytes = kMaxUncommittedBytes;
  // Rows in one part of a snapshot. Small values cut a small state into many parts, of which some are lost.
  size_t snapshot_part_bytes = kSnapshotChunkBytes;
};

struct ReplicaStatus {
  RaftRole role = RaftRole::kFollower;
  Term term;
  NodeId leader;  // none where unknown
  LogIndex commit;
  LogIndex applied;
  LogIndex last;
  // On the leader: how far each member's log is known to match.
  std::map<NodeId, LogIndex> match;
  // On the leader: when each other member last answered.
  std::map<NodeId, MonoTime> last_contact;
  // On the leader: those who answer from another store than they became voters with. They lost their disks, and are not
  // counted any more.
  std::set<NodeId> lost_stores;
};

class Replica {
 public:
  struct Hooks {
    // Time has come for something here: the owner calls tick() of this and of all its other replicas.
    std::function<void()> on_due;
    // Called once, when the store has failed: the node must end.
    std::function<void(Error)> on_fatal;
  };

  // What is passed must outlive the replica.
  Replica(Env& env, KvStore& store, StateMachine& machine, raft::Outbox& outbox, ReplicaOptions options, Hooks hooks);
  ~Replica();

  // Loads what was persisted and begins to take part. Call once. Fails with kCorrupt when the store has lost what this
  // node once acknowledged, and with kConflict when it belongs to another node or group of voters, or is empty and must
  // not be: the node must not take part, for it could vote twice.
  Task<Status> start();
  // Ends every wait with kShuttingDown and resumes when nothing of the replica runs any more.
  Task<void> stop();

  // Hands over a message for this group that came from the network. It waits for the next turn. `from` is where its
  // sender says that it listens; empty where it does not say.
  void receive(wire::RaftMessage message, const Address& from);

  // Handles at once what was received.
  void take_turn();

  // Does what is due by now, if anything is.
  void tick();

  // Replicates `command` and resumes with the state machine's reply once it is applied here. Fails with
  //   kNotLeader       it was certainly not appended here: ask status().leader
  //   kOverloaded      too much is uncommitted already: nothing was appended
  //   kLimitExceeded   it is larger than kMaxCommandBytes
  //   kOutcomeUnknown  leadership was lost, or the deadline passed, while it was under way: it may yet commit
  // A retry of the last kind is made safe by the client's session (exactly once at apply).
  Task<Result<std::string>> propose(std::string command, MonoTime deadline);

  // ReadIndex (Ongaro's thesis, 6.4): resumes once this node was certainly leader at a moment after the call, and has
  // applied all that was committed by then. A snapshot of the store taken after it is linearizable.
  // Fails with kNotLeader, kTimeout.
  Task<Result<LogIndex>> read_barrier(MonoTime deadline);

  // A command is answered as soon as its reply is certain, which is a moment before its effect is in the store. Resumes
  // when the effects of all commands that were answered here are: a read behind it sees what this node's callers were
  // told. (It proves nothing about other nodes: that is what read_barrier is for.)
  Task<void> answers_visible();

  // Somebody beside the replica found that the store has failed: this ends as if the replica had.
  void store_failed(Error error);

  ReplicaStatus status() const;
  // The same as in status(), at no cost.
  bool is_leader() const;
  NodeId leader() const;
  LogIndex applied() const;

  // Called (not inline) with each change of role, term or leader.
  void on_change(std::function<void(const ReplicaStatus&)> observer);

  // Changes who is in the group (core/raft/configuration.h), and resumes when that is committed and no joint
  // configuration is left. What is in effect or under way already counts as done by this call. Fails as
  // raft::Raft::change_membership, and with
  //   kConflict        leadership was lost and the change was taken back
  //   kOutcomeUnknown  the deadline passed, or this node stops, while it was under way
  Task<Status> change_membership(raft::MembershipChange change, MonoTime deadline);

  // Hands leadership to `target` (none: to the live voter with the most of the log) and resumes when this node leads no
  // more. Fails as raft::Raft::transfer_leadership, and with kConflict when nobody has taken it in an election timeout.
  Task<Status> transfer_leadership(NodeId target, MonoTime deadline);

  // Where `node` is dialled; empty where that is not known.
  Address address_of(NodeId node) const;

  // The step machine, for checks and displays; null before start() has succeeded.
  const raft::Raft* raft() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dogfs
