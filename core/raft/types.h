// The vocabulary of one Raft group: entries, messages and what a member must never forget.
//
// These are plain values. Copying an Entry shares its command, so one command serves the log, every follower's message
// and the write to disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/raft/configuration.h"

namespace dogfs {

enum class RaftRole : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

namespace raft {

enum class EntryType : uint8_t {
  kCommand,        // for the state machine
  kNoop,           // the first entry of a leader's term
  kConfiguration,  // who is in the group from here on
};

using Command = std::shared_ptr<const std::string>;

// What an entry costs in memory and in messages beside its command.
inline constexpr size_t kEntryOverheadBytes = 32;

struct Entry {
  LogIndex index;
  Term term;
  EntryType type = EntryType::kCommand;
  Command command;  // null for a no-op; a configuration's is its serialised form
  std::shared_ptr<const Configuration> configuration = nullptr;  // of an entry of that type

  std::string_view text() const { return command ? std::string_view(*command) : std::string_view(); }
  size_t bytes() const { return kEntryOverheadBytes + text().size(); }
};

// An entry named by its place. Two logs that share a position share all that is before it (log matching).
struct LogPosition {
  LogIndex index;
  Term term;
  bool operator==(const LogPosition&) const = default;
};

enum class MessageKind : uint8_t {
  kPreVote,
  kPreVoteReply,
  kVote,
  kVoteReply,
  kAppend,
  kAppendReply,
  kHeartbeat,
  kHeartbeatReply,
  kTimeoutNow,
  kSnapshot,
  kSnapshotReply,
};

// A part of the state machine's rows at one moment, in the order of their keys. All parts of one snapshot are as large,
// but for the last.
struct SnapshotChunk {
  uint64_t number = 0;  // from 0 on
  bool last = false;
  ConfigurationHistory::Item configuration;  // in effect at the snapshot's position
  std::string rows;                          // a serialised wire::RaftSnapshotRows
};

// No two snapshots that leaders ever begin are the same in all of it: a term has one leader, which counts them.
struct SnapshotId {
  NodeId leader;
  Term term;
  uint64_t number = 0;
  LogPosition position;  // the last entry whose effect is in it
  bool operator==(const SnapshotId&) const = default;
};

// What a member has staged of a snapshot, durably: its first `parts` parts, of which none is the last.
struct StagedParts {
  SnapshotId snapshot;
  uint64_t parts = 0;
  bool operator==(const StagedParts&) const = default;
};

// The fields are those of wire::RaftMessage (core/wire/raft.proto says which kind uses which).
struct Message {
  MessageKind kind = MessageKind::kHeartbeat;
  GroupId group;
  NodeId from;
  NodeId to;
  Term term;
  LogPosition log;
  LogIndex commit;
  std::vector<Entry> entries;
  bool reject = false;
  LogPosition hint;
  uint64_t read_round = 0;
  bool transfer = false;
  MonoTime sent_at{};
  StoreId from_store;
  StoreId to_store;
  // A snapshot by the leader's number in its term. Its position is in `log`.
  uint64_t snapshot = 0;
  std::shared_ptr<const SnapshotChunk> chunk = nullptr;
  uint64_t next_chunk = 0;
};

// What a member must never forget (Ongaro, figure 2), and a commit index that saves time at restart.
struct HardState {
  Term term;
  NodeId voted_for;
  LogIndex commit;
  bool operator==(const HardState&) const = default;
};

}  // namespace raft
}  // namespace dogfs
