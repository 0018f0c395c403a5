// The log of one member: all terms, the recent entries, the configurations in it, and what of it is durable.
//
// Entries are appended here first and handed to the disk in numbered batches; the disk confirms batches in order. The
// numbers, rather than indices, tell which version of an entry became durable: an entry that was handed over,
// truncated and replaced is not durable because its forerunner is.
//
// Entries that are durable are let go, oldest first, when those in memory exceed a limit; who needs them reads them
// from the store. Terms stay (core/raft/term_runs.h).
//
// Compaction drops entries at the front: the log begins behind its base, the last entry that the applied state covers.
// A snapshot replaces the log by an empty one behind its own place.
//
// Invariants:
//   1. cached entries are contiguous and end at last_index
//   2. base <= durable <= handed over <= last_index, and only durable entries are not cached
//   3. terms never fall along the log
//   4. configurations() holds exactly those of the log's entries, behind the one that was in effect before it
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "core/raft/log_sizes.h"
#include "core/raft/term_runs.h"
#include "core/raft/types.h"

namespace dogfs::raft {

class Log {
 public:
  // A log as it was read from the store: the terms, sizes and configurations of all its entries, and the last of these
  // (possibly none) to begin with.
  Log(TermRuns terms, LogSizes sizes, std::deque<Entry> tail, size_t max_cached_bytes,
      ConfigurationHistory configurations = ConfigurationHistory());

  // What it begins behind: (0, none) as long as nothing was compacted.
  LogPosition base() const { return terms_.base(); }
  LogIndex first_index() const { return terms_.base().index.next(); }
  LogIndex last_index() const { return terms_.last_index(); }
  LogPosition last() const { return LogPosition{terms_.last_index(), terms_.last_term()}; }
  Term term_at(LogIndex index) const { return terms_.term_at(index); }
  const TermRuns& terms() const { return terms_; }
  const LogSizes& sizes() const { return sizes_; }
  // The latest of them is in effect here, whether or not it is committed.
  const ConfigurationHistory& configurations() const { return configurations_; }
  // Everything up to here is durable in the version that this log holds.
  LogIndex durable() const { return durable_; }

  bool contains(LogPosition position) const {
    return position.index <= last_index() && term_at(position.index) == position.term;
  }
  // Whether a log that ends at `other` is at least as up to date (Raft paper, 5.4.1).
  bool is_up_to_date(LogPosition other) const {
    return other.term > last().term || (other.term == last().term && other.index >= last_index());
  }
  // The last place at or before `index` whose term is at most `term`. Where the log of another cannot agree behind it,
  // given that it has `term` at `index`: one message so skips a whole conflicting term.
  LogPosition last_at_most(LogIndex index, Term term) const { return terms_.last_at_most(index, term); }

  // Precondition: it is numbered behind the last, and its term is not below the last one's.
  void append(Entry entry);
  // Takes what is new of `entries`, which follow an entry that this log contains; a conflicting suffix is dropped.
  // Returns the first index that was dropped, if any. Precondition: what is dropped was never committed.
  std::optional<LogIndex> merge(const std::vector<Entry>& entries);
  // The first of `entries` that this log has with another term; none where there is no conflict.
  LogIndex find_conflict(const std::vector<Entry>& entries) const;

  LogIndex first_cached() const { return cache_.empty() ? last_index().next() : cache_.front().index; }
  // The entries from `first` to `last` at most, within limits but at least one. Precondition: `first` is cached.
  std::vector<Entry> cached(LogIndex first, LogIndex last, EntryLimits limits) const;
  size_t cached_bytes() const { return cached_bytes_; }

  // Drops everything up to `index`, on which the next batch tells the disk (base()). Precondition: it is durable.
  void compact_to(LogIndex index);
  // The log is empty and begins behind `base`, which a snapshot covers, with the configuration that was in effect there:
  // that counts as durable, since nothing is promised before the batch that says so is.
  void reset(LogPosition base, ConfigurationHistory::Item configuration);

  // --- Persistence
  struct Unstable {
    std::optional<LogIndex> truncate_from;  // erase from here on first
    std::vector<Entry> entries;
  };
  bool has_unstable() const { return handed_ < last_index() || truncate_from_.has_value(); }
  // All that no batch has carried yet, to become batch number `batch`.
  Unstable take_unstable(uint64_t batch);
  // All batches up to `batch` are durable.
  void persisted(uint64_t batch);

 private:
  void truncate_from(LogIndex index);
  void evict();

  struct Handed {
    uint64_t batch;
    LogIndex last;
  };

  TermRuns terms_;
  LogSizes sizes_;
  ConfigurationHistory configurations_;
  std::deque<Entry> cache_;
  size_t cached_bytes_ = 0;
  size_t max_cached_bytes_;
  LogIndex durable_;
  LogIndex handed_;
  std::optional<LogIndex> truncate_from_;
  // Batches that the disk has not confirmed, oldest first.
  std::deque<Handed> in_flight_;
};

}  // namespace dogfs::raft
