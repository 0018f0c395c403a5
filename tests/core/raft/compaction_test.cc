// How far a log is dropped at its front: Ongaro's thesis, chapter 5.
#include "core/raft/compaction.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace dogfs::raft {
namespace {

LogSizes sizes_of(size_t entries) {
  LogSizes sizes;
  for (size_t i = 0; i < entries; ++i) sizes.append(10);
  return sizes;
}

constexpr CompactionLimits kKeepTwenty{{SIZE_MAX, 20}, {SIZE_MAX, 50}};

TEST(Compaction, ATailStays) {
  EXPECT_EQ(compaction_target(sizes_of(100), {LogIndex(), LogIndex(100), {}}, kKeepTwenty), LogIndex(80));
  const CompactionLimits by_bytes{{200, SIZE_MAX}, {500, SIZE_MAX}};
  EXPECT_EQ(compaction_target(sizes_of(100), {LogIndex(), LogIndex(100), {}}, by_bytes), LogIndex(80));
}

TEST(Compaction, OnlyWhatIsDurablyAppliedGoes) {
  EXPECT_EQ(compaction_target(sizes_of(100), {LogIndex(), LogIndex(30), {}}, kKeepTwenty), LogIndex(30));
}

TEST(Compaction, SmallStepsAreNotWorthAWrite) {
  EXPECT_EQ(compaction_target(sizes_of(24), {LogIndex(), LogIndex(24), {}}, kKeepTwenty), LogIndex());
  EXPECT_EQ(compaction_target(sizes_of(25), {LogIndex(), LogIndex(25), {}}, kKeepTwenty), LogIndex(5));
}

TEST(Compaction, WhatALiveFollowerLacksStaysWithinASecondLimit) {
  EXPECT_EQ(compaction_target(sizes_of(100), {LogIndex(), LogIndex(100), LogIndex(60)}, kKeepTwenty), LogIndex(60));
  EXPECT_EQ(compaction_target(sizes_of(100), {LogIndex(), LogIndex(100), LogIndex(10)}, kKeepTwenty), LogIndex(50));
  EXPECT_EQ(compaction_target(sizes_of(100), {LogIndex(), LogIndex(100), LogIndex(99)}, kKeepTwenty), LogIndex(80));
}

// Whether entry `i` of `sizes` is in the longest tail within `limits`.
bool is_in_tail(const std::vector<size_t>& sizes, size_t i, EntryLimits limits) {
  size_t bytes = 0;
  for (size_t each = i; each < sizes.size(); ++each) bytes += sizes[each];
  return bytes <= limits.max_bytes && sizes.size() - i <= limits.max_entries;
}

// Model: entry by entry, as long as each may go by the rules of compaction.h.
RC_GTEST_PROP(Compaction, DropsWhatAWalkFromTheFrontWouldDrop, ()) {
  const auto base = *rc::gen::inRange<uint64_t>(0, 20);
  const auto sizes =
      *rc::gen::container<std::vector<size_t>>(*rc::gen::inRange<size_t>(0, 30), rc::gen::inRange<size_t>(1, 20));
  CompactionLimits limits;
  limits.keep = {*rc::gen::inRange<size_t>(0, 200), *rc::gen::inRange<size_t>(0, 15)};
  limits.hold = {limits.keep.max_bytes + *rc::gen::inRange<size_t>(0, 100),
                 limits.keep.max_entries + *rc::gen::inRange<size_t>(0, 10)};
  const LogIndex applied(base + *rc::gen::inRange<uint64_t>(0, sizes.size() + 1));
  std::optional<LogIndex> acknowledged;
  if (*rc::gen::arbitrary<bool>()) acknowledged = LogIndex(*rc::gen::inRange<uint64_t>(0, base + sizes.size() + 1));

  LogSizes log{LogIndex(base)};
  for (const size_t each : sizes) log.append(each);
  size_t dropped = 0;
  size_t dropped_bytes = 0;
  while (dropped < sizes.size()) {
    const LogIndex index(base + dropped + 1);
    const bool wanted = acknowledged && index > *acknowledged;
    if (index > applied || is_in_tail(sizes, dropped, wanted ? limits.hold : limits.keep)) break;
    dropped_bytes += sizes[dropped++];
  }
  const bool worth_it = dropped >= limits.keep.max_entries / 4 || dropped_bytes >= limits.keep.max_bytes / 4;
  const uint64_t expected = worth_it ? base + dropped : base;
  RC_ASSERT(compaction_target(log, {LogIndex(base), applied, acknowledged}, limits) == LogIndex(expected));
}

}  // namespace
}  // namespace dogfs::raft
