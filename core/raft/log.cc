#include "core/raft/log.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/mutant.h"

namespace dogfs::raft {

Log::Log(TermRuns terms, LogSizes sizes, std::deque<Entry> tail, size_t max_cached_bytes,
         ConfigurationHistory configurations)
    : terms_(std::move(terms)),
      sizes_(std::move(sizes)),
      configurations_(std::move(configurations)),
      cache_(std::move(tail)),
      max_cached_bytes_(max_cached_bytes),
      durable_(terms_.last_index()),
      handed_(terms_.last_index()) {
  for (const Entry& entry : cache_) {
    DOGFS_CHECK(entry.term == terms_.term_at(entry.index), "the tail must be the end of the log");
    cached_bytes_ += entry.bytes();
  }
  DOGFS_CHECK(cache_.empty() || cache_.back().index == last_index(), "the tail must be the end of the log");
  DOGFS_CHECK(base().index.value() + sizes_.entries() == last_index().value(), "every entry has a size");
  DOGFS_CHECK(configurations_.latest_index() <= last_index(), "the configurations must be those of the log");
  evict();
}

void Log::append(Entry entry) {
  DOGFS_CHECK(entry.index == last_index().next(), "entries are appended without a gap");
  terms_.append(entry.term);
  sizes_.append(entry.bytes());
  if (entry.configuration) configurations_.append(entry.index, *entry.configuration);
  cached_bytes_ += entry.bytes();
  cache_.push_back(std::move(entry));
  evict();
}

LogIndex Log::find_conflict(const std::vector<Entry>& entries) const {
  for (const Entry& entry : entries) {
    if (entry.index > last_index()) return LogIndex();
    if (term_at(entry.index) != entry.term) return entry.index;
  }
  return LogIndex();
}

std::optional<LogIndex> Log::merge(const std::vector<Entry>& entries) {
  std::optional<LogIndex> dropped;
  LogIndex conflict = find_conflict(entries);
  if (mutant_active(Mutant::kTruncateWithoutConflict) && conflict.is_none() && !entries.empty() &&
      entries.back().index < last_index()) {
    conflict = entries.back().index.next();
  }
  if (!conflict.is_none()) {
    DOGFS_COVERAGE_MARK("raft: a conflicting suffix cut off");
    truncate_from(conflict);
    dropped = conflict;
  }
  for (const Entry& entry : entries) {
    if (entry.index > last_index()) append(entry);
  }
  return dropped;
}

void Log::truncate_from(LogIndex index) {
  terms_.truncate_from(index);
  sizes_.truncate_from(index);
  configurations_.truncate_from(index);
  while (!cache_.empty() && cache_.back().index >= index) {
    cached_bytes_ -= cache_.back().bytes();
    cache_.pop_back();
  }
  const LogIndex keep = index.previous();
  if (handed_ > keep) {
    truncate_from_ = truncate_from_ ? std::min(*truncate_from_, index) : index;
    handed_ = keep;
  }
  durable_ = std::min(durable_, keep);
  for (Handed& handed : in_flight_) handed.last = std::min(handed.last, keep);
}

void Log::compact_to(LogIndex index) {
  DOGFS_CHECK(index <= durable_, "only what is durable may be dropped");
  terms_.compact_to(index);
  sizes_.compact_to(index);
  configurations_.compact_to(index);
  while (!cache_.empty() && cache_.front().index <= index) {
    cached_bytes_ -= cache_.front().bytes();
    cache_.pop_front();
  }
}

void Log::reset(LogPosition base, ConfigurationHistory::Item configuration) {
  DOGFS_CHECK(configuration.index <= base.index, "the configuration must be in effect at the base");
  if (mutant_active(Mutant::kSnapshotKeepsTail) && base.index < durable_ && !has_unstable()) {
    TermRuns kept(base);
    for (LogIndex index = base.index.next(); index <= last_index(); ++index) kept.append(term_at(index));
    compact_to(base.index);
    terms_ = std::move(kept);
    configurations_.reset(std::move(configuration));
    return;
  }
  terms_ = TermRuns(base);
  sizes_ = LogSizes(base.index);
  configurations_.reset(std::move(configuration));
  cache_.clear();
  cached_bytes_ = 0;
  durable_ = base.index;
  handed_ = base.index;
  truncate_from_.reset();
  in_flight_.clear();
}

std::vector<Entry> Log::cached(LogIndex first, LogIndex last, EntryLimits limits) const {
  DOGFS_CHECK(first >= first_cached() && first <= last_index());
  std::vector<Entry> result;
  size_t bytes = 0;
  for (size_t i = first.value() - cache_.front().index.value(); i < cache_.size(); ++i) {
    const Entry& entry = cache_[i];
    bytes += entry.bytes();
    if (entry.index > last) break;
    if (!result.empty() && (bytes > limits.max_bytes || result.size() >= limits.max_entries)) break;
    result.push_back(entry);
  }
  return result;
}

Log::Unstable Log::take_unstable(uint64_t batch) {
  Unstable unstable;
  unstable.truncate_from = truncate_from_;
  truncate_from_.reset();
  if (handed_ < last_index()) {
    const size_t first = handed_.next().value() - cache_.front().index.value();
    unstable.entries.assign(cache_.begin() + static_cast<std::ptrdiff_t>(first), cache_.end());
  }
  handed_ = last_index();
  in_flight_.push_back(Handed{batch, handed_});
  return unstable;
}

void Log::persisted(uint64_t batch) {
  while (!in_flight_.empty() && in_flight_.front().batch <= batch) {
    durable_ = std::max(durable_, in_flight_.front().last);
    in_flight_.pop_front();
  }
  evict();
}

void Log::evict() {
  while (cached_bytes_ > max_cached_bytes_ && cache_.size() > 1 && cache_.front().index <= durable_) {
    cached_bytes_ -= cache_.front().bytes();
    cache_.pop_front();
  }
}

}  // namespace dogfs::raft
