#include "core/client/stripe_choice.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace dogfs {
namespace {

// RS(3,2): shards 0..2 are data and needed.
std::vector<ShardOutlook> whole_stripe() {
  std::vector<ShardOutlook> shards;
  for (uint32_t i = 0; i < 5; ++i) shards.push_back({.index = ShardIndex(i), .needed = i < 3});
  return shards;
}

std::vector<uint32_t> numbers(const std::vector<ShardIndex>& indices) {
  std::vector<uint32_t> out;
  for (const ShardIndex index : indices) out.push_back(index.value());
  return out;
}

using Numbers = std::vector<uint32_t>;

TEST(StripeChoice, HealthyDataShardsAreReadAsFarAsNeeded) {
  std::vector<ShardOutlook> shards = whole_stripe();
  shards[1].needed = false;
  const StripeChoice choice = choose_reads(shards, 3);
  EXPECT_EQ(numbers(choice.read_narrow), (Numbers{0, 2}));
  EXPECT_TRUE(choice.read_wide.empty());
}

TEST(StripeChoice, WhatIsUnderWayIsNotAskedTwice) {
  std::vector<ShardOutlook> shards = whole_stripe();
  for (ShardOutlook& shard : shards) shard.wide_asked = shard.needed;
  const StripeChoice choice = choose_reads(shards, 3);
  EXPECT_TRUE(choice.read_narrow.empty() && choice.read_wide.empty());
}

TEST(StripeChoice, ASuspectIsDecodedAroundFromTheStart) {
  std::vector<ShardOutlook> shards = whole_stripe();
  shards[0].suspect = true;
  EXPECT_EQ(numbers(choose_reads(shards, 3).read_wide), (Numbers{1, 2, 3}));
}

TEST(StripeChoice, SuspectsAreAskedWhenTheOthersDoNotSuffice) {
  std::vector<ShardOutlook> shards = whole_stripe();
  for (const size_t i : {0, 3}) shards[i].suspect = true;
  shards[1].failed = true;
  EXPECT_EQ(numbers(choose_reads(shards, 3).read_wide), (Numbers{2, 4, 0}));
}

TEST(StripeChoice, ALateShardIsHedgedByOneOther) {
  std::vector<ShardOutlook> shards = whole_stripe();
  for (ShardOutlook& shard : shards) shard.wide_asked = shard.needed;
  shards[1].wide_got = shards[2].wide_got = true;
  shards[0].late = true;
  EXPECT_EQ(numbers(choose_reads(shards, 3).read_wide), (Numbers{3}));
}

TEST(StripeChoice, IsSatisfiedByTheNeededShardsOrByAnyThree) {
  std::vector<ShardOutlook> shards = whole_stripe();
  EXPECT_FALSE(is_satisfied(shards, 3));
  for (const size_t i : {1, 3, 4}) shards[i].wide_got = true;
  EXPECT_TRUE(is_satisfied(shards, 3));
  shards[4].wide_got = false;
  EXPECT_FALSE(is_satisfied(shards, 3));
  shards[0].narrow_got = shards[2].narrow_got = true;
  EXPECT_TRUE(is_satisfied(shards, 3));
}

// Asks as the choice says while an adversary decides what becomes of each read.
RC_GTEST_PROP(StripeChoice, FindsAWayWheneverThereIsOne, ()) {
  const auto k = *rc::gen::inRange<uint32_t>(1, 8);
  const auto m = *rc::gen::inRange<uint32_t>(1, 5);
  std::vector<ShardOutlook> shards;
  std::vector<bool> intact;
  for (uint32_t i = 0; i < k + m; ++i) {
    shards.push_back({.index = ShardIndex(i), .needed = i < k && *rc::gen::arbitrary<bool>()});
    shards.back().suspect = *rc::gen::arbitrary<bool>();
    intact.push_back(*rc::gen::weightedElement<bool>({{3, true}, {1, false}}));
  }
  const auto good = static_cast<uint32_t>(std::ranges::count(intact, true));
  const bool direct =
      std::ranges::all_of(shards, [&](const ShardOutlook& s) { return !s.needed || intact[s.index.value()]; });
  int steps = 0;
  while (!is_satisfied(shards, k)) {
    RC_ASSERT(++steps < 100);
    const StripeChoice choice = choose_reads(shards, k);
    for (const ShardIndex index : choice.read_narrow) shards[index.value()].narrow_asked = true;
    for (const ShardIndex index : choice.read_wide) {
      RC_ASSERT(!shards[index.value()].wide_asked && !shards[index.value()].failed);
      shards[index.value()].wide_asked = true;
    }
    // One read ends, or is late, at a time.
    const auto pending = std::ranges::find_if(shards, [](const ShardOutlook& s) {
      return !s.failed && ((s.narrow_asked && !s.narrow_got) || (s.wide_asked && !s.wide_got));
    });
    if (pending == shards.end()) break;
    if (!pending->late && *rc::gen::inRange(0, 4) == 0) {
      pending->late = true;
      continue;
    }
    pending->late = false;
    if (!intact[pending->index.value()]) {
      pending->failed = true;
      pending->narrow_asked = pending->wide_asked = false;
      continue;
    }
    pending->narrow_got = pending->narrow_asked;
    pending->wide_got = pending->wide_asked;
  }
  RC_ASSERT(is_satisfied(shards, k) == (good >= k || direct));
}

}  // namespace
}  // namespace dogfs
