#include "core/meta/meta_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/wire/message_type.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"
#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;

TEST(MetaNode, MakesAClusterAndServesIt) {
  MetaCluster cluster(1);
  cluster.open_session();
  EXPECT_EQ(cluster.mkdir("/a").error.code, ErrorCode::kOk);
  wire::StatRequest stat;
  stat.set_path("/a");
  const auto status = cluster.ask_for<wire::StatReply>(MessageType::kStat, stat).status();
  EXPECT_TRUE(status.directory());
  EXPECT_EQ(status.name(), "a");
  EXPECT_EQ(status.owner(), "alice");
  EXPECT_EQ(status.policy().data_shards(), 3u);
  wire::ListRequest list;
  list.set_path("/");
  EXPECT_EQ(cluster.ask_for<wire::ListReply>(MessageType::kList, list).entries_size(), 1);
}

TEST(MetaNode, ARetriedRequestTakesEffectOnce) {
  MetaCluster cluster(3);
  cluster.open_session();
  wire::Mutation mutation;
  mutation.mutable_make_directory()->set_path("/a");
  const wire::MutateRequest request = cluster.next(mutation);
  const Reply first = cluster.ask(MessageType::kMutate, request);
  ASSERT_EQ(first.error.code, ErrorCode::kOk);
  cluster.metas_[cluster.leader()]->crash(sim::CrashKind::kPower);
  const Reply second = cluster.ask(MessageType::kMutate, request);
  EXPECT_EQ(second.error.code, ErrorCode::kOk) << second.error.to_string();
  EXPECT_EQ(second.body, first.body);
}

TEST(MetaNode, AsItsDiskFillsItRefusesWhatTakesRoomAndGoesOnWithTheRest) {
  MetaCluster cluster(1);
  cluster.open_session();
  wire::Mutation mutation;
  mutation.mutable_make_directory()->set_path("/a");
  const wire::MutateRequest first = cluster.next(mutation);
  ASSERT_EQ(cluster.ask(MessageType::kMutate, first).error.code, ErrorCode::kOk);
  const auto have_free = [&](uint64_t mebibytes) {
    cluster.metas_[0]->kv_disk()->set_space({.total_bytes = uint64_t{1} << 40, .free_bytes = mebibytes * kMiB});
    cluster.world_.run_for(seconds(6));
  };

  have_free(1023);
  EXPECT_EQ(cluster.mkdir("/b").error.code, ErrorCode::kNoSpace);
  EXPECT_TRUE(cluster.status_of(0).metadata_room_low());
  EXPECT_EQ(cluster.status_of(0).metadata_free_bytes(), int64_t{1023} * int64_t{kMiB});
  EXPECT_EQ(cluster.ask(MessageType::kMutate, first).error.code, ErrorCode::kOk) << "it is answered what it was before";
  wire::StatRequest stat;
  stat.set_path("/a");
  EXPECT_TRUE(cluster.ask_for<wire::StatReply>(MessageType::kStat, stat).status().directory());
  const auto remove = [](wire::Mutation& change) { change.mutable_delete_()->set_path("/a"); };
  EXPECT_EQ(cluster.change(remove).error.code, ErrorCode::kOk);

  have_free(2047);
  EXPECT_EQ(cluster.mkdir("/b").error.code, ErrorCode::kNoSpace);
  have_free(2049);
  EXPECT_EQ(cluster.mkdir("/b").error.code, ErrorCode::kOk);
  EXPECT_FALSE(cluster.status_of(0).metadata_room_low());
}

TEST(MetaNode, FollowersNameTheLeader) {
  MetaCluster cluster(3);
  cluster.open_session();
  const size_t leader = cluster.leader();
  const size_t follower = (leader + 1) % 3;
  wire::StatRequest stat;
  stat.set_path("/");
  const Reply read = cluster.ask_node(follower, make_request(MessageType::kStat, GroupId(), stat));
  EXPECT_EQ(read.error.code, ErrorCode::kNotLeader);
  EXPECT_EQ(read.leader, cluster.metas_[leader]->address());
  const Reply change = cluster.ask_node(follower, make_request(MessageType::kMutate, GroupId(), cluster.next([] {
                                          wire::Mutation mutation;
                                          mutation.mutable_make_directory()->set_path("/a");
                                          return mutation;
                                        }())));
  EXPECT_EQ(change.error.code, ErrorCode::kNotLeader);
}

TEST(MetaNode, WithoutAMajorityItSaysSoAndStillReportsItsStatus) {
  MetaCluster cluster(3);
  cluster.open_session();
  const size_t leader = cluster.leader();
  cluster.metas_[(leader + 1) % 3]->crash(sim::CrashKind::kPower);
  cluster.metas_[(leader + 2) % 3]->crash(sim::CrashKind::kPower);
  cluster.world_.run_for(seconds(3));
  wire::StatRequest stat;
  stat.set_path("/");
  const Reply reply = cluster.ask_node(leader, make_request(MessageType::kStat, GroupId(), stat));
  EXPECT_EQ(reply.error.code, ErrorCode::kNoLeader) << reply.error.to_string();
  const wire::ClusterStatusReply status = cluster.status_of(leader);
  EXPECT_FALSE(status.from_leader());
  EXPECT_EQ(status.answered_by(), leader + 1);
  EXPECT_EQ(status.cluster_uuid(), cluster.cluster_uuid_);
  ASSERT_EQ(status.nodes_size(), 3);
  EXPECT_FALSE(status.nodes(static_cast<int>((leader + 1) % 3)).reachable());
}

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

TEST(MetaNode, ARetriedAllocationIsAnsweredAfterItsServersWentSilent) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  wire::Mutation mutation;
  mutation.mutable_allocate_block()->set_inode(file.inode());
  mutation.mutable_allocate_block()->set_lease_epoch(file.lease_epoch());
  const wire::MutateRequest request = cluster.next(mutation);
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
  wire::Mutation mutation;
  mutation.mutable_allocate_block()->set_inode(file.inode());
  mutation.mutable_allocate_block()->set_lease_epoch(file.lease_epoch());
  const wire::MutateRequest request = cluster.next(mutation);
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
  wire::Mutation mutation;
  mutation.mutable_allocate_block()->set_inode(file.inode());
  mutation.mutable_allocate_block()->set_lease_epoch(file.lease_epoch());
  const wire::MutateRequest request = cluster.next(mutation);
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

TEST(MetaNode, ServersOfAnotherClusterAndUnknownOnesAreRefused) {
  MetaCluster cluster(1);
  cluster.open_session();
  cluster.add_servers(1);
  wire::RegisterServerRequest stranger = cluster.registration(1);
  stranger.set_cluster_uuid(std::string(16, 'x'));
  EXPECT_EQ(cluster.ask(MessageType::kRegisterServer, stranger).error.code, ErrorCode::kWrongCluster);
  wire::HeartbeatRequest beat = cluster.heartbeat_of(cluster.servers_[0]);
  beat.set_cluster_uuid(std::string(16, 'x'));
  EXPECT_EQ(cluster.ask(MessageType::kHeartbeat, beat).error.code, ErrorCode::kWrongCluster);
  beat = cluster.heartbeat_of(cluster.servers_[0]);
  beat.set_server(77);
  EXPECT_EQ(cluster.ask(MessageType::kHeartbeat, beat).error.code, ErrorCode::kNotFound);
  cluster.ask_for<wire::RegisterServerReply>(MessageType::kRegisterServer, cluster.registration(0));
  EXPECT_EQ(cluster.ask(MessageType::kHeartbeat, cluster.heartbeat_of(cluster.servers_[0])).error.code, ErrorCode::kOk)
      << "nothing was heard of the new process yet";
}

TEST(MetaNode, DeletesShardsOnlyThroughTheirServersAndForgetsWhatIsConfirmed) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  ASSERT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk);
  cluster.change([](wire::Mutation& mutation) { mutation.mutable_delete_()->set_path("/f"); });
  cluster.world_.run_for(seconds(1));
  EXPECT_EQ(cluster.status_of(cluster.leader()).garbage_shards(), 5u);
  for (const auto& server : cluster.servers_) {
    const auto reply = cluster.ask_for<wire::HeartbeatReply>(MessageType::kHeartbeat, cluster.heartbeat_of(server));
    ASSERT_EQ(reply.deletions_size(), 1);
    wire::HeartbeatRequest confirmation = cluster.heartbeat_of(server);
    *confirmation.mutable_deleted() = reply.deletions();
    const auto next = cluster.ask_for<wire::HeartbeatReply>(MessageType::kHeartbeat, confirmation);
    EXPECT_EQ(next.deletions_size(), 0);
  }
  cluster.world_.run_for(seconds(2));
  EXPECT_EQ(cluster.status_of(cluster.leader()).garbage_shards(), 0u);
}

// One that cannot be satisfied says so; one that can goes on until the server is removed, and then ends for good.
TEST(MetaNode, DrainsAndRemovesServers) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  cluster.write_block(file);
  wire::AdministerServerRequest request;
  request.set_server(cluster.servers_[0].server());
  request.set_wanted(wire::DRAINING);
  const Reply refused = cluster.ask(MessageType::kAdministerServer, request);
  EXPECT_EQ(refused.error.code, ErrorCode::kConflict);
  EXPECT_THAT(refused.error.detail, HasSubstr("no other server to go to"));
  EXPECT_EQ(cluster.status_of(cluster.leader()).servers(0).state(), wire::LIVE);
  request.set_force(true);
  EXPECT_EQ(cluster.ask_for<wire::AdministerServerReply>(MessageType::kAdministerServer, request).blocks(), 1u);
  EXPECT_EQ(cluster.status_of(cluster.leader()).servers(0).wanted(), wire::DRAINING);
  request.set_wanted(wire::REMOVED);
  EXPECT_EQ(cluster.ask(MessageType::kAdministerServer, request).error.code, ErrorCode::kConflict) << "by no force";
  // It stays so for ever, and the status says why.
  const auto held_up = [&cluster] {
    cluster.beat();
    cluster.world_.run_for(seconds(1));
    const wire::ClusterStatusReply status = cluster.status_of(cluster.leader());
    return status.hindrances_size() == 1 && status.servers(0).hindrances_size() == 1;
  };
  for (int i = 0; i < 10 && !held_up(); ++i) continue;
  const wire::ClusterStatusReply stuck = cluster.status_of(cluster.leader());
  ASSERT_EQ(stuck.hindrances_size(), 1) << stuck.ShortDebugString();
  EXPECT_EQ(stuck.hindrances(0).reason(), wire::RepairHindrance::TOO_FEW_SERVERS);
  EXPECT_EQ(stuck.hindrances(0).shards(), 1u);
  EXPECT_EQ(stuck.shards_to_go(), 1u);
  EXPECT_EQ(stuck.estimate_ms(), -1);
  EXPECT_GE(stuck.surveyed_ms(), 0);
  ASSERT_EQ(stuck.servers(0).hindrances_size(), 1);
  EXPECT_EQ(stuck.servers(0).hindrances(0).reason(), wire::RepairHindrance::TOO_FEW_SERVERS);
  EXPECT_EQ(stuck.servers(1).hindrances_size(), 0);
  EXPECT_EQ(cluster.status_of((cluster.leader() + 1) % 3).surveyed_ms(), -1) << "only the leader knows";

  cluster.change([](wire::Mutation& mutation) { mutation.mutable_delete_()->set_path("/f"); });
  cluster.world_.run_for(seconds(2));
  EXPECT_EQ(cluster.ask(MessageType::kAdministerServer, request).error.code, ErrorCode::kOk);
  cluster.world_.run_for(seconds(2));
  const Reply heartbeat = cluster.ask_node(
      cluster.leader(), make_request(MessageType::kHeartbeat, GroupId(), cluster.heartbeat_of(cluster.servers_[0])));
  EXPECT_EQ(heartbeat.error.code, ErrorCode::kConflict);
  EXPECT_EQ(cluster.ask(MessageType::kRegisterServer, cluster.registration(0)).error.code, ErrorCode::kConflict);
}

TEST(MetaNode, StatusCountsTheFilesThatAreBeingWrittenAndTheSessionsOnRequest) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const auto status = [&](bool count) {
    wire::ClusterStatusRequest request;
    request.set_count_blocks(count);
    wire::ClusterStatusReply reply;
    EXPECT_TRUE(reply.ParseFromString(
        cluster.ask_node(cluster.leader(), make_request(MessageType::kClusterStatus, GroupId(), request)).body));
    return reply;
  };
  EXPECT_EQ(status(true).open_files(), 0);
  cluster.create("/f");
  cluster.create("/g");
  EXPECT_EQ(status(true).open_files(), 2);
  EXPECT_EQ(status(true).sessions(), 1u);
  EXPECT_EQ(status(false).open_files(), -1);
  cluster.change([](wire::Mutation& mutation) { mutation.mutable_delete_()->set_path("/f"); });
  EXPECT_EQ(status(true).open_files(), 1);
}

TEST(MetaNode, StatusCountsTheShardsThatTheMapHasNoPlaceForAndTheFilesThatAreNotOurs) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  wire::HeartbeatRequest beat = cluster.heartbeat_of(cluster.servers_[1]);
  beat.set_foreign_files(3);
  EXPECT_EQ(cluster.ask(MessageType::kHeartbeat, beat).error.code, ErrorCode::kOk);
  wire::ReportShardsRequest report;
  report.set_server(cluster.servers_[0].server());
  report.set_incarnation(cluster.servers_[0].incarnation());
  report.set_sequence(1);
  report.add_shards()->mutable_shard()->set_block(1ULL << 40);  // never issued
  EXPECT_EQ(cluster.ask(MessageType::kReportShards, report).error.code, ErrorCode::kOk);
  wire::ClusterStatusReply status = cluster.status_of(cluster.leader());
  EXPECT_EQ(status.impossible_shards(), 1u);
  EXPECT_EQ(status.unlisted_shards(), 0u);
  EXPECT_EQ(status.foreign_files(), 3u);

  wire::ReportDigestsRequest digests;
  digests.set_server(report.server());
  digests.set_incarnation(report.incarnation());
  digests.set_sequence(2);
  EXPECT_EQ(cluster.ask(MessageType::kReportDigests, digests).error.code, ErrorCode::kOk);
  EXPECT_EQ(cluster.status_of(cluster.leader()).impossible_shards(), 0u) << "the server does not have it any more";
}

TEST(MetaNode, ASourceThatARepairFoundDamagedIsLookedAtByItsServer) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  wire::HeartbeatRequest beat = cluster.heartbeat_of(cluster.servers_[0]);
  wire::RepairOutcome& outcome = *beat.add_repairs();
  outcome.mutable_shard()->set_block(7);
  wire::Shard& suspect = *outcome.add_suspects();
  suspect.set_server(cluster.servers_[3].server());
  suspect.set_index(2);
  suspect.set_generation(9);
  EXPECT_EQ(cluster.ask(MessageType::kHeartbeat, beat).error.code, ErrorCode::kOk);
  const auto told =
      cluster.ask_for<wire::HeartbeatReply>(MessageType::kHeartbeat, cluster.heartbeat_of(cluster.servers_[3]));
  ASSERT_EQ(told.verify_size(), 1);
  EXPECT_EQ(told.verify(0).block(), 7u);
  EXPECT_EQ(told.verify(0).index(), 2u);
  EXPECT_EQ(told.verify(0).generation(), 9u);
}

TEST(MetaNode, AServerReadsAShardThroughBeforeItTakesTheDamagedOnesPlace) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(7);
  const wire::CreateFileResult file = cluster.create("/f");
  wire::MutateReply allocated;
  ASSERT_TRUE(allocated.ParseFromString(cluster.allocate(file).body));
  const wire::AllocateBlockResult& block = allocated.result().allocate_block();
  const wire::CommitBlock commit = MachineHarness::full_commit(file, block, 0, kGeometry.block_bytes);
  cluster.change([&](wire::Mutation& mutation) { *mutation.mutable_commit_block() = commit; });
  const wire::Shard& listed = commit.shards(0);
  wire::ReportShardsRequest report;
  wire::ReportedShard& late = *report.add_shards();
  late.mutable_shard()->set_block(block.block());
  late.mutable_shard()->set_index(listed.index());
  late.mutable_shard()->set_generation(listed.generation());
  late.set_length(commit.shards(0).length());
  late.set_crc32c(commit.shards(0).crc32c());
  for (const wire::RegisterServerReply& server : cluster.servers_) {
    if (server.server() != listed.server()) continue;
    wire::HeartbeatRequest beat = cluster.heartbeat_of(server);
    *beat.add_damaged() = late.shard();
    ASSERT_EQ(cluster.ask(MessageType::kHeartbeat, beat).error.code, ErrorCode::kOk);
  }
  cluster.world_.run_for(seconds(2));
  // Those that have no shard of the block. One of them may be about to get this one by a repair.
  int asked = 0;
  for (const wire::RegisterServerReply& server : cluster.servers_) {
    const auto has = [&](const wire::Shard& shard) { return shard.server() == server.server(); };
    if (std::ranges::any_of(commit.shards(), has)) continue;
    report.set_server(server.server());
    report.set_incarnation(server.incarnation());
    report.set_sequence(1);
    EXPECT_EQ(cluster.ask(MessageType::kReportShards, report).error.code, ErrorCode::kOk);
    const auto told = cluster.ask_for<wire::HeartbeatReply>(MessageType::kHeartbeat, cluster.heartbeat_of(server));
    for (const wire::ShardName& name : told.verify()) {
      EXPECT_EQ(name.SerializeAsString(), late.shard().SerializeAsString());
      ++asked;
    }
  }
  EXPECT_GE(asked, 1);
}

// HDFS-17658: a drained server was called empty, and stopped, while blocks that were being written were to be on it.
TEST(MetaNode, Hdfs17658ADrainedServerIsNotEmptyBeforeItsOpenBlocksEnd) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  wire::MutateReply allocated;
  ASSERT_TRUE(allocated.ParseFromString(cluster.allocate(file).body));
  wire::AdministerServerRequest request;
  request.set_server(cluster.servers_[0].server());
  request.set_wanted(wire::DRAINING);
  ASSERT_EQ(cluster.ask(MessageType::kAdministerServer, request).error.code, ErrorCode::kOk);
  const auto blocks_left = [&] {
    wire::ClusterStatusRequest count;
    count.set_count_blocks(true);
    wire::ClusterStatusReply status;
    const Reply reply = cluster.ask_node(cluster.leader(), make_request(MessageType::kClusterStatus, GroupId(), count));
    EXPECT_TRUE(status.ParseFromString(reply.body));
    return status.servers(0).blocks();
  };
  EXPECT_EQ(blocks_left(), 1) << "it is being written";
  cluster.change([&](wire::Mutation& mutation) {
    *mutation.mutable_commit_block() =
        MachineHarness::full_commit(file, allocated.result().allocate_block(), 0, kGeometry.block_bytes);
  });
  EXPECT_EQ(blocks_left(), 1) << "it was written";
  request.set_wanted(wire::REMOVED);
  EXPECT_EQ(cluster.ask(MessageType::kAdministerServer, request).error.code, ErrorCode::kConflict);
  cluster.change([](wire::Mutation& mutation) { mutation.mutable_delete_()->set_path("/f"); });
  cluster.world_.run_for(seconds(2));
  EXPECT_EQ(blocks_left(), 0);
  EXPECT_EQ(cluster.ask(MessageType::kAdministerServer, request).error.code, ErrorCode::kOk) << "empty is removable";
}

TEST(MetaNode, ServersMayBeAwayForMaintenanceUntilItIsOver) {
  MetaCluster cluster(3);
  cluster.options_.server_dead_limit = seconds(5);
  for (size_t i = 0; i < 3; ++i) {
    cluster.metas_[i]->crash(sim::CrashKind::kPower);
    cluster.start(i);
  }
  cluster.open_session();
  cluster.add_servers(2);
  wire::AdministerServerRequest request;
  request.set_server(cluster.servers_[0].server());
  request.set_wanted(wire::MAINTENANCE);
  EXPECT_EQ(cluster.ask(MessageType::kAdministerServer, request).error.code, ErrorCode::kInvalidArgument);
  request.set_maintenance_ms(20'000);
  ASSERT_EQ(cluster.ask(MessageType::kAdministerServer, request).error.code, ErrorCode::kOk);
  const auto state = [&](int i) { return cluster.status_of(cluster.leader()).servers(i).state(); };
  cluster.world_.run_for(seconds(12));
  EXPECT_EQ(state(0), wire::MAINTENANCE);
  EXPECT_EQ(state(1), wire::DEAD) << "nobody asked for it to be away";
  cluster.world_.run_for(seconds(10));
  EXPECT_EQ(state(0), wire::DEAD) << "its time was over";
}

// The block lies in racks of three and two servers; RS(3,2) bears the loss of two shards.
TEST(MetaNode, BalancingOrdersMovesFromTheTargetsAndEndsByItself) {
  MetaCluster cluster(3);
  cluster.racks_ = {"/a", "/a", "/a", "/b", "/b", "/c"};
  cluster.open_session();
  cluster.add_servers(5);
  cluster.write_block(cluster.create("/f"));
  wire::BalanceRequest request;
  request.set_action(wire::BalanceRequest::START);
  EXPECT_EQ(cluster.ask(MessageType::kBalance, request).error.code, ErrorCode::kInvalidArgument);
  request.set_threshold_percent(10);
  const auto status = [&] {
    return cluster.ask_for<wire::BalanceReply>(MessageType::kBalance, wire::BalanceRequest());
  };
  const auto run = [&](auto until) {
    for (int i = 0; i < 20 && !until(); ++i) {
      cluster.world_.run_for(milliseconds(500));
      cluster.beat();
    }
    EXPECT_TRUE(until()) << status().ShortDebugString();
  };
  // Whether it still measures when the answer is made is a matter of moments.
  EXPECT_EQ(cluster.ask_for<wire::BalanceReply>(MessageType::kBalance, request).threshold_percent(), 10u);
  run([&] { return status().balanced(); });
  EXPECT_EQ(status().threshold_percent(), 0u) << "there was no rack to go to";
  EXPECT_EQ(status().moves(), 0u);
  EXPECT_EQ(status().crowded_blocks(), 1u);
  EXPECT_EQ(status().stuck_blocks(), 1u);

  cluster.add_server(5);
  EXPECT_EQ(cluster.ask_for<wire::BalanceReply>(MessageType::kBalance, request).threshold_percent(), 10u);
  run([&] { return status().moves() == 1; });
  wire::HeartbeatReply ordered;
  run([&] {
    ordered = cluster.ask_for<wire::HeartbeatReply>(MessageType::kHeartbeat, cluster.heartbeat_of(cluster.servers_[5]));
    return ordered.repairs_size() == 1;
  });
  EXPECT_EQ(ordered.repairs(0).sources(0).index(), ordered.repairs(0).shard().index()) << "a copy, not a decoding";
  wire::HeartbeatRequest done = cluster.heartbeat_of(cluster.servers_[5]);
  wire::RepairOutcome& outcome = *done.add_repairs();
  *outcome.mutable_shard() = ordered.repairs(0).shard();
  outcome.set_length(ordered.repairs(0).length());
  outcome.set_crc32c(ordered.repairs(0).crc32c());
  cluster.ask(MessageType::kHeartbeat, done);
  run([&] { return status().balanced(); });
  EXPECT_EQ(status().crowded_blocks(), 0u);
  EXPECT_EQ(status().stuck_blocks(), 0u);
  wire::BalanceRequest stop;
  stop.set_action(wire::BalanceRequest::STOP);
  EXPECT_EQ(cluster.ask(MessageType::kBalance, stop).error.code, ErrorCode::kOk) << "it is off already";
}

TEST(MetaNode, ASilentWriterLosesItsLeaseAndOneThatRenewsDoesNot) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult silent = cluster.create("/silent");
  const wire::CreateFileResult renewed = cluster.create("/renewed");
  wire::RenewLeasesRequest renewal;
  renewal.set_session(cluster.session_);
  renewal.add_inodes(renewed.inode());
  for (int i = 0; i < 10; ++i) {
    cluster.world_.run_for(seconds(10));
    EXPECT_EQ(cluster.ask_for<wire::RenewLeasesReply>(MessageType::kRenewLeases, renewal).lost_size(), 0);
    cluster.beat();
  }
  EXPECT_EQ(cluster.allocate(silent).error.code, ErrorCode::kLeaseLost);
  EXPECT_EQ(cluster.allocate(renewed).error.code, ErrorCode::kOk);
  renewal.add_inodes(silent.inode());
  const auto reply = cluster.ask_for<wire::RenewLeasesReply>(MessageType::kRenewLeases, renewal);
  ASSERT_EQ(reply.lost_size(), 1);
  EXPECT_EQ(reply.lost(0), silent.inode());
}

// HDFS-17150: after a failover, the recovery of a lease asked for as many shards of the last block as decode it. Where
// the writer had died before there were so many, it failed for ever, and the file stayed open.
TEST(MetaNode, Hdfs17150ALeaseEndsAfterAFailoverThoughNoServerOfItsBlockIsLeft) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  cluster.write_block(file);
  ASSERT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk);
  cluster.metas_[cluster.leader()]->crash(sim::CrashKind::kPower);
  // Neither the writer nor a server is heard of any more.
  cluster.world_.run_for(seconds(100));
  const wire::ClusterStatusReply status = cluster.status_of(cluster.leader());
  for (const auto& server : status.servers()) EXPECT_EQ(server.state(), wire::DEAD);
  const Reply reply = cluster.change([](wire::Mutation& mutation) { mutation.mutable_append_file()->set_path("/f"); });
  ASSERT_EQ(reply.error.code, ErrorCode::kOk) << reply.error.to_string();
  wire::MutateReply appended;
  ASSERT_TRUE(appended.ParseFromString(reply.body));
  EXPECT_EQ(appended.result().append_file().length(), kGeometry.block_bytes) << "what was acknowledged";
  EXPECT_EQ(status.garbage_shards(), 5u) << "what was not";
}

TEST(MetaNode, AnIdleSessionIsForgottenAndNeverRunAgain) {
  MetaCluster cluster(1);
  cluster.options_.session_limit = seconds(100);
  cluster.metas_[0]->crash(sim::CrashKind::kPower);
  cluster.start(0);
  cluster.open_session();
  cluster.world_.run_for(seconds(50));
  EXPECT_EQ(cluster.mkdir("/a").error.code, ErrorCode::kOk);
  cluster.world_.run_for(seconds(130));
  EXPECT_EQ(cluster.mkdir("/b").error.code, ErrorCode::kSessionExpired);
}

TEST(MetaNode, RefusesWhatItDoesNotUnderstand) {
  MetaCluster cluster(1);
  cluster.open_session();
  Request unknown;
  unknown.type = static_cast<MessageType>(9999);
  EXPECT_EQ(cluster.ask_node(0, unknown).error.code, ErrorCode::kUnsupported);
  Request wrong_node = make_request(MessageType::kOpenShard, GroupId(), wire::StatRequest());
  EXPECT_EQ(cluster.ask_node(0, wrong_node).error.code, ErrorCode::kUnsupported);
  for (const MessageType type :
       {MessageType::kOpenSession, MessageType::kMutate, MessageType::kStat, MessageType::kList,
        MessageType::kGetBlocks, MessageType::kRenewLeases, MessageType::kSummary, MessageType::kClusterStatus,
        MessageType::kRegisterServer, MessageType::kHeartbeat}) {
    Request garbage;
    garbage.type = type;
    garbage.body = "\xff\xff\xff";
    EXPECT_EQ(cluster.ask_node(0, garbage).error.code, ErrorCode::kProtocolError) << message_type_name(type);
  }
  EXPECT_EQ(cluster.ask_node(0, make_request(MessageType::kStat, GroupId(7), wire::StatRequest())).error.code,
            ErrorCode::kInvalidArgument);
  wire::MutateRequest nameless;
  EXPECT_EQ(cluster.ask(MessageType::kMutate, nameless).error.code, ErrorCode::kInvalidArgument);
}

TEST(MetaNode, SummaryAddsUpATreeInSteps) {
  MetaCluster cluster(1);
  cluster.open_session();
  cluster.mkdir("/a");
  for (int i = 0; i < 20; ++i) {
    const std::string name = "/a/" + std::to_string(i);
    cluster.mkdir(name);
    cluster.create(name + "/f");
  }
  wire::SummaryRequest request;
  request.set_path("/");
  const auto sum = cluster.ask_for<wire::SummaryReply>(MessageType::kSummary, request);
  EXPECT_EQ(sum.directories(), 22u);
  EXPECT_EQ(sum.files(), 20u);
  EXPECT_EQ(sum.least_spares(), 0u);
}

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
  EXPECT_THAT(refusal(add(2, "elsewhere")).detail, HasSubstr("a member already"));
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

TEST(MetaNode, ServersAreToldByEveryNodeWhoTheMetadataNodesAre) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(1);
  for (size_t i = 0; i < 3; ++i) {
    const Reply reply = cluster.ask_node(
        i, make_request(MessageType::kHeartbeat, GroupId(), cluster.heartbeat_of(cluster.servers_[0])));
    wire::HeartbeatReply message;
    ASSERT_TRUE(message.ParseFromString(reply.body));
    EXPECT_THAT(message.meta_nodes(), ::testing::ElementsAre("meta-1", "meta-2", "meta-3"));
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

TEST(MetaNode, StopsWithRequestsUnderWay) {
  MetaCluster cluster(3);
  cluster.open_session();
  const size_t leader = cluster.leader();
  cluster.metas_[(leader + 1) % 3]->crash(sim::CrashKind::kPower);
  cluster.metas_[(leader + 2) % 3]->crash(sim::CrashKind::kPower);
  wire::StatRequest stat;
  stat.set_path("/");
  sim::Node& node = *cluster.metas_[leader];
  cluster.world_.spawn(cluster.client_, [](Env& env, Address to, Request request) -> Task<void> {
    const Result<Reply> ignored =
        co_await env.transport.call(std::move(to), std::move(request), env.clock.now() + seconds(60));
    EXPECT_TRUE(ignored.has_value());
  }(cluster.client_.env(), node.address(), make_request(MessageType::kStat, GroupId(), stat)));
  cluster.world_.run_for(milliseconds(50));
  const auto stop = [](MetaNode& meta) -> Task<bool> {
    co_await meta.stop();
    co_return true;
  };
  EXPECT_EQ(cluster.world_.run(node, stop(*cluster.programs_[leader]), seconds(5)), std::optional<bool>(true));
}

}  // namespace
}  // namespace dogfs
