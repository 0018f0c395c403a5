#include "core/meta/meta_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/base/limits.h"
#include "core/wire/message_type.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"
#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;

// The change of one list of the request, or its refusal.
Result<wire::MembershipReply> change_members(MetaCluster& cluster,
                                             const std::function<void(wire::ChangeMembershipRequest&)>& fill) {
  wire::ChangeMembershipRequest request;
  fill(request);
  DOGFS_TRY(TypedReply<wire::MembershipReply> reply,
            parse_reply<wire::MembershipReply>(cluster.ask(MessageType::kChangeMembership, request)));
  return std::move(reply.message);
}

TEST(MetaNode, OperatorsChangeItsMembersOrLearnWhyNot) {
  MetaCluster cluster(3);
  cluster.open_session();
  const auto refusal = [&](const std::function<void(wire::ChangeMembershipRequest&)>& fill) {
    const Result<wire::MembershipReply> reply = change_members(cluster, fill);
    return reply ? Error(ErrorCode::kOk) : reply.error();
  };
  const auto add = [](uint64_t node, const std::string& address) {
    return [=](wire::ChangeMembershipRequest& request) {
      request.add_add()->set_node(node);
      request.mutable_add(0)->set_address(address);
    };
  };
  const Result<wire::MembershipReply> added = change_members(cluster, add(4, "meta-4"));
  ASSERT_TRUE(added.has_value()) << added.error().to_string();
  ASSERT_EQ(added.value().members_size(), 4);
  EXPECT_EQ(added.value().members(3).role(), wire::MembershipReply::LEARNER);
  EXPECT_EQ(added.value().last_id(), 4U);
  EXPECT_TRUE(added.value().from_leader());

  const Error behind = refusal([](wire::ChangeMembershipRequest& request) { request.add_promote(4); });
  EXPECT_EQ(behind.code, ErrorCode::kConflict);
  EXPECT_THAT(behind.detail, HasSubstr("catch up"));
  EXPECT_THAT(refusal(add(2, "elsewhere")).detail, HasSubstr("a member already, at meta-2"));
  EXPECT_EQ(refusal(add(5, "")).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal(add(0, "meta-0")).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal([](wire::ChangeMembershipRequest&) {}).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal([](wire::ChangeMembershipRequest& request) {
              for (uint64_t id = 10; id <= 10 + kMaxRaftMembers; ++id) request.add_remove(id);
            }).code,
            ErrorCode::kLimitExceeded);

  const auto remove = [](wire::ChangeMembershipRequest& request) { request.add_remove(4); };
  ASSERT_TRUE(change_members(cluster, remove).has_value());
  ASSERT_TRUE(change_members(cluster, remove).has_value()) << "it is so already";
  const auto members = cluster.ask_for<wire::MembershipReply>(MessageType::kMembership, wire::MembershipRequest());
  EXPECT_EQ(members.members_size(), 3);
}

TEST(MetaNode, AnAddressWhereNobodyCanBeCalledTakesNoId) {
  MetaOptions options;
  options.check_address = [](const Address& address) -> Status {
    if (address.value.starts_with("meta-")) return ok();
    return Error(ErrorCode::kInvalidArgument, "nobody is called that");
  };
  MetaCluster cluster(3, 1, options);
  const auto add = [&](const std::string& address) {
    return change_members(cluster, [&](wire::ChangeMembershipRequest& request) {
      request.add_add()->set_node(4);
      request.mutable_add(0)->set_address(address);
    });
  };
  const Result<wire::MembershipReply> refused = add("elsewhere");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().detail, HasSubstr("nobody is called that"));
  ASSERT_TRUE(add("meta-44").has_value());
  const Result<wire::MembershipReply> moved = add("meta-4");
  ASSERT_TRUE(moved.has_value()) << moved.error().to_string();
  EXPECT_EQ(moved.value().members(3).address(), "meta-4") << "a learner's wrong address is put right";
  EXPECT_EQ(moved.value().last_id(), 4U);
}

TEST(MetaNode, OnlyTheLeaderSaysHowFarTheMembersHaveTheLog) {
  MetaCluster cluster(3);
  cluster.open_session();
  const size_t leader = cluster.leader();
  for (size_t i = 0; i < 3; ++i) {
    const auto describe = [&](MessageType type, const auto& request) {
      return cluster.ask_node(i, make_request(type, GroupId(), request));
    };
    const auto members =
        parse_reply<wire::MembershipReply>(describe(MessageType::kMembership, wire::MembershipRequest()));
    ASSERT_TRUE(members.has_value());
    EXPECT_GT(members.value().message.last_index(), 0U);
    for (const auto& member : members.value().message.members()) {
      EXPECT_EQ(member.has_match_index(), i == leader) << i << " of " << member.node();
    }
    const auto status =
        parse_reply<wire::ClusterStatusReply>(describe(MessageType::kClusterStatus, wire::ClusterStatusRequest()));
    ASSERT_TRUE(status.has_value());
    for (const auto& node : status.value().message.nodes()) EXPECT_EQ(node.has_match_index(), i == leader);
  }
}

TEST(MetaNode, OneThatWasRemovedNamesTheVoters) {
  for (const size_t place : {0, 1}) {  // the leader, and a follower
    MetaCluster cluster(3);
    cluster.open_session();
    const size_t removed = (cluster.leader() + place) % 3;
    cluster.target_ = cluster.leader();
    const auto remove = [&](wire::ChangeMembershipRequest& request) { request.add_remove(removed + 1); };
    ASSERT_TRUE(change_members(cluster, remove).has_value());
    cluster.world_.run_for(seconds(2));
    std::set<std::string> named;
    for (int i = 0; i < 20; ++i) {
      wire::MembershipRequest request;
      request.set_only_leader(true);
      const Reply reply = cluster.ask_node(removed, make_request(MessageType::kMembership, GroupId(), request));
      EXPECT_EQ(reply.error.code, ErrorCode::kNotLeader);
      named.insert(reply.leader.value);
    }
    std::set<std::string> voters{"meta-1", "meta-2", "meta-3"};
    voters.erase(cluster.metas_[removed]->name());
    EXPECT_EQ(named, voters);
  }
}

TEST(MetaNode, LeadershipIsHandedOverOnRequestAndWhenTheLeaderStops) {
  MetaCluster cluster(3);
  cluster.open_session();
  const size_t first = cluster.leader();
  const size_t second = (first + 1) % 3;
  wire::TransferLeadershipRequest request;
  request.set_target(second + 1);
  cluster.target_ = first;
  EXPECT_EQ(cluster.ask(MessageType::kTransferLeadership, request).error.code, ErrorCode::kOk);
  ASSERT_TRUE(cluster.world_.run_until([&] { return cluster.find_leader() == second; }, seconds(5)));
  const Term term = cluster.programs_[second]->replica().status().term;

  const auto stop = [](MetaNode& meta) -> Task<bool> {
    co_await meta.stop();
    co_return true;
  };
  sim::Node& node = *cluster.metas_[second];
  EXPECT_EQ(cluster.world_.run(node, stop(*cluster.programs_[second]), seconds(5)), std::optional<bool>(true));
  node.crash(sim::CrashKind::kPower);
  EXPECT_EQ(cluster.programs_[cluster.leader()]->replica().status().term, term.next()) << "nobody waited for a timeout";
}

}  // namespace
}  // namespace dogfs
