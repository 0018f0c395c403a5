#include "core/raft/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

namespace dogfs::raft {
namespace {

constexpr size_t kUnlimited = SIZE_MAX;
constexpr EntryLimits kAll{SIZE_MAX, SIZE_MAX};

Entry entry(uint64_t index, uint64_t term) {
  return Entry{LogIndex(index), Term(term), EntryType::kCommand, std::make_shared<const std::string>("c")};
}

// A log with these terms, nothing of it durable.
Log log_of(const std::vector<uint64_t>& terms, size_t cache = kUnlimited) {
  Log log(TermRuns(), LogSizes(), {}, cache);
  for (size_t i = 0; i < terms.size(); ++i) log.append(entry(i + 1, terms[i]));
  return log;
}

// Terms that never fall, by steps of 0 to 2.
std::vector<uint64_t> any_terms(size_t size) {
  std::vector<uint64_t> terms;
  uint64_t term = 1;
  for (size_t i = 0; i < size; ++i) terms.push_back(term += *rc::gen::inRange<uint64_t>(0, 3));
  return terms;
}

// --- TermRuns: the model is a plain list of terms -------------------------------------------------------------------

RC_GTEST_PROP(TermRuns, KnowTheTermOfEveryEntry, ()) {
  TermRuns runs;
  std::vector<uint64_t> model;
  size_t base = 0;
  for (int i = 0; i < 40; ++i) {
    const int move = *rc::gen::inRange(0, 8);
    if (move == 0) {
      const size_t from = *rc::gen::inRange<size_t>(base + 1, model.size() + 2);
      runs.truncate_from(LogIndex(from));
      model.resize(std::min(model.size(), from - 1));
    } else if (move == 1) {
      base = *rc::gen::inRange<size_t>(base, model.size() + 1);
      runs.compact_to(LogIndex(base));
    } else {
      model.push_back((model.empty() ? 1 : model.back()) + *rc::gen::inRange<uint64_t>(0, 3));
      runs.append(Term(model.back()));
    }
    RC_ASSERT(runs.last_index().value() == model.size());
    RC_ASSERT(runs.term_at(LogIndex(0)).is_none());
    RC_ASSERT(runs.term_at(LogIndex(model.size() + 1)).is_none());
    RC_ASSERT(runs.base().index.value() == base);
    for (size_t j = 1; j < base; ++j) RC_ASSERT(runs.term_at(LogIndex(j)).is_none());
    for (size_t j = std::max<size_t>(base, 1); j <= model.size(); ++j) {
      RC_ASSERT(runs.term_at(LogIndex(j)).value() == model[j - 1]);
    }
    RC_ASSERT(runs.runs().empty() == (model.size() == base));
  }
}

RC_GTEST_PROP(TermRuns, LastAtMostIsWhatAWalkBackFinds, ()) {
  const std::vector<uint64_t> model = any_terms(*rc::gen::inRange<size_t>(0, 30));
  TermRuns runs;
  for (const uint64_t term : model) runs.append(Term(term));
  const size_t from = *rc::gen::inRange<size_t>(0, 40);
  const uint64_t term = *rc::gen::inRange<uint64_t>(0, 40);
  size_t expected = std::min(from, model.size());
  while (expected > 0 && model[expected - 1] > term) --expected;
  const LogPosition found = runs.last_at_most(LogIndex(from), Term(term));
  RC_ASSERT(found.index.value() == expected);
  RC_ASSERT(found.term.value() == (expected == 0 ? 0 : model[expected - 1]));

  const size_t base = *rc::gen::inRange<size_t>(0, model.size() + 1);
  runs.compact_to(LogIndex(base));
  const LogPosition compacted = runs.last_at_most(LogIndex(from), Term(term));
  RC_ASSERT(compacted.index >= found.index);
  if (expected >= base) {
    RC_ASSERT(compacted == found);
  } else {
    RC_ASSERT(compacted.index.value() == std::min(from, base - 1));
    RC_ASSERT(compacted.term.is_none());
  }
}

// --- LogSizes: the model is a plain list of sizes -------------------------------------------------------------------

RC_GTEST_PROP(LogSizes, AnswerAsAWalkOverAllEntriesDoes, ()) {
  LogSizes sizes;
  std::deque<size_t> model;  // behind `base`
  uint64_t base = 0;
  for (int i = 0; i < 40; ++i) {
    const int move = *rc::gen::inRange(0, 8);
    if (move == 0) {
      const size_t kept = *rc::gen::inRange<size_t>(0, model.size() + 2);
      sizes.truncate_from(LogIndex(base + kept + 1));
      model.resize(std::min(kept, model.size()));
    } else if (move == 1) {
      const size_t dropped = *rc::gen::inRange<size_t>(0, model.size() + 1);
      base += dropped;
      sizes.compact_to(LogIndex(base));
      model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(dropped));
    } else {
      model.push_back(*rc::gen::inRange<size_t>(1, 20));
      sizes.append(model.back());
    }
    RC_ASSERT(sizes.entries() == model.size());
    RC_ASSERT(sizes.bytes() == std::accumulate(model.begin(), model.end(), size_t{0}));
    const EntryLimits limits{*rc::gen::inRange<size_t>(0, 100), *rc::gen::inRange<size_t>(0, 10)};

    size_t tail = 0;
    size_t tail_bytes = 0;
    while (tail < std::min(model.size(), limits.max_entries)) {
      tail_bytes += model[model.size() - tail - 1];
      if (tail_bytes > limits.max_bytes) break;
      ++tail;
    }
    RC_ASSERT(sizes.before_tail(limits).value() == base + model.size() - tail);
  }
}

// --- Log ------------------------------------------------------------------------------------------------------------

TEST(RaftLog, ALogIsUpToDateByTermThenByLength) {
  const Log log = log_of({1, 2, 2});
  EXPECT_TRUE(log.is_up_to_date({LogIndex(3), Term(2)}));
  EXPECT_TRUE(log.is_up_to_date({LogIndex(4), Term(2)}));
  EXPECT_TRUE(log.is_up_to_date({LogIndex(1), Term(3)}));
  EXPECT_FALSE(log.is_up_to_date({LogIndex(2), Term(2)}));
  EXPECT_FALSE(log.is_up_to_date({LogIndex(9), Term(1)}));
}

TEST(RaftLog, ConflictingSuffixIsTruncated) {
  Log log = log_of({1, 1, 2, 2});
  EXPECT_EQ(log.merge({entry(3, 3)}), LogIndex(3));
  EXPECT_EQ(log.last(), (LogPosition{LogIndex(3), Term(3)}));
}

TEST(RaftLog, AnOldAppendDoesNotShortenTheLog) {
  Log log = log_of({1, 1, 2, 2});
  EXPECT_EQ(log.merge({entry(2, 1), entry(3, 2)}), std::nullopt);
  EXPECT_EQ(log.last_index(), LogIndex(4));
}

// Model: a list of terms; appends that agree keep what is behind them.
RC_GTEST_PROP(RaftLog, MergeGivesTheSendersEntriesAndKeepsWhatAgrees, ()) {
  const std::vector<uint64_t> mine = any_terms(*rc::gen::inRange<size_t>(0, 12));
  const size_t shared = *rc::gen::inRange<size_t>(0, mine.size() + 1);
  std::vector<uint64_t> theirs(mine.begin(), mine.begin() + static_cast<std::ptrdiff_t>(shared));
  const size_t added = *rc::gen::inRange<size_t>(0, 6);
  for (size_t i = 0; i < added; ++i) {
    theirs.push_back((theirs.empty() ? 1 : theirs.back()) + *rc::gen::inRange<uint64_t>(0, 3));
  }
  const size_t previous = *rc::gen::inRange<size_t>(0, shared + 1);
  std::vector<Entry> entries;
  for (size_t i = previous; i < theirs.size(); ++i) entries.push_back(entry(i + 1, theirs[i]));

  size_t agree = 0;
  while (agree < std::min(mine.size(), theirs.size()) && mine[agree] == theirs[agree]) ++agree;
  const std::vector<uint64_t>& expected = agree == theirs.size() ? mine : theirs;

  Log log = log_of(mine);
  log.merge(entries);
  RC_ASSERT(log.last_index().value() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) RC_ASSERT(log.term_at(LogIndex(i + 1)).value() == expected[i]);
}

TEST(RaftLog, AReplacedEntryIsNotDurableBecauseItsForerunnerIs) {
  Log log = log_of({1, 1});
  log.take_unstable(1);
  log.merge({entry(2, 2)});
  const Log::Unstable second = log.take_unstable(2);
  EXPECT_EQ(second.truncate_from, LogIndex(2));
  ASSERT_EQ(second.entries.size(), 1U);
  log.persisted(1);
  EXPECT_EQ(log.durable(), LogIndex(1));
  log.persisted(2);
  EXPECT_EQ(log.durable(), LogIndex(2));
}

// Model: the disk is a list of (index, term) that batches change in order. What the log calls durable must be there, in
// this version, after any prefix of the batches has been written.
RC_GTEST_PROP(RaftLog, WhatIsDurableIsOnTheDisk, ()) {
  Log log(TermRuns(), LogSizes(), {}, *rc::gen::element<size_t>(1, 100, kUnlimited));
  struct Batch {
    uint64_t number;
    Log::Unstable change;
  };
  std::deque<Batch> queue;
  std::vector<uint64_t> disk;
  uint64_t batches = 0;
  uint64_t term = 1;
  for (int i = 0; i < 80; ++i) {
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
      case 1:
        log.append(entry(log.last_index().value() + 1, term));
        break;
      case 2: {
        // A new leader replaces a suffix.
        ++term;
        const uint64_t at = *rc::gen::inRange<uint64_t>(log.first_index().value(), log.last_index().value() + 2);
        log.merge({entry(at, term)});
        break;
      }
      case 3:
        log.compact_to(LogIndex(*rc::gen::inRange<uint64_t>(log.base().index.value(), log.durable().value() + 1)));
        break;
      case 4:
        if (log.has_unstable()) queue.push_back(Batch{++batches, log.take_unstable(batches)});
        break;
      default:
        if (queue.empty()) break;
        if (queue.front().change.truncate_from) {
          disk.resize(std::min<size_t>(disk.size(), queue.front().change.truncate_from->value() - 1));
        }
        for (const Entry& e : queue.front().change.entries) {
          RC_ASSERT(e.index.value() == disk.size() + 1);
          disk.push_back(e.term.value());
        }
        log.persisted(queue.front().number);
        queue.pop_front();
    }
    RC_ASSERT(log.durable() <= log.last_index());
    RC_ASSERT(log.first_cached() <= log.durable().next());
    // A truncation that is not written yet may leave more on the disk, never less.
    RC_ASSERT(disk.size() >= log.durable().value());
    for (uint64_t j = std::max<uint64_t>(log.base().index.value(), 1); j <= log.durable().value(); ++j) {
      RC_ASSERT(disk[j - 1] == log.term_at(LogIndex(j)).value());
    }
  }
}

TEST(RaftLog, OnlyDurableEntriesLeaveMemory) {
  Log log = log_of({1, 1, 1, 1}, 2 * entry(1, 1).bytes());
  EXPECT_EQ(log.first_cached(), LogIndex(1));
  log.take_unstable(1);
  log.persisted(1);
  EXPECT_EQ(log.first_cached(), LogIndex(3));
  EXPECT_EQ(log.term_at(LogIndex(1)), Term(1)) << "terms stay";
}

TEST(RaftLog, ASnapshotReplacesItAsAWhole) {
  Log log = log_of({1, 1, 2});
  log.take_unstable(1);
  log.merge({entry(3, 3)});
  log.reset(LogPosition{LogIndex(7), Term(3)}, ConfigurationHistory::Item{LogIndex(4), Configuration()});
  EXPECT_EQ(log.configurations().latest_index(), LogIndex(4));
  EXPECT_EQ(log.last(), (LogPosition{LogIndex(7), Term(3)}));
  EXPECT_EQ(log.first_cached(), LogIndex(8));
  EXPECT_FALSE(log.has_unstable());
  log.append(entry(8, 4));
  log.persisted(1);
  EXPECT_EQ(log.durable(), LogIndex(7)) << "that batch was of the log before";
  log.take_unstable(2);
  log.persisted(2);
  EXPECT_EQ(log.durable(), LogIndex(8));
}

TEST(RaftLog, CachedEntriesAreCutByLimitsButAtLeastOne) {
  const Log log = log_of({1, 1, 1, 1});
  EXPECT_EQ(log.cached(LogIndex(1), LogIndex(4), kAll).size(), 4U);
  EXPECT_EQ(log.cached(LogIndex(2), LogIndex(3), kAll).size(), 2U);
  EXPECT_EQ(log.cached(LogIndex(1), LogIndex(4), EntryLimits{1, 100}).size(), 1U);
  EXPECT_EQ(log.cached(LogIndex(1), LogIndex(4), EntryLimits{kUnlimited, 3}).size(), 3U);
}

}  // namespace
}  // namespace dogfs::raft
