#include "core/raft/raft_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/raft/codec.h"

namespace dogfs::raft {
namespace {

using testing::HasSubstr;

const StoreIdentity kSelf{GroupId(3), NodeId(1),
                          initial_configuration({{NodeId(1), {"n1"}}, {NodeId(2), {"n2"}}, {NodeId(3), {"n3"}}})};

// A store that is a std::map.
class MapReader final : public KvReader {
 public:
  std::map<std::string, std::string, std::less<>> rows;

  void apply(const WriteBatch& batch) {
    for (const WriteBatch::Operation& operation : batch.operations()) {
      if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) rows[put->key] = put->value;
      if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) rows.erase(erase->key);
      if (const auto* range = std::get_if<WriteBatch::EraseRange>(&operation)) {
        rows.erase(rows.lower_bound(range->begin), rows.lower_bound(range->end));
      }
    }
  }

  Result<std::optional<std::string>> get(std::string_view key) const override {
    const auto found = rows.find(key);
    return found == rows.end() ? std::optional<std::string>() : std::optional<std::string>(found->second);
  }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    for (auto row = rows.lower_bound(begin); row != rows.end() && (end.empty() || row->first < end); ++row) {
      if (!visit(row->first, row->second)) break;
    }
    return ok();
  }
  Status scan_backward(std::string_view, std::string_view, const Visitor&) const override {
    return Error(ErrorCode::kUnsupported);
  }
};

Entry entry(uint64_t index, uint64_t term) {
  return Entry{LogIndex(index), Term(term), EntryType::kCommand,
               std::make_shared<const std::string>("command " + std::to_string(index))};
}

PersistBatch batch_of(std::vector<Entry> entries, std::optional<LogIndex> truncate = std::nullopt) {
  PersistBatch batch;
  batch.hard_state = HardState{Term(9), NodeId(2), LogIndex(1)};
  batch.truncate_from = truncate;
  batch.last = LogPosition{entries.back().index, entries.back().term};
  batch.entries = std::move(entries);
  return batch;
}

// Entries 1..4 of terms 1, 1, 2, 2.
MapReader sample() {
  MapReader store;
  store.apply(encode_new_store(kSelf));
  store.apply(encode_batch(kSelf.group, batch_of({entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)})));
  return store;
}

// The row whose key has the tag, and for log entries the index.
std::string& row(MapReader& store, char tag, uint64_t index = 0) {
  for (auto& [key, value] : store.rows) {
    const bool match = key[9] == tag && (tag != 'L' || static_cast<uint8_t>(key.back()) == index);
    if (match) return value;
  }
  DOGFS_CHECK(false, "no such row");
}
void erase_row(MapReader& store, char tag, uint64_t index = 0) {
  const std::string* value = &row(store, tag, index);
  std::erase_if(store.rows, [&](const auto& each) { return &each.second == value; });
}

void expect_corrupt(const MapReader& store, const std::string& what) {
  const Result<LoadedLog> loaded = load_log(store, kSelf, SIZE_MAX);
  ASSERT_EQ(code_of(loaded), ErrorCode::kCorrupt) << what;
  EXPECT_THAT(loaded.error().detail, HasSubstr(what));
  EXPECT_THAT(loaded.error().detail, HasSubstr("must come back as a new node"));
}

TEST(RaftStore, AnEmptyStoreIsNew) {
  const Result<LoadedLog> loaded = load_log(MapReader(), kSelf, SIZE_MAX);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_TRUE(loaded.value().is_new);
}

TEST(RaftStore, WhatWasWrittenIsLoaded) {
  const LoadedLog loaded = load_log(sample(), kSelf, SIZE_MAX).value();
  EXPECT_FALSE(loaded.is_new);
  EXPECT_EQ(loaded.hard_state, (HardState{Term(9), NodeId(2), LogIndex(1)}));
  EXPECT_EQ(loaded.terms.last_index(), LogIndex(4));
  EXPECT_EQ(loaded.terms.term_at(LogIndex(2)), Term(1));
  ASSERT_EQ(loaded.tail.size(), 4U);
  EXPECT_EQ(loaded.tail.back().text(), "command 4");
}

TEST(RaftStore, OnlyTheTailIsKeptInMemory) {
  const LoadedLog loaded = load_log(sample(), kSelf, 2 * entry(1, 1).bytes()).value();
  ASSERT_EQ(loaded.tail.size(), 2U);
  EXPECT_EQ(loaded.tail.front().index, LogIndex(3));
  EXPECT_EQ(loaded.terms.last_index(), LogIndex(4));
}

TEST(RaftStore, AConflictingSuffixIsErasedInTheSameBatch) {
  MapReader store = sample();
  store.apply(encode_batch(kSelf.group, batch_of({entry(2, 7)}, LogIndex(2))));
  const LoadedLog loaded = load_log(store, kSelf, SIZE_MAX).value();
  EXPECT_EQ(loaded.terms.last_index(), LogIndex(2));
  EXPECT_EQ(loaded.terms.last_term(), Term(7));
}

TEST(RaftStore, ACompactedLogBeginsBehindItsBase) {
  MapReader store = sample();
  PersistBatch batch = batch_of({entry(5, 3)});
  batch.hard_state.commit = LogIndex(4);
  batch.compaction = LogCompaction{LogIndex(1), LogPosition{LogIndex(3), Term(2)}, {LogIndex(2), kSelf.initial}};
  store.apply(encode_batch(kSelf.group, batch));
  const LoadedLog loaded = load_log(store, kSelf, SIZE_MAX).value();
  EXPECT_EQ(loaded.terms.base(), (LogPosition{LogIndex(3), Term(2)}));
  EXPECT_EQ(loaded.terms.last_index(), LogIndex(5));
  EXPECT_EQ(loaded.sizes.bytes(), entry(4, 2).bytes() + entry(5, 3).bytes());
  EXPECT_EQ(loaded.tail.size(), 2U);
  EXPECT_THAT(loaded.configurations.items(),
              testing::ElementsAre(ConfigurationHistory::Item{LogIndex(2), kSelf.initial}));

  MapReader damaged = store;
  erase_row(damaged, 'B');
  expect_corrupt(damaged, "log entries from 1 to 3 are missing");
  damaged = store;
  erase_row(damaged, 'L', 4);
  expect_corrupt(damaged, "log entries from 4 to 4 are missing");
  batch.hard_state.commit = LogIndex(2);
  store.apply(encode_batch(kSelf.group, batch));
  expect_corrupt(store, "contradict");
}

TEST(RaftStore, GroupsShareAStoreWithoutTouchingEachOther) {
  MapReader store = sample();
  const StoreIdentity other{GroupId(4), NodeId(1), initial_configuration({{NodeId(1), {"n1"}}})};
  EXPECT_TRUE(load_log(store, other, SIZE_MAX).value().is_new);
  store.apply(encode_new_store(other));
  store.apply(encode_batch(other.group, batch_of({entry(1, 5)})));
  store.apply(encode_batch(kSelf.group, batch_of({entry(1, 8)}, LogIndex(1))));
  EXPECT_EQ(load_log(store, other, SIZE_MAX).value().terms.last_term(), Term(5));
  EXPECT_EQ(load_log(store, kSelf, SIZE_MAX).value().terms.last_term(), Term(8));
}

TEST(RaftStore, LossesAreFound) {
  MapReader store = sample();
  erase_row(store, 'H');
  expect_corrupt(store, "the hard state is missing");
  store = sample();
  erase_row(store, 'C');
  expect_corrupt(store, "the group configuration is missing");
  store = sample();
  erase_row(store, 'L', 2);
  expect_corrupt(store, "log entries from 2 to 2 are missing");
  store = sample();
  erase_row(store, 'L', 4);
  expect_corrupt(store, "the log ends at entry 3 of term 2, but was written up to entry 4 of term 2");
}

TEST(RaftStore, AWholeLogThatIsGoneIsFound) {
  MapReader store = sample();
  for (uint64_t i = 1; i <= 4; ++i) erase_row(store, 'L', i);
  expect_corrupt(store, "the log ends at entry 0");
}

RC_GTEST_PROP(RaftStore, AnyFlippedBitIsFound, ()) {
  MapReader store = sample();
  auto victim = std::next(store.rows.begin(), *rc::gen::inRange<int>(0, static_cast<int>(store.rows.size())));
  std::string& value = victim->second;
  const size_t bit = *rc::gen::inRange<size_t>(0, value.size() * 8);
  value[bit / 8] = static_cast<char>(value[bit / 8] ^ (1 << (bit % 8)));
  RC_ASSERT(code_of(load_log(store, kSelf, SIZE_MAX)) == ErrorCode::kCorrupt);
}

TEST(RaftStore, ARecordUnderAnothersKeyIsFound) {
  MapReader store = sample();
  row(store, 'L', 2) = row(store, 'L', 1);
  expect_corrupt(store, "log entry 2 has a wrong checksum");
  store = sample();
  row(store, 'L', 2) = "x";
  expect_corrupt(store, "log entry 2 is cut short");
}

TEST(RaftStore, ContradictionsAreFound) {
  MapReader falling;
  falling.apply(encode_new_store(kSelf));
  falling.apply(encode_batch(kSelf.group, batch_of({entry(1, 2), entry(2, 1)})));
  expect_corrupt(falling, "the term falls at log entry 2");
  MapReader beyond;
  beyond.apply(encode_new_store(kSelf));
  PersistBatch batch = batch_of({entry(1, 2)});
  batch.hard_state.commit = LogIndex(5);
  beyond.apply(encode_batch(kSelf.group, batch));
  expect_corrupt(beyond, "contradict");
  batch.hard_state = HardState{Term(1), NodeId(), LogIndex()};
  beyond.apply(encode_batch(kSelf.group, batch));
  expect_corrupt(beyond, "contradict");
}

TEST(RaftStore, AnotherMembersStoreIsRefused) {
  StoreIdentity other = kSelf;
  other.self = NodeId(2);
  EXPECT_EQ(code_of(load_log(sample(), other, SIZE_MAX)), ErrorCode::kConflict);
}

TEST(RaftStore, TheConfigurationsOfTheLogAreRemembered) {
  MapReader store = sample();
  const Configuration next = begin_change(kSelf.initial, {.add = {{NodeId(4), Address{"n4"}}}}).value();
  const Entry change = configuration_entry(LogPosition{LogIndex(5), Term(2)}, next);
  store.apply(encode_batch(kSelf.group, batch_of({change})));
  StoreIdentity flags_changed = kSelf;
  flags_changed.initial = Configuration();
  const ConfigurationHistory history = load_log(store, flags_changed, SIZE_MAX).value().configurations;
  ASSERT_EQ(history.items().size(), 2U);
  EXPECT_EQ(history.items()[0].configuration, kSelf.initial);
  EXPECT_EQ(history.items()[1], (ConfigurationHistory::Item{LogIndex(5), next}));

  store.apply(encode_batch(kSelf.group, batch_of({entry(5, 3)}, LogIndex(5))));
  EXPECT_EQ(load_log(store, kSelf, SIZE_MAX).value().configurations.latest(), kSelf.initial);
}

TEST(RaftStore, EntriesAreReadWithinLimits) {
  const MapReader store = sample();
  const auto read = [&](uint64_t first, uint64_t last, EntryLimits limits) {
    return read_entries(store, kSelf.group, LogFetch{NodeId(), LogIndex(first), LogIndex(last), limits});
  };
  EXPECT_EQ(read(2, 4, {SIZE_MAX, SIZE_MAX}).value().size(), 3U);
  EXPECT_EQ(read(2, 3, {SIZE_MAX, SIZE_MAX}).value().size(), 2U);
  EXPECT_EQ(read(1, 4, {1, SIZE_MAX}).value().size(), 1U);
  EXPECT_EQ(read(1, 4, {SIZE_MAX, 3}).value().size(), 3U);
  EXPECT_EQ(code_of(read(5, 9, {SIZE_MAX, SIZE_MAX})), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace dogfs::raft
