#include "core/meta/strange_shards.h"

#include <gtest/gtest.h>

namespace dogfs {
namespace {

constexpr ServerId kOne{1};
constexpr ServerId kTwo{2};

void expect_total(const StrangeShards& shards, uint64_t impossible, uint64_t unlisted) {
  EXPECT_EQ(shards.total().impossible, impossible);
  EXPECT_EQ(shards.total().unlisted, unlisted);
}

TEST(StrangeShards, AreSummedOverServersAndBuckets) {
  StrangeShards shards;
  shards.take_bucket(kOne, {1, 1}, 7, {.impossible = 2, .unlisted = 1});
  shards.take_bucket(kOne, {1, 1}, 8, {.impossible = 0, .unlisted = 4});
  shards.take_bucket(kTwo, {1, 1}, 7, {.impossible = 1, .unlisted = 0});
  expect_total(shards, 3, 5);
  EXPECT_EQ(shards.total({kOne}).impossible, 1u);
  shards.clear();
  expect_total(shards, 0, 0);
}

TEST(StrangeShards, ABucketThatIsReportedAgainCountsOnce) {
  StrangeShards shards;
  shards.take_bucket(kOne, {1, 1}, 7, {.impossible = 2, .unlisted = 1});
  shards.take_bucket(kOne, {1, 2}, 7, {.impossible = 2, .unlisted = 0});
  expect_total(shards, 2, 0);
}

TEST(StrangeShards, ABucketThatDiffersNoMoreHasNone) {
  StrangeShards shards;
  shards.take_bucket(kOne, {1, 1}, 7, {.impossible = 2, .unlisted = 1});
  shards.take_bucket(kOne, {1, 1}, 9, {.impossible = 1, .unlisted = 1});
  shards.take_digests(kOne, {1, 2}, {3, 9});
  expect_total(shards, 1, 1);
}

TEST(StrangeShards, WhatIsOlderThanWhatWasHeardChangesNothing) {
  StrangeShards shards;
  shards.take_digests(kOne, {2, 1}, {7});
  shards.take_bucket(kOne, {1, 9}, 7, {.impossible = 2, .unlisted = 1});
  expect_total(shards, 0, 0);
  shards.take_bucket(kOne, {2, 1}, 7, {.impossible = 2, .unlisted = 1});
  shards.take_digests(kOne, {1, 10}, {});
  expect_total(shards, 2, 1);
}

}  // namespace
}  // namespace dogfs
