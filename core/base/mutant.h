// Famous bugs as named switches, to measure the simulator: each must be caught (docs: `dogfs-sim run --mutant=…`).
//
// They exist only in a build tree configured with -DDOGFS_MUTANTS=ON; elsewhere mutant_active() is constant false and
// the switch leaves no trace in the program.
#pragma once

#include <cstdint>
#include <string_view>

namespace dogfs {

// X(name, spelling on the command line, the scenario that catches it, what goes wrong, where it happened (docs/mutants.md
// says whose numbers these are) and what forbids it: a section of the Raft paper or of Ongaro's thesis, or a promise of
// docs/architecture.md)
// clang-format off: a row a bug
#define DOGFS_MUTANT_LIST(X) \
  X(kAckBeforeSync, "ack-before-sync", "election_storm", "votes and appends are acknowledged before they are durable", "NATS #7564; 5.2, 5.3") \
  X(kVoteTwice, "vote-twice", "election_storm", "a second candidate of the same term is given a vote", "Camunda #5356; 5.2") \
  X(kForgetVote, "forget-vote", "election_storm", "a vote is not written to disk, only its term is", "hashicorp/raft #661; 5.2") \
  X(kVoteForShorterLog, "vote-for-shorter-log", "election_storm", "a vote is given to a candidate that lacks entries", "akka-raft #30; 5.4.1") \
  X(kMutePreVote, "mute-pre-vote", "one_down_after_storm", "a node whose PreVote is refused never learns of the new term: two can wait for ever", "etcd #8501") \
  X(kCommitOlderTerm, "commit-older-term", "flapping_link", "an entry of an older term is committed by counting its copies", "LogCabin #44; 5.4.2") \
  X(kCommitAlone, "commit-alone", "election_storm", "a leader commits what is on its own disk without its followers", "RedisLabs/raft #13; 5.3") \
  X(kCountUnsyncedSelf, "count-unsynced-self", "power_cut", "a leader counts itself for entries that its disk does not have yet", "etcd #14370") \
  X(kApplyBeforeDurable, "apply-before-durable", "power_cut", "entries are applied before the log is durable: a restart finds them ahead of it", "CubeFS #2419; 5.3") \
  X(kAppendWithoutMatch, "append-without-match", "election_storm", "an append is taken although the entry before it differs", "akka-raft #32; 5.3") \
  X(kTruncateWithoutConflict, "truncate-without-conflict", "election_storm", "an old append makes a follower drop what lies behind it", "CCF #5991; 5.3") \
  X(kCommitWithoutMatch, "commit-without-match", "election_storm", "a follower commits up to the leader's index a log that may not match", "ScyllaDB #9965, #10578") \
  X(kReadBeforeTermCommit, "read-before-term-commit", "election_storm", "a new leader serves reads before it has committed in its term", "etcd #7331") \
  X(kReadUnconfirmed, "read-unconfirmed", "deposed_leader", "a leader does not ask whether it still leads: one that was deposed serves reads", "etcd #741; 8; thesis 6.4") \
  X(kLeaseAcrossTransfer, "lease-across-transfer", "leases_and_transfers", "a leader keeps its lease when it has told another to stand for election", "TiKV #1593") \
  X(kLeaseTrustsClocks, "lease-trusts-clocks", "leases_and_drift", "a lease lasts as long as it would if all clocks ran alike", "etcd #6005; thesis 6.4.1") \
  X(kSnapshotWithoutSessions, "snapshot-without-sessions", "snapshots", "the sessions are missing from the snapshot: a request that is sent again runs again", "Atomix #341; thesis 6.3") \
  X(kSnapshotKeepsTail, "snapshot-keeps-tail", "stale_tail", "a follower that installs a snapshot keeps what its log has behind that, although it lacks the entry itself", "hashicorp/raft #697") \
  X(kRetryRunsTwice, "retry-runs-twice", "network_chaos", "a retried request is run again instead of being answered", "jetcd #1444; 8") \
  X(kSealBeforeSync, "seal-before-sync", "power_cut", "a sealed shard is acknowledged before it is durable", "HDFS-5042; P2") \
  X(kCommitUnsealed, "commit-unsealed", "crash_storm", "a block commit lists shards that were not sealed", "HDDS-15052; P2") \
  X(kCommitAtExactlyK, "commit-at-exactly-k", "crash_storm", "a block is acknowledged with no shard to spare", "HDFS-17365") \
  X(kReadUnchecked, "read-unchecked", "bit_rot", "a reader takes bytes without looking at their checksums", "MinIO #6563; P2") \
  X(kSyncWithoutCommit, "sync-without-commit", "append_and_sync", "a sync is acknowledged before the block that it ends is committed", "HDFS-4213") \
  X(kDecodeOrder, "decode-order", "servers_lost_during_read", "a decoder takes its inputs in another order than its matrix", "HADOOP-19180") \
  X(kPublishUnchecked, "publish-unchecked-repair", "servers_die_for_good", "a shard rebuilt as another index is published unchecked (three places at once: the rebuild, the check at its seal, the check at its publication)", "HDFS-15240") \
  X(kDecodeStaleGeneration, "decode-stale-generation", "bit_rot", "a repair takes whatever attempt at a shard a server has, spoilt or given up, and publishes what it makes of that (six checks are off at once: the name, the known damage, the CRC and the checksums of what is read, the CRC at the seal, the CRC at publication)", "SeaweedFS #6445; P2") \
  X(kPurgeUnreachable, "purge-unreachable", "servers_unreachable", "good shards of a block are deleted since others are unreachable", "MinIO #14053") \
  X(kDeleteUnconfirmed, "delete-unconfirmed", "emptied_successors", "what was replaced is deleted on the word of the map, without asking the server of what took its place", "HDFS-16420; P2") \
  X(kFinishStaleRepair, "finish-stale-repair", "second_failure_during_repair", "a repair is published that was given up and started anew", "HDFS-15240") \
  X(kRemovedNodeDisrupts, "removed-node-disrupts", "removed_while_away", "candidates ask nobody beforehand and voters do not stick to a leader: a removed node that was not told unseats one after the other", "LogCabin #56; thesis 4.2.3")
// clang-format on

enum class Mutant : uint8_t {
  kNone,
#define X(name, spelling, scenario, text, origin) name,
  DOGFS_MUTANT_LIST(X)
#undef X
};

constexpr std::string_view mutant_name(Mutant mutant) {
  switch (mutant) {
    case Mutant::kNone:
      return "none";
#define X(name, spelling, scenario, text, origin) \
  case Mutant::name:                              \
    return spelling;
      DOGFS_MUTANT_LIST(X)
#undef X
  }
  return "unknown";
}

#ifdef DOGFS_MUTANTS

inline constexpr bool kMutantsCompiledIn = true;
namespace internal {
inline Mutant active_mutant = Mutant::kNone;
}
// Process-wide; set before a run begins.
inline void set_active_mutant(Mutant mutant) {
  internal::active_mutant = mutant;
}
inline bool mutant_active(Mutant mutant) {
  return internal::active_mutant == mutant;
}

#else

inline constexpr bool kMutantsCompiledIn = false;
constexpr bool mutant_active(Mutant) {
  return false;
}

#endif

}  // namespace dogfs
