// Majority arithmetic over the voters of a group.
//
// Everything that Raft decides by majority is one question: what is the greatest value that a majority has reached?
// Asked of match indices it gives the commit index, of read rounds the confirmed round, of times of last contact the
// moment at which the leader last had a quorum. A joint configuration asks it of two sets and takes the smaller answer.
#pragma once

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <type_traits>
#include <vector>

#include "core/base/check.h"
#include "core/base/ids.h"

namespace dogfs::raft {

enum class VoteResult : uint8_t { kPending, kWon, kLost };

class VoterSet {
 public:
  explicit VoterSet(std::vector<NodeId> voters) : voters_(std::move(voters)) {
    std::sort(voters_.begin(), voters_.end());
    DOGFS_CHECK(std::adjacent_find(voters_.begin(), voters_.end()) == voters_.end(), "voters must be distinct");
  }

  const std::vector<NodeId>& voters() const { return voters_; }
  bool empty() const { return voters_.empty(); }
  size_t size() const { return voters_.size(); }
  size_t majority() const { return voters_.size() / 2 + 1; }
  bool contains(NodeId node) const { return std::binary_search(voters_.begin(), voters_.end(), node); }

  // The greatest value v such that value_of(voter) >= v for a majority of the voters. Precondition: not empty.
  template <class ValueOf>
  auto reached_by_majority(ValueOf value_of) const {
    DOGFS_CHECK(!voters_.empty(), "nobody decides nothing");
    using Value = decltype(value_of(NodeId()));
    static_assert(!std::is_same_v<Value, bool>, "a vector of bool has no values to return");
    std::vector<Value> values;
    values.reserve(voters_.size());
    for (const NodeId voter : voters_) values.push_back(value_of(voter));
    const auto nth = values.begin() + static_cast<std::ptrdiff_t>(majority() - 1);
    std::nth_element(values.begin(), nth, values.end(), std::greater<>());
    return *nth;
  }

  // What `votes` (granted or refused, by voter) say so far. Votes of others do not count. An empty set elects nobody.
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

// Those whose agreement a decision needs: a majority of `incoming` and, in a joint configuration, one of `outgoing` too.
class Quorum {
 public:
  explicit Quorum(VoterSet incoming, VoterSet outgoing = VoterSet({}))
      : incoming_(std::move(incoming)), outgoing_(std::move(outgoing)) {}

  bool contains(NodeId node) const { return incoming_.contains(node) || outgoing_.contains(node); }
  // All who vote, each once, sorted.
  std::vector<NodeId> voters() const {
    std::vector<NodeId> all;
    std::set_union(incoming_.voters().begin(), incoming_.voters().end(), outgoing_.voters().begin(),
                   outgoing_.voters().end(), std::back_inserter(all));
    return all;
  }
  // Whether `node` decides alone.
  bool is_only(NodeId node) const {
    return incoming_.size() == 1 && outgoing_.size() <= 1 && voters() == std::vector<NodeId>{node};
  }

  // The greatest value that a quorum has reached. Precondition: somebody votes.
  template <class ValueOf>
  auto reached(ValueOf value_of) const {
    const auto incoming = incoming_.reached_by_majority(value_of);
    return outgoing_.empty() ? incoming : std::min(incoming, outgoing_.reached_by_majority(value_of));
  }

  VoteResult result(const std::map<NodeId, bool>& votes) const {
    const VoteResult incoming = incoming_.result(votes);
    const VoteResult outgoing = outgoing_.empty() ? VoteResult::kWon : outgoing_.result(votes);
    if (incoming == VoteResult::kLost || outgoing == VoteResult::kLost) return VoteResult::kLost;
    return incoming == VoteResult::kWon ? outgoing : incoming;
  }

 private:
  VoterSet incoming_;
  VoterSet outgoing_;
};

}  // namespace dogfs::raft
