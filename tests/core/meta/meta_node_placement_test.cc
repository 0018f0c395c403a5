#include "core/meta/meta_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/wire/message_type.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"
#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;

TEST(MetaNode, PlacesBlocksOnServersThatLive) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(6);
  const wire::CreateFileResult file = cluster.create("/f");
  const Reply reply = cluster.allocate(file);
  ASSERT_EQ(reply.error.code, ErrorCode::kOk) << reply.error.to_string();
  wire::MutateReply message;
  ASSERT_TRUE(message.ParseFromString(reply.body));
  const wire::AllocateBlockResult& block = message.result().allocate_block();
  ASSERT_EQ(block.targets_size(), 5);
  for (const wire::Shard& target : block.targets()) {
    EXPECT_THAT(target.server_address(), HasSubstr("chunk-"));
    EXPECT_NE(target.generation(), 0u);
  }
}

// A client of a later release, or one that means harm: what nobody knows here is not kept in the rows.
TEST(MetaNode, WhatARequestHasBesideWhatIsKnownComesIntoNoRow) {
  MetaCluster cluster(3);
  cluster.open_session();
  wire::EcPolicy policy = geometry_to_wire(kGeometry);
  policy.GetReflection()->MutableUnknownFields(&policy)->AddLengthDelimited(100, std::string(2000, 'x'));
  const Reply set = cluster.change([&](wire::Mutation& mutation) {
    mutation.mutable_set_policy()->set_path("/");
    *mutation.mutable_set_policy()->mutable_policy() = policy;
  });
  ASSERT_EQ(set.error.code, ErrorCode::kOk) << set.error.to_string();
  EXPECT_EQ(cluster.create("/f").policy().SerializeAsString(), geometry_to_wire(kGeometry).SerializeAsString());
}

TEST(MetaNode, WaitsAfterItsStartForServersThatItHasNotHeardOfRatherThanPlaceABlockShort) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(4);
  cluster.ask_for<wire::RegisterServerReply>(MessageType::kRegisterServer, cluster.registration(4));
  const wire::CreateFileResult file = cluster.create("/f");
  const auto since_start = [&] { return cluster.world_.now().time_since_epoch(); };
  const Duration limit = cluster.options_.server_silence_limit;
  ASSERT_LT(since_start(), limit);
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk) << "d + 1 are enough once the other is known to be away";
  EXPECT_GE(since_start(), limit);
}

TEST(MetaNode, RefusesAtOnceWhatTooFewServersCanHold) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(4);
  const wire::CreateFileResult file = cluster.create("/f");
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk) << "d + 1 are enough";
  cluster.world_.run_for(seconds(4));
  const Reply reply = cluster.allocate(file);
  EXPECT_EQ(reply.error.code, ErrorCode::kInsufficientServers);
  EXPECT_THAT(reply.error.detail, HasSubstr("4 needed, 0 available"));
  cluster.beat();
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk);
}

// The refusal is in the log: were it only the leader's word, an attempt from before could still have its effect.
TEST(MetaNode, AllAttemptsAtABlockThatWasRefusedForWantOfServersAreRefused) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(4);
  const wire::CreateFileResult file = cluster.create("/f");
  cluster.world_.run_for(seconds(4));
  const wire::MutateRequest request = cluster.next_allocation(file);
  EXPECT_EQ(cluster.ask(MessageType::kMutate, request).error.code, ErrorCode::kInsufficientServers);
  cluster.beat();
  const Reply again = cluster.ask(MessageType::kMutate, request);
  EXPECT_EQ(again.error.code, ErrorCode::kInsufficientServers);
  EXPECT_THAT(again.error.detail, HasSubstr("4 needed, 0 available"));
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk);
}

TEST(MetaNode, AFullClusterSaysThatItIsFull) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  const uint64_t file_bytes = shard_file_bound(kGeometry.shard_bytes());
  const auto fill = [&](size_t servers) {
    cluster.free_bytes_.clear();
    for (size_t i = 0; i < servers; ++i) cluster.free_bytes_[cluster.servers_[i].server()] = file_bytes - 1;
    cluster.beat();
  };
  const auto outlast_silence = [&] {
    for (int i = 0; i < 4; ++i) {
      cluster.world_.run_for(seconds(1));
      cluster.beat();
    }
  };
  outlast_silence();
  fill(1);
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk) << "d + 1 are enough";
  fill(2);
  Reply reply = cluster.allocate(file);
  EXPECT_EQ(reply.error.code, ErrorCode::kNoSpace);
  EXPECT_THAT(reply.error.detail,
              HasSubstr(std::to_string(file_bytes) + " bytes on each of 4 chunk servers, and 3 of 5"));
  fill(5);
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kNoSpace);
  // With room they would be too few.
  cluster.servers_.resize(3);
  outlast_silence();
  reply = cluster.allocate(file);
  EXPECT_EQ(reply.error.code, ErrorCode::kInsufficientServers);
  EXPECT_THAT(reply.error.detail,
              HasSubstr("4 needed, 0 available (3 alive, 0 of them in use for this block or excluded, 3 full)"));
}

// However much they have free in all.
TEST(MetaNode, AFullDiskIsNoRoom) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  for (const auto& server : cluster.servers_) cluster.full_.insert(server.server());
  for (int i = 0; i < 4; ++i) {
    cluster.world_.run_for(seconds(1));
    cluster.beat();
  }
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kNoSpace);
  cluster.full_ = {1};
  cluster.beat();
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk) << "d + 1 are enough";
}

// For the first shard of a block that will have so many bytes. 0: it may become a full one.
Reply replace_target(MetaCluster& cluster, const wire::CreateFileResult& file, const wire::AllocateBlockResult& block,
                     uint64_t length = 0) {
  return cluster.change([&](wire::Mutation& mutation) {
    wire::ReplaceTarget& message = *mutation.mutable_replace_target();
    message.set_inode(file.inode());
    message.set_lease_epoch(file.lease_epoch());
    message.set_block(block.block());
    message.set_length(length);
  });
}

TEST(MetaNode, AReplacementNeedsNoMoreRoomThanTheShardWillTake) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(6);
  const wire::CreateFileResult file = cluster.create("/f");
  const wire::AllocateBlockResult block = cluster.allocated_block(file);
  const uint64_t room = shard_file_bound(kGeometry.cell_bytes);
  for (const auto& server : cluster.servers_) cluster.free_bytes_[server.server()] = room;
  cluster.beat();
  EXPECT_EQ(replace_target(cluster, file, block).error.code, ErrorCode::kInsufficientServers)
      << "it may become a full block";
  EXPECT_EQ(replace_target(cluster, file, block, kGeometry.stripe_bytes()).error.code, ErrorCode::kOk);
}

TEST(MetaNode, ABlockThatIsUnderWayIsNotRefusedForWantOfRoom) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(6);
  const wire::CreateFileResult file = cluster.create("/f");
  const wire::AllocateBlockResult block = cluster.allocated_block(file);
  for (const auto& server : cluster.servers_) cluster.free_bytes_[server.server()] = 0;
  cluster.beat();
  const Reply reply = replace_target(cluster, file, block);
  EXPECT_EQ(reply.error.code, ErrorCode::kInsufficientServers);
  EXPECT_THAT(reply.error.detail, HasSubstr("1 full"));
}

TEST(MetaNode, TargetsOfABlockThatAreReplacedAtOnceGoToDifferentServers) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(7);
  const wire::CreateFileResult file = cluster.create("/f");
  // Two servers are left for each block: the second replacement has one to go to.
  for (int i = 0; i < 10; ++i) {
    cluster.beat();
    const wire::AllocateBlockResult block = cluster.allocated_block(file);
    std::vector<wire::MutateRequest> requests;
    for (uint32_t index = 0; index < 2; ++index) {
      wire::Mutation mutation;
      wire::ReplaceTarget& message = *mutation.mutable_replace_target();
      message.set_inode(file.inode());
      message.set_lease_epoch(file.lease_epoch());
      message.set_block(block.block());
      message.set_index(index);
      requests.push_back(cluster.next(std::move(mutation)));
      requests.back().set_low_water(requests.front().sequence());
    }
    std::set<uint64_t> servers;
    for (const Reply& reply : cluster.ask_at_once(MessageType::kMutate, requests)) {
      ASSERT_EQ(reply.error.code, ErrorCode::kOk) << reply.error.to_string();
      wire::MutateReply message;
      ASSERT_TRUE(message.ParseFromString(reply.body));
      servers.insert(message.result().replace_target().target().server());
    }
    EXPECT_EQ(servers.size(), 2u);
  }
}

TEST(MetaNode, ARetriedAllocationIsAnsweredAfterItsServersWentSilent) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  const wire::MutateRequest request = cluster.next_allocation(file);
  const Reply first = cluster.ask(MessageType::kMutate, request);
  ASSERT_EQ(first.error.code, ErrorCode::kOk) << first.error.to_string();
  cluster.world_.run_for(seconds(4));
  const Reply second = cluster.ask(MessageType::kMutate, request);
  EXPECT_EQ(second.error.code, ErrorCode::kOk) << second.error.to_string();
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kInsufficientServers) << "a new one is refused";
}

TEST(MetaNode, ANewLeaderKnowsTheServersAtOnce) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  cluster.metas_[cluster.leader()]->crash(sim::CrashKind::kPower);
  cluster.world_.run_until([&] { return cluster.find_leader().has_value(); }, seconds(20));
  cluster.beat();
  EXPECT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk);
}

TEST(MetaNode, ALeaderThatWasCutOffItselfDoesNotTakeTheServersForDead) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  cluster.world_.run_for(seconds(4));
  cluster.metas_[cluster.leader()]->crash(sim::CrashKind::kPower);
  cluster.world_.run_until([&] { return cluster.find_leader().has_value(); }, seconds(20));
  cluster.target_ = cluster.leader();
  const wire::MutateRequest request = cluster.next_allocation(file);
  Request once = make_request(MessageType::kMutate, GroupId(), request);
  once.principal = "alice";
  Reply reply = cluster.ask_node(cluster.target_, std::move(once));
  EXPECT_EQ(reply.error.code, ErrorCode::kUnavailable) << reply.error.to_string();
  cluster.beat();
  reply = cluster.ask(MessageType::kMutate, request);
  EXPECT_EQ(reply.error.code, ErrorCode::kOk) << reply.error.to_string();
}

TEST(MetaNode, ARetriedAllocationNamesServersThatTheNewLeaderHasNotHeardOf) {
  MetaCluster cluster(3);
  cluster.open_session();
  const size_t first = cluster.leader();
  for (int i = 0; i < 5; ++i) {
    cluster.servers_.push_back(
        cluster.ask_for<wire::RegisterServerReply>(MessageType::kRegisterServer, cluster.registration(i)));
    cluster.ask_node(first,
                     make_request(MessageType::kHeartbeat, GroupId(), cluster.heartbeat_of(cluster.servers_.back())));
  }
  const wire::CreateFileResult file = cluster.create("/f");
  const wire::MutateRequest request = cluster.next_allocation(file);
  const Reply reply = cluster.ask(MessageType::kMutate, request);
  ASSERT_EQ(reply.error.code, ErrorCode::kOk) << reply.error.to_string();
  cluster.metas_[first]->crash(sim::CrashKind::kPower);
  cluster.world_.run_until([&] { return cluster.find_leader().has_value(); }, seconds(20));
  EXPECT_EQ(cluster.ask(MessageType::kMutate, request).body, reply.body);
  wire::MutateReply message;
  ASSERT_TRUE(message.ParseFromString(reply.body));
  ASSERT_EQ(message.result().allocate_block().targets_size(), 5);
  EXPECT_THAT(message.result().allocate_block().targets(0).server_address(), HasSubstr("chunk-"));
}

}  // namespace
}  // namespace dogfs
