// How far a log may be truncated at its front (Ongaro's thesis, chapter 5).
//
// What the state machine has applied durably is not needed here any more, but a follower that is a little behind is
// brought up faster by entries than by a snapshot, and a restarted one so finds the end of its log in its leader's. So a
// tail of the log stays, within limits. A leader keeps more than that for a follower that is alive and on its way, until
// a second, larger limit: a follower that cannot keep pace is better served by a snapshot than by a log without end.
#pragma once

#include <optional>

#include "core/base/limits.h"
#include "core/raft/log_sizes.h"

namespace dogfs::raft {

struct CompactionLimits {
  EntryLimits keep{kKeptLogBytes, kKeptLogEntries};  // the tail that stays in any case
  EntryLimits hold{kHeldLogBytes, kHeldLogEntries};  // the most that stays for followers; not below `keep`
};

struct CompactionInputs {
  LogIndex base;             // where the log begins now
  LogIndex durably_applied;  // the state machine has it, whatever happens
  // The last entry that every live follower has acknowledged; none on who does not lead.
  std::optional<LogIndex> acknowledged;
};

// Up to which entry the log is to be dropped; `base` where it is not worth a write yet.
LogIndex compaction_target(const LogSizes& sizes, const CompactionInputs& inputs, const CompactionLimits& limits);

}  // namespace dogfs::raft
