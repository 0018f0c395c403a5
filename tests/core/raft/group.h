// A group in memory that has elected node 1, and words for what tests of whole groups do to it.
#pragma once

#include <gtest/gtest.h>

#include "tests/core/raft/cluster.h"

namespace dogfs::raft {

inline std::vector<NodeId> nodes(std::initializer_list<uint64_t> ids) {
  std::vector<NodeId> result;
  for (const uint64_t id : ids) result.emplace_back(id);
  return result;
}

inline MembershipChange add(uint64_t id) {
  return {.add = {{NodeId(id), Address()}}};
}

class Group : public TestCluster {
 public:
  explicit Group(size_t size, Options options = Options()) : TestCluster(size, options, 1) {
    // With leases nobody votes in the first election timeout.
    if (options.lease_drift_bound) advance(options.election_timeout);
    campaign(NodeId(1));
    settle();
  }

  Raft& raft(uint64_t id) { return *node(NodeId(id)).raft; }
  // Time passes as it does when all is well.
  void live(Duration duration) {
    for (Duration lived{}; lived < duration && !violation(); lived += milliseconds(10)) {
      advance(milliseconds(10));
      for (auto& [id, each] : nodes()) tick(id);
      settle();
    }
  }
  // Node `id` joins and has the whole log as a learner.
  void join_as_learner(uint64_t id) {
    join(NodeId(id));
    ASSERT_TRUE(change(leader(), add(id)).has_value());
    settle();
    live(milliseconds(100));
  }
  void drop_messages_of(uint64_t id) {
    std::erase_if(network(), [&](const Message& m) { return m.from == NodeId(id) || m.to == NodeId(id); });
  }
  Error refusal(const MembershipChange& change) {
    const Result<LogPosition> begun = TestCluster::change(leader(), change);
    return begun ? Error(ErrorCode::kOk) : begun.error();
  }
  Configuration configuration(uint64_t id) { return raft(id).configuration(); }
};

}  // namespace dogfs::raft
