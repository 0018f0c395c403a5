// Majority arithmetic over the voters of a group.
//
// Everything that Raft decides by majority is one question: what is the greatest value that a majority has reached?
// Asked of match indices it gives the commit index, of read rounds the confirmed round, of times of last contact the
// moment at which the leader last had a quorum. A joint configuration will ask it of two sets and take the smaller.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "core/base/check.h"
#include "core/base/ids.h"

namespace dogfs::raft {

enum class VoteResult : uint8_t { kPending, kWon, kLost };

class VoterSet {
 public:
  explicit VoterSet(std::vector<NodeId> voters) : voters_(std::move(voters)) {
    std::sort(voters_.begin(), voters_.end());
    DOGFS_CHECK(!voters_.empty() && std::adjacent_find(voters_.begin(), voters_.end()) == voters_.end(),
                "voters must be distinct, and at least one");
  }

  const std::vector<NodeId>& voters() const { return voters_; }
  size_t size() const { return voters_.size(); }
  size_t majority() const { return voters_.size() / 2 + 1; }
  bool contains(NodeId node) const { return std::binary_search(voters_.begin(), voters_.end(), node); }

  // The greatest value v such that value_of(voter) >= v for a majority of the voters.
  template <class ValueOf>
  auto reached_by_majority(ValueOf value_of) const {
    std::vector<decltype(value_of(NodeId()))> values;
    values.reserve(voters_.size());
    for (const NodeId voter : voters_) values.push_back(value_of(voter));
    const auto nth = values.begin() + static_cast<std::ptrdiff_t>(majority() - 1);
    std::nth_element(values.begin(), nth, values.end(), std::greater<>());
    return *nth;
  }

  // What `votes` (granted or refused, by voter) say so far. Votes of others do not count.
  VoteResult result(const std::map<NodeId, bool>& votes) const {
    size_t granted = 0;
    size_t refused = 0;
    for (const auto& [voter, grant] : votes) {
      if (contains(voter)) ++(grant ? granted : refused);
    }
    if (granted >= majority()) return VoteResult::kWon;
    return size() - refused < majority() ? VoteResult::kLost : VoteResult::kPending;
  }

 private:
  std::vector<NodeId> voters_;
};

}  // namespace dogfs::raft
