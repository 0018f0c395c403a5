#include "core/raft/term_runs.h"

#include <algorithm>

#include "core/base/check.h"

namespace dogfs::raft {

void TermRuns::append(Term term) {
  DOGFS_CHECK(!term.is_none() && term >= last_term(), "terms of a log never fall");
  ++last_;
  if (term != last_term()) runs_.push_back(Run{last_, term});
}

void TermRuns::truncate_from(LogIndex index) {
  DOGFS_CHECK(!index.is_none());
  while (!runs_.empty() && runs_.back().first >= index) runs_.pop_back();
  last_ = std::min(last_, index.previous());
}

size_t TermRuns::runs_up_to(LogIndex index) const {
  const auto behind = std::upper_bound(runs_.begin(), runs_.end(), index,
                                       [](LogIndex value, const Run& run) { return value < run.first; });
  return static_cast<size_t>(behind - runs_.begin());
}

Term TermRuns::term_at(LogIndex index) const {
  if (index > last_) return Term();
  const size_t count = runs_up_to(index);
  return count == 0 ? Term() : runs_[count - 1].term;
}

LogPosition TermRuns::last_at_most(LogIndex index, Term term) const {
  index = std::min(index, last_);
  size_t count = runs_up_to(index);
  while (count > 0 && runs_[count - 1].term > term) {
    index = runs_[count - 1].first.previous();
    --count;
  }
  return LogPosition{index, count == 0 ? Term() : runs_[count - 1].term};
}

}  // namespace dogfs::raft
