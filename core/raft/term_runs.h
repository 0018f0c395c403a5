// The term of every entry of a log, in a few bytes a term.
//
// Terms only rise along a log, so it is a sequence of runs: remembered as the first index of each, the terms of a log
// of any length fit in memory. Consistency checks and conflict hints therefore never wait for the disk, although old
// entries live only there.
//
// A log that was compacted begins behind its base: the last entry that a snapshot covers. The base's term is known, for
// the first append behind it is checked against it; terms before it are not.
#pragma once

#include <vector>

#include "core/raft/types.h"

namespace dogfs::raft {

class TermRuns {
 public:
  struct Run {
    LogIndex first;
    Term term;
    bool operator==(const Run&) const = default;
  };

  // An empty log behind `base`.
  explicit TermRuns(LogPosition base = LogPosition()) : base_(base), last_(base.index) {}

  LogPosition base() const { return base_; }
  LogIndex last_index() const { return last_; }
  Term last_term() const { return runs_.empty() ? base_.term : runs_.back().term; }
  // Of the entries behind the base.
  const std::vector<Run>& runs() const { return runs_; }

  // Adds the entry behind the last. Precondition: `term` is not below the last one.
  void append(Term term);
  // Forgets `index` and all behind it. Precondition: index is behind the base.
  void truncate_from(LogIndex index);
  // Makes `index` the base. Precondition: base <= index <= last index.
  void compact_to(LogIndex index);

  // The term at `index`; none before the base and behind the end.
  Term term_at(LogIndex index) const;
  // The last position at or before `index` whose term is at most `term`; (0, none) where there is none. One before the
  // base, where terms are not known, has no term, and is only the last that can be it.
  LogPosition last_at_most(LogIndex index, Term term) const;

 private:
  // The number of runs that begin at or before `index`.
  size_t runs_up_to(LogIndex index) const;

  LogPosition base_;
  std::vector<Run> runs_;
  LogIndex last_;
};

}  // namespace dogfs::raft
