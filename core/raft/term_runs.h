// The term of every entry of a log, in a few bytes a term.
//
// Terms only rise along a log, so it is a sequence of runs: remembered as the first index of each, the terms of a log
// of any length fit in memory. Consistency checks and conflict hints therefore never wait for the disk, although old
// entries live only there.
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

  LogIndex last_index() const { return last_; }
  Term last_term() const { return runs_.empty() ? Term() : runs_.back().term; }
  const std::vector<Run>& runs() const { return runs_; }

  // Adds the entry behind the last. Precondition: `term` is not below the last one.
  void append(Term term);
  // Forgets `index` and all behind it. Precondition: index > 0.
  void truncate_from(LogIndex index);

  // The term at `index`; none for index 0 and behind the end.
  Term term_at(LogIndex index) const;
  // The last position at or before `index` whose term is at most `term`; (0, none) where there is none.
  LogPosition last_at_most(LogIndex index, Term term) const;

 private:
  // The number of runs that begin at or before `index`.
  size_t runs_up_to(LogIndex index) const;

  std::vector<Run> runs_;
  LogIndex last_;
};

}  // namespace dogfs::raft
