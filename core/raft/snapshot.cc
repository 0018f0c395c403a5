// Compaction of the log (Ongaro's thesis, chapter 5).
#include <algorithm>

#include "core/raft/raft.h"

namespace dogfs::raft {

// It rides with a batch that is written anyway.
std::optional<LogCompaction> Raft::compact() {
  const LogIndex base = log_.base().index;
  const CompactionInputs inputs{base, std::min(durable_state_, log_.durable()), acknowledged_by_live_followers()};
  const LogIndex target = compaction_target(log_.sizes(), inputs, options_.compaction);
  if (target == base) return std::nullopt;
  log_.compact_to(target);
  return LogCompaction{base.next(), log_.base(), log_.configurations().items().front()};
}

std::optional<LogIndex> Raft::acknowledged_by_live_followers() const {
  if (role_ != RaftRole::kLeader) return std::nullopt;
  LogIndex acknowledged = log_.last_index();
  for (const auto& [peer, progress] : progress_) {
    if (is_silent(progress)) continue;
    acknowledged = std::min(acknowledged, progress.match());
  }
  return acknowledged;
}

}  // namespace dogfs::raft
