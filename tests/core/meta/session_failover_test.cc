// Client sessions over what befalls the nodes that keep them: snapshots, restarts, new leaders, clocks that are wrong.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "core/meta/tables.h"
#include "core/raft/raft.h"
#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

constexpr Duration kSessionLimit = seconds(40);

struct ClientSession {
  uint64_t id = 0;
  uint64_t sequence = 0;
};

// Three nodes that keep next to nothing of the log.
class SessionCluster : public MetaCluster {
 public:
  explicit SessionCluster(uint64_t seed = 1) : MetaCluster(3, seed, options()) {}

  ClientSession connect() {
    open_session();
    return {session_, 0};
  }
  wire::MutateRequest mkdir_of(ClientSession& session, const std::string& path) {
    wire::Mutation mutation;
    mutation.mutable_make_directory()->set_path(path);
    return next_of(session, std::move(mutation));
  }
  wire::MutateRequest remove_of(ClientSession& session, const std::string& path) {
    wire::Mutation mutation;
    mutation.mutable_delete_()->set_path(path);
    return next_of(session, std::move(mutation));
  }
  Reply send(const wire::MutateRequest& request) { return ask(MessageType::kMutate, request); }
  ErrorCode outcome(const wire::MutateRequest& request) { return send(request).error.code; }

  bool exists(const std::string& path) {
    wire::StatRequest stat;
    stat.set_path(path);
    return ask(MessageType::kStat, stat).error.code == ErrorCode::kOk;
  }
  const raft::Raft& raft(size_t i) { return *programs_.at(i)->replica().raft(); }
  // What is on the node's own disk, of what is behind its applied index at least.
  bool keeps(size_t i, ClientSession session) {
    return MetaTables(*metas_[i]->kv_disk(), GroupId()).session(SessionId(session.id)).value().has_value();
  }
  bool keeps_reply(size_t i, ClientSession session, uint64_t sequence) {
    const MetaTables tables(*metas_[i]->kv_disk(), GroupId());
    return tables.reply(SessionId(session.id), SequenceNumber(sequence)).value().has_value();
  }

  // Whether all nodes have applied the leader's whole log within a while.
  bool converge() {
    return world_.run_until(
        [this] {
          const std::optional<size_t> leads = find_leader();
          if (!leads || raft(*leads).log().term_at(raft(*leads).applied()) != raft(*leads).term()) return false;
          for (size_t i = 0; i < metas_.size(); ++i) {
            if (!metas_[i]->up() || raft(i).applied() != raft(*leads).log().last_index()) return false;
          }
          return true;
        },
        seconds(20));
  }

  // Node i comes to lead, after as many others as it takes have died and come back.
  void lead(size_t i) {
    while (leader() != i) {
      const size_t before = leader();
      metas_[before]->crash(sim::CrashKind::kPower);
      ASSERT_TRUE(world_.run_until([this] { return find_leader().has_value(); }, seconds(20)));
      start(before);
      ASSERT_TRUE(converge());
    }
  }

  // Takes a follower down, until `meanwhile` is over and the others have dropped what it lacks; it comes back by a
  // snapshot. Returns which one.
  template <class Meanwhile>
  size_t bring_up_by_snapshot(Meanwhile meanwhile) {
    const size_t follower = (leader() + 1) % metas_.size();
    const LogIndex last = raft(follower).log().last_index();
    metas_[follower]->crash(sim::CrashKind::kPower);
    meanwhile();
    EXPECT_GT(raft(leader()).log().base().index, last) << "it can be brought up with the log";
    start(follower);
    EXPECT_TRUE(converge());
    EXPECT_GT(raft(follower).log().base().index, last);
    return follower;
  }

 private:
  static MetaOptions options() {
    MetaOptions options;
    options.log = {{SIZE_MAX, 5}, {SIZE_MAX, 10}};
    options.session_limit = kSessionLimit;
    options.lease_limit = seconds(2);
    return options;
  }
  static wire::MutateRequest next_of(ClientSession& session, wire::Mutation mutation) {
    wire::MutateRequest request;
    request.set_session(session.id);
    request.set_sequence(++session.sequence);
    request.set_low_water(session.sequence);
    *request.mutable_mutation() = std::move(mutation);
    return request;
  }
};

TEST(SessionFailover, WhatTheLogExpiredIsExpiredWhoeverLeads) {
  SessionCluster cluster;
  ClientSession idle = cluster.connect();
  ClientSession busy = cluster.connect();
  const wire::MutateRequest request = cluster.mkdir_of(idle, "/a");
  ASSERT_EQ(cluster.outcome(request), ErrorCode::kOk);
  ASSERT_EQ(cluster.outcome(cluster.remove_of(busy, "/a")), ErrorCode::kOk);
  ASSERT_TRUE(cluster.converge());
  const size_t lagging = cluster.bring_up_by_snapshot([&] {
    const size_t leader = cluster.leader();
    for (int i = 0; cluster.keeps(leader, idle) && i < 60; ++i) {
      cluster.world_.run_for(seconds(1));
      ASSERT_EQ(cluster.outcome(cluster.mkdir_of(busy, "/busy-" + std::to_string(i))), ErrorCode::kOk);
    }
    ASSERT_FALSE(cluster.keeps(leader, idle));
  });
  EXPECT_FALSE(cluster.keeps(lagging, idle)) << "nor does who was not there when it was expired";
  EXPECT_FALSE(cluster.keeps_reply(lagging, idle, request.sequence()));
  EXPECT_TRUE(cluster.keeps(lagging, busy));
  for (const size_t leader : {lagging, (lagging + 1) % 3, (lagging + 2) % 3}) {
    cluster.lead(leader);
    EXPECT_EQ(cluster.outcome(request), ErrorCode::kSessionExpired) << leader;
    EXPECT_EQ(cluster.outcome(cluster.mkdir_of(idle, "/new")), ErrorCode::kSessionExpired) << leader;
    EXPECT_EQ(cluster.leader(), leader);
    EXPECT_FALSE(cluster.exists("/a")) << leader;
    EXPECT_FALSE(cluster.exists("/new")) << leader;
  }
}

TEST(SessionFailover, AKeptReplyOutlivesSnapshotsRestartsAndLeaders) {
  SessionCluster cluster;
  ClientSession patient = cluster.connect();
  ClientSession busy = cluster.connect();
  const wire::MutateRequest request = cluster.mkdir_of(patient, "/a");
  const Reply first = cluster.send(request);
  ASSERT_EQ(first.error.code, ErrorCode::kOk);
  ASSERT_EQ(cluster.outcome(cluster.remove_of(busy, "/a")), ErrorCode::kOk);
  ASSERT_TRUE(cluster.converge());
  const size_t lagging = cluster.bring_up_by_snapshot([&] {
    for (int i = 0; i < 30; ++i) {
      ASSERT_EQ(cluster.outcome(cluster.mkdir_of(busy, "/busy-" + std::to_string(i))), ErrorCode::kOk);
    }
  });
  cluster.metas_[lagging]->crash(sim::CrashKind::kPower);
  cluster.start(lagging);
  ASSERT_TRUE(cluster.converge());
  for (const size_t leader : {lagging, (lagging + 1) % 3, (lagging + 2) % 3}) {
    cluster.lead(leader);
    const Reply again = cluster.send(request);
    EXPECT_EQ(again.error.code, ErrorCode::kOk) << again.error.to_string();
    EXPECT_EQ(again.body, first.body) << leader;
    EXPECT_EQ(cluster.leader(), leader);
    EXPECT_FALSE(cluster.exists("/a")) << "it was run again at node " << leader;
  }
  // The next request says that the reply was received.
  ASSERT_EQ(cluster.outcome(cluster.mkdir_of(patient, "/b")), ErrorCode::kOk);
  EXPECT_EQ(cluster.outcome(request), ErrorCode::kOutcomeUnknown);
  EXPECT_FALSE(cluster.exists("/a"));
}

TEST(SessionFailover, WallClocksDecideNothing) {
  SessionCluster cluster;
  ClientSession early = cluster.connect();
  for (sim::Node* node : cluster.metas_) node->set_clock_error({.wall = std::chrono::hours(10)});
  for (int i = 0; i < 5; ++i) {
    cluster.world_.run_for(kSessionLimit / 2);
    EXPECT_EQ(cluster.outcome(cluster.mkdir_of(early, "/early-" + std::to_string(i))), ErrorCode::kOk);
  }
  for (sim::Node* node : cluster.metas_) node->set_clock_error({.wall = -std::chrono::hours(10)});
  cluster.world_.run_for(kSessionLimit + kSessionLimit / 2);
  EXPECT_EQ(cluster.outcome(cluster.mkdir_of(early, "/late")), ErrorCode::kSessionExpired);
}

// Nor does the monotonic clock of one node: a leader whose clock has jumped has heard of nobody since, and steps down.
TEST(SessionFailover, AClockThatJumpsExpiresNobody) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SessionCluster cluster(seed);
    ClientSession session = cluster.connect();
    ASSERT_EQ(cluster.outcome(cluster.mkdir_of(session, "/a")), ErrorCode::kOk);
    for (int jump = 0; jump < 5; ++jump) {
      cluster.metas_[cluster.leader()]->jump_clock(2 * kSessionLimit);
      // Long enough for the leader, whoever that is now, to look for idle sessions.
      cluster.world_.run_for(milliseconds(9000 + 13 * jump));
      ASSERT_EQ(cluster.outcome(cluster.mkdir_of(session, "/b-" + std::to_string(jump))), ErrorCode::kOk)
          << "seed " << seed << ", jump " << jump;
    }
  }
}

}  // namespace
}  // namespace dogfs
