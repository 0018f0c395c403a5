#include "core/raft/compaction.h"

#include <algorithm>

namespace dogfs::raft {

namespace {

// A compaction drops at least a quarter of what is kept, so that its cost is shared by many entries.
constexpr size_t kStepsPerTail = 4;

bool is_worth_it(const LogSizes& sizes, LogIndex base, LogIndex target, EntryLimits keep) {
  if (target <= base) return false;
  const size_t entries = target.value() - base.value();
  return entries >= keep.max_entries / kStepsPerTail || sizes.bytes_up_to(target) >= keep.max_bytes / kStepsPerTail;
}

}  // namespace

LogIndex compaction_target(const LogSizes& sizes, const CompactionInputs& inputs, const CompactionLimits& limits) {
  LogIndex target = sizes.before_tail(limits.keep);
  if (inputs.acknowledged) {
    target = std::max(std::min(target, *inputs.acknowledged), sizes.before_tail(limits.hold));
  }
  target = std::min(target, inputs.durably_applied);
  return is_worth_it(sizes, inputs.base, target, limits.keep) ? target : inputs.base;
}

}  // namespace dogfs::raft
