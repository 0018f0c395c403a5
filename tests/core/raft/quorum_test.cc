#include "core/raft/quorum.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace dogfs::raft {
namespace {

std::vector<NodeId> nodes(size_t count) {
  std::vector<NodeId> result;
  for (size_t i = 1; i <= count; ++i) result.emplace_back(i);
  return result;
}

TEST(Quorum, MajorityIsMoreThanHalf) {
  const size_t expected[] = {1, 2, 2, 3, 3, 4, 4};
  for (size_t size = 1; size <= 7; ++size) EXPECT_EQ(VoterSet(nodes(size)).majority(), expected[size - 1]);
}

// Model: try every value that anybody has, and count who reached it.
RC_GTEST_PROP(Quorum, ReachedByMajorityIsTheGreatestValueThatEnoughVotersHave, ()) {
  const size_t size = *rc::gen::inRange<size_t>(1, 8);
  const auto values = *rc::gen::container<std::vector<uint64_t>>(size, rc::gen::inRange<uint64_t>(0, 6));
  const VoterSet voters(nodes(size));
  uint64_t expected = 0;
  for (const uint64_t candidate : values) {
    const auto reached = std::count_if(values.begin(), values.end(), [&](uint64_t v) { return v >= candidate; });
    if (static_cast<size_t>(reached) > size / 2) expected = std::max(expected, candidate);
  }
  RC_ASSERT(voters.reached_by_majority([&](NodeId node) { return values[node.value() - 1]; }) == expected);
}

// Model: an election is won (lost) when it would be, whatever those who are silent answer.
RC_GTEST_PROP(Quorum, AnElectionIsDecidedWhenTheSilentCannotChangeIt, ()) {
  const size_t size = *rc::gen::inRange<size_t>(1, 8);
  const auto answers = *rc::gen::container<std::vector<int>>(size, rc::gen::inRange(0, 3));
  std::map<NodeId, bool> votes;
  size_t granted = 0;
  size_t silent = 0;
  for (size_t i = 0; i < size; ++i) {
    if (answers[i] == 2) ++silent;
    if (answers[i] == 1) ++granted;
    if (answers[i] != 2) votes.emplace(NodeId(i + 1), answers[i] == 1);
  }
  VoteResult expected = VoteResult::kPending;
  if (granted > size / 2) expected = VoteResult::kWon;
  if (granted + silent <= size / 2) expected = VoteResult::kLost;
  RC_ASSERT(VoterSet(nodes(size)).result(votes) == expected);
}

TEST(Quorum, VotesOfOthersDoNotCount) {
  const VoterSet voters(nodes(3));
  EXPECT_EQ(voters.result({{NodeId(1), true}, {NodeId(8), true}, {NodeId(9), true}}), VoteResult::kPending);
  EXPECT_EQ(voters.result({{NodeId(8), false}, {NodeId(9), false}}), VoteResult::kPending);
}

}  // namespace
}  // namespace dogfs::raft
