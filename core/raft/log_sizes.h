// How many bytes the entries of a log take, those on the disk included.
//
// Kept as the running total at each entry, so that "where does a tail of so many bytes begin" is a binary search.
// Eight bytes an entry: compaction bounds how many there are.
#pragma once

#include <algorithm>
#include <deque>

#include "core/base/check.h"
#include "core/raft/types.h"

namespace dogfs::raft {

struct EntryLimits {
  size_t max_bytes = 0;
  size_t max_entries = 0;
};

class LogSizes {
 public:
  // An empty log behind entry `base`.
  explicit LogSizes(LogIndex base = LogIndex()) : base_(base) {}

  size_t entries() const { return ends_.size(); }
  size_t bytes() const { return static_cast<size_t>(end() - dropped_); }

  void append(size_t bytes) { ends_.push_back(end() + bytes); }
  // Precondition: `index` is behind the base.
  void truncate_from(LogIndex index) {
    DOGFS_CHECK(index > base_);
    const size_t kept = index.value() - base_.value() - 1;
    if (kept < ends_.size()) ends_.resize(kept);
  }
  // Precondition: base <= index <= last.
  void compact_to(LogIndex index) {
    DOGFS_CHECK(index >= base_ && index.value() - base_.value() <= ends_.size());
    for (; base_ < index; ++base_) {
      dropped_ = ends_.front();
      ends_.pop_front();
    }
  }

  // The bytes of the entries up to `index`. Precondition: base <= index <= last.
  size_t bytes_up_to(LogIndex index) const {
    const size_t count = index.value() - base_.value();
    return count == 0 ? 0 : static_cast<size_t>(ends_.at(count - 1) - dropped_);
  }

  // The first index such that what lies behind it is within `limits`.
  LogIndex before_tail(EntryLimits limits) const {
    const uint64_t total = end();
    const uint64_t floor = total - std::min<uint64_t>(total, limits.max_bytes);
    // Everything up to the first running total that is at least `floor` has to go, unless all may stay.
    size_t dropped = 0;
    if (floor > dropped_) {
      dropped = static_cast<size_t>(std::lower_bound(ends_.begin(), ends_.end(), floor) - ends_.begin()) + 1;
    }
    if (ends_.size() > limits.max_entries) dropped = std::max(dropped, ends_.size() - limits.max_entries);
    return LogIndex(base_.value() + dropped);
  }

 private:
  uint64_t end() const { return ends_.empty() ? dropped_ : ends_.back(); }

  LogIndex base_;
  uint64_t dropped_ = 0;       // the running total at the base
  std::deque<uint64_t> ends_;  // the running total behind each entry
};

}  // namespace dogfs::raft
