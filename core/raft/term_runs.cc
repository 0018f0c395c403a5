#include "core/raft/term_runs.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/mutant.h"

namespace dogfs::raft {

void TermRuns::append(Term term) {
  const bool falls = term < last_term() && !mutant_active(Mutant::kSnapshotKeepsTail);
  DOGFS_CHECK(!term.is_none() && !falls, "terms of a log never fall");
  ++last_;
  if (runs_.empty() || term != last_term()) runs_.push_back(Run{last_, term});
}

void TermRuns::truncate_from(LogIndex index) {
  DOGFS_CHECK(index > base_.index, "what a snapshot covers cannot be taken back");
  while (!runs_.empty() && runs_.back().first >= index) runs_.pop_back();
  last_ = std::min(last_, index.previous());
}

void TermRuns::compact_to(LogIndex index) {
  DOGFS_CHECK(index >= base_.index && index <= last_);
  base_ = LogPosition{index, term_at(index)};
  const size_t begun = runs_up_to(index);
  if (begun == 0) return;
  // The run that `index` is in goes on behind it, unless it ends there.
  const bool ends_here = begun == runs_.size() ? index == last_ : runs_[begun].first == index.next();
  runs_[begun - 1].first = index.next();
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(ends_here ? begun : begun - 1));
}

size_t TermRuns::runs_up_to(LogIndex index) const {
  const auto behind = std::upper_bound(runs_.begin(), runs_.end(), index,
                                       [](LogIndex value, const Run& run) { return value < run.first; });
  return static_cast<size_t>(behind - runs_.begin());
}

Term TermRuns::term_at(LogIndex index) const {
  if (index == base_.index) return base_.term;
  if (index < base_.index || index > last_) return Term();
  return runs_[runs_up_to(index) - 1].term;
}

LogPosition TermRuns::last_at_most(LogIndex index, Term term) const {
  index = std::min(index, last_);
  if (index < base_.index) return LogPosition{index, Term()};
  size_t count = runs_up_to(index);
  while (count > 0 && runs_[count - 1].term > term) {
    index = runs_[count - 1].first.previous();
    --count;
  }
  if (count > 0) return LogPosition{index, runs_[count - 1].term};
  if (base_.term <= term) return base_;
  return LogPosition{base_.index.previous(), Term()};
}

}  // namespace dogfs::raft
