#include "core/client/leader_finder.h"

#include <gtest/gtest.h>

namespace dogfs {
namespace {

const Address kA{"a"};
const Address kB{"b"};
const Address kC{"c"};
constexpr MonoTime kStart{seconds(10)};

class LeaderSearchTest : public testing::Test {
 protected:
  LeaderFinder finder_{{kA, kB, kC}};
  LeaderSearch search_{finder_, kStart};
};

TEST_F(LeaderSearchTest, EachNodeIsAskedOnceARound) {
  EXPECT_EQ(search_.next(), kA);
  EXPECT_EQ(search_.next(), kB);
  EXPECT_EQ(search_.next(), kC);
  EXPECT_EQ(search_.next(), std::nullopt);
  search_.start_round();
  EXPECT_EQ(search_.next(), kA);
}

TEST_F(LeaderSearchTest, TheBelievedLeaderIsAskedFirst) {
  finder_.found(kC);
  EXPECT_EQ(search_.next(), kC);
  EXPECT_EQ(search_.next(), kA);
}

TEST_F(LeaderSearchTest, ARedirectIsFollowedAtOnce) {
  EXPECT_EQ(search_.next(), kA);
  search_.redirected(kA, kC, kStart);
  EXPECT_EQ(search_.next(), kC);
}

TEST_F(LeaderSearchTest, ALeaderOutsideTheListIsFollowedToo) {
  EXPECT_EQ(search_.next(), kA);
  search_.redirected(kA, Address{"d"}, kStart);
  EXPECT_EQ(search_.next(), Address{"d"});
}

TEST_F(LeaderSearchTest, TwoNodesThatNameEachOtherEndTheRound) {
  EXPECT_EQ(search_.next(), kA);
  search_.redirected(kA, kB, kStart);
  EXPECT_EQ(search_.next(), kB);
  search_.redirected(kB, kA, kStart);
  EXPECT_EQ(search_.next(), kC);
  search_.failed(kC, Error(ErrorCode::kUnavailable));
  EXPECT_EQ(search_.next(), std::nullopt);
}

TEST_F(LeaderSearchTest, ALeaderThatFailsIsForgotten) {
  finder_.found(kB);
  EXPECT_EQ(search_.next(), kB);
  search_.failed(kB, Error(ErrorCode::kConnectionLost));
  EXPECT_EQ(finder_.leader(), std::nullopt);
}

TEST_F(LeaderSearchTest, OnlyAnAnswerThatNamesALeaderEndsTheLeaderlessTime) {
  EXPECT_EQ(search_.leaderless(kStart + seconds(2)), seconds(2));
  search_.redirected(kA, Address(), kStart + seconds(2));
  EXPECT_EQ(search_.leaderless(kStart + seconds(3)), seconds(3));
  search_.redirected(kA, kB, kStart + seconds(3));
  EXPECT_EQ(search_.leaderless(kStart + seconds(4)), seconds(1));
}

TEST_F(LeaderSearchTest, WhatEachNodeSaidIsTold) {
  search_.redirected(kA, Address(), kStart);
  search_.failed(kB, Error(ErrorCode::kUnavailable, "connection refused"));
  EXPECT_EQ(search_.describe(),
            "1 of 3 metadata nodes answered (a: knows no leader; b: unavailable: connection refused; c: not asked)");
}

}  // namespace
}  // namespace dogfs
