#include "core/client/leader_finder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/limits.h"

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

// The nodes that it was told of are replaced one by one: it goes on with those that led since.
TEST_F(LeaderSearchTest, LaterLeadersAreAskedToo) {
  search_.redirected(kA, Address{"d"}, kStart);
  search_.answered(Address{"d"}, kStart);
  search_.answered(Address{"e"}, kStart);
  search_.failed(Address{"e"}, Error(ErrorCode::kUnavailable), kStart);
  search_.start_round();
  EXPECT_EQ(search_.next(), Address{"e"});
  EXPECT_EQ(search_.next(), Address{"d"});
  EXPECT_EQ(search_.next(), kA);
  EXPECT_NE(search_.describe().find("2 of 5 metadata nodes answered"), std::string::npos) << search_.describe();
}

TEST_F(LeaderSearchTest, OfLaterLeadersAFewAreRemembered) {
  for (int i = 0; i < 100; ++i) finder_.found(Address{"later-" + std::to_string(i)});
  finder_.found(Address{"later-90"});
  ASSERT_EQ(finder_.later_nodes().size(), kMaxRaftMembers);
  EXPECT_EQ(finder_.later_nodes().front(), Address{"later-90"});
  EXPECT_EQ(std::ranges::count(finder_.later_nodes(), Address{"later-90"}), 1);
}

TEST_F(LeaderSearchTest, TwoNodesThatNameEachOtherEndTheRound) {
  EXPECT_EQ(search_.next(), kA);
  search_.redirected(kA, kB, kStart);
  EXPECT_EQ(search_.next(), kB);
  search_.redirected(kB, kA, kStart);
  EXPECT_EQ(search_.next(), kC);
  search_.failed(kC, Error(ErrorCode::kUnavailable), kStart);
  EXPECT_EQ(search_.next(), std::nullopt);
}

TEST_F(LeaderSearchTest, ALeaderThatFailsIsForgotten) {
  finder_.found(kB);
  EXPECT_EQ(search_.next(), kB);
  search_.failed(kB, Error(ErrorCode::kConnectionLost), kStart);
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
  search_.failed(kB, Error(ErrorCode::kUnavailable, "timed out"), kStart);
  EXPECT_EQ(search_.describe(),
            "1 of 3 metadata nodes answered (a: knows no leader; b: unavailable: timed out; c: not asked)");
}

TEST_F(LeaderSearchTest, ANodeThatAnswersThatItCannotHasAnswered) {
  search_.unable(kA, Error(ErrorCode::kShuttingDown));
  search_.failed(kB, Error(ErrorCode::kRefused), kStart);
  search_.failed(kC, Error(ErrorCode::kRefused), kStart);
  EXPECT_EQ(search_.describe(),
            "1 of 3 metadata nodes answered (a: shutting down; b: connection refused; c: connection refused)");
}

// Whether a search among `nodes` nodes of which the first `refusing` refuse connections is without hope.
bool is_hopeless(size_t nodes, size_t refusing) {
  std::vector<Address> addresses;
  for (size_t i = 0; i < nodes; ++i) addresses.push_back(Address{std::to_string(i)});
  LeaderFinder finder(addresses);
  LeaderSearch search(finder, kStart);
  for (size_t i = 0; i < refusing; ++i) {
    search.failed(addresses[i], Error(ErrorCode::kRefused), kStart);
    search.failed(addresses[i], Error(ErrorCode::kRefused), kStart + kRefusalConfirmation);
  }
  return search.majority_refuses();
}

TEST(MajorityRefuses, ExactlyWhenTheOthersAreNoMajority) {
  for (size_t nodes = 1; nodes <= 7; ++nodes) {
    for (size_t refusing = 0; refusing <= nodes; ++refusing) {
      EXPECT_EQ(is_hopeless(nodes, refusing), 2 * (nodes - refusing) <= nodes) << nodes << " " << refusing;
    }
  }
}

class RefusalTest : public LeaderSearchTest {
 protected:
  void refuse(const Address& node, Duration after) { search_.failed(node, Error(ErrorCode::kRefused), kStart + after); }
};

TEST_F(RefusalTest, CountsOnlyOnceConfirmed) {
  refuse(kA, Duration(0));
  refuse(kB, Duration(0));
  EXPECT_FALSE(search_.majority_refuses());
  refuse(kA, kRefusalConfirmation);
  refuse(kB, kRefusalConfirmation - milliseconds(1));
  EXPECT_FALSE(search_.majority_refuses());
  refuse(kB, kRefusalConfirmation);
  EXPECT_TRUE(search_.majority_refuses());
}

TEST_F(RefusalTest, IsForgottenWhenTheNodeDoesAnythingElse) {
  refuse(kA, Duration(0));
  refuse(kB, Duration(0));
  refuse(kA, kRefusalConfirmation);
  search_.failed(kB, Error(ErrorCode::kTimeout), kStart + milliseconds(50));
  refuse(kB, kRefusalConfirmation);
  EXPECT_FALSE(search_.majority_refuses());
  search_.redirected(kB, Address(), kStart + seconds(1));
  refuse(kB, seconds(2));
  EXPECT_FALSE(search_.majority_refuses());
}

TEST_F(RefusalTest, OfTheListedNodesIsNoMatterWhileAnotherLeads) {
  search_.answered(Address{"d"}, kStart);
  for (const Address& node : {kA, kB, kC}) {
    refuse(node, Duration(0));
    refuse(node, seconds(1));
  }
  EXPECT_FALSE(search_.majority_refuses());
}

TEST_F(RefusalTest, OfTheListedNodesIsNoMatterOnceTheMembersHaveChanged) {
  search_.redirected(kC, Address{"d"}, kStart);
  search_.failed(Address{"d"}, Error(ErrorCode::kConnectionLost), kStart);
  LeaderSearch next(finder_, kStart);
  for (const Duration after : {Duration(0), Duration(seconds(1))}) {
    next.failed(kA, Error(ErrorCode::kRefused), kStart + after);
    next.failed(kB, Error(ErrorCode::kRefused), kStart + after);
    next.redirected(kC, Address(), kStart + after);
  }
  EXPECT_FALSE(next.majority_refuses());
}

}  // namespace
}  // namespace dogfs
