#include "core/meta/meta_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/base/limits.h"
#include "core/meta/block_report.h"
#include "core/wire/message_type.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"
#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;

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

// A shard on each of five servers, of a file that is deleted.
void leave_garbage(MetaCluster& cluster) {
  cluster.open_session();
  cluster.add_servers(5);
  const wire::CreateFileResult file = cluster.create("/f");
  ASSERT_EQ(cluster.allocate(file).error.code, ErrorCode::kOk);
  cluster.change([](wire::Mutation& mutation) { mutation.mutable_delete_()->set_path("/f"); });
  cluster.world_.run_for(seconds(1));
}

TEST(MetaNode, DeletesShardsOnlyThroughTheirServersAndForgetsWhatIsConfirmed) {
  MetaCluster cluster(3);
  leave_garbage(cluster);
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

// By its rows what others have listed since could go.
TEST(MetaNode, ALeaderThatIsCutOffOrdersNoDeletions) {
  MetaCluster cluster(3);
  leave_garbage(cluster);
  const size_t leader = cluster.leader();
  const auto ask = [&] {
    const Reply reply = cluster.ask_node(
        leader, make_request(MessageType::kHeartbeat, GroupId(), cluster.heartbeat_of(cluster.servers_[0])));
    wire::HeartbeatReply message;
    EXPECT_TRUE(message.ParseFromString(reply.body));
    return message.deletions_size();
  };
  EXPECT_EQ(ask(), 1);
  for (size_t i = 0; i < 3; ++i) {
    if (i == leader) continue;
    cluster.world_.network().block(cluster.metas_[leader]->index(), cluster.metas_[i]->index());
    cluster.world_.network().block(cluster.metas_[i]->index(), cluster.metas_[leader]->index());
  }
  EXPECT_EQ(cluster.programs_[leader]->replica().status().role, RaftRole::kLeader) << "it does not know yet";
  EXPECT_EQ(ask(), 0);
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

// A block of which the first five of seven servers have a shard.
void write_block_to_five_of_seven(MetaCluster& cluster) {
  cluster.open_session();
  cluster.add_servers(5);
  cluster.write_block(cluster.create("/f"));
  for (int i = 5; i < 7; ++i) cluster.add_server(i);
  cluster.beat();
}

Reply drain(MetaCluster& cluster, size_t server) {
  wire::AdministerServerRequest request;
  request.set_server(cluster.servers_[server].server());
  request.set_wanted(wire::DRAINING);
  return cluster.ask(MessageType::kAdministerServer, request);
}

TEST(MetaNode, DrainsThatCannotAllBeSatisfiedAreNotAllAccepted) {
  MetaCluster cluster(3);
  write_block_to_five_of_seven(cluster);
  for (const size_t server : {0, 1}) EXPECT_EQ(drain(cluster, server).error.code, ErrorCode::kOk);
  const Reply refused = drain(cluster, 2);
  EXPECT_EQ(refused.error.code, ErrorCode::kConflict);
  EXPECT_THAT(refused.error.detail, HasSubstr("no other server to go to"));
}

// Only what is emptied already has taken the room.
TEST(MetaNode, ADrainMindsTheRoomThatAnotherNeeds) {
  MetaCluster cluster(3);
  write_block_to_five_of_seven(cluster);
  cluster.free_bytes_[cluster.servers_[5].server()] = shard_file_bound(kGeometry.shard_bytes());
  cluster.free_bytes_[cluster.servers_[6].server()] = 0;
  cluster.beat();
  EXPECT_EQ(drain(cluster, 0).error.code, ErrorCode::kOk);
  EXPECT_EQ(drain(cluster, 1).error.code, ErrorCode::kNoSpace);
}

TEST(MetaNode, ALeaderThatWasCutOffItselfDoesNotTakeTheServersForAwayWhenOneIsToGo) {
  MetaCluster cluster(3);
  cluster.open_session();
  cluster.add_servers(5);
  cluster.write_block(cluster.create("/f"));
  cluster.world_.run_for(seconds(4));
  cluster.metas_[cluster.leader()]->crash(sim::CrashKind::kPower);
  cluster.world_.run_until([&] { return cluster.find_leader().has_value(); }, seconds(20));
  wire::AdministerServerRequest request;
  request.set_server(cluster.servers_[0].server());
  request.set_wanted(wire::MAINTENANCE);
  request.set_maintenance_ms(1000);
  const auto ask = [&] {
    return cluster.ask_node(cluster.leader(), make_request(MessageType::kAdministerServer, GroupId(), request))
        .error.code;
  };
  EXPECT_EQ(ask(), ErrorCode::kUnavailable);
  cluster.world_.run_for(cluster.options_.server_silence_limit);
  EXPECT_EQ(ask(), ErrorCode::kConflict) << "they are away";
  cluster.beat();
  EXPECT_EQ(ask(), ErrorCode::kOk);
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

TEST(MetaNode, AReportOfTooManyBucketsIsRefused) {
  MetaCluster cluster(1);
  cluster.open_session();
  cluster.add_servers(1);
  wire::ReportDigestsRequest digests;
  digests.set_server(cluster.servers_[0].server());
  digests.set_incarnation(cluster.heartbeat_of(cluster.servers_[0]).incarnation());
  for (int bucket = 0; bucket < kMaxReportBuckets; ++bucket) digests.add_buckets()->set_bucket(bucket);
  EXPECT_EQ(cluster.ask(MessageType::kReportDigests, digests).error.code, ErrorCode::kOk);
  digests.add_buckets()->set_bucket(kMaxReportBuckets);
  const Reply refused = cluster.ask(MessageType::kReportDigests, digests);
  EXPECT_EQ(refused.error.code, ErrorCode::kLimitExceeded);
  EXPECT_THAT(refused.error.detail, HasSubstr("too many buckets"));
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
  const wire::AllocateBlockResult block = cluster.allocated_block(file);
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
  const wire::AllocateBlockResult block = cluster.allocated_block(file);
  wire::AdministerServerRequest request;
  request.set_server(cluster.servers_[0].server());
  request.set_wanted(wire::DRAINING);
  ASSERT_EQ(cluster.ask(MessageType::kAdministerServer, request).error.code, ErrorCode::kOk);
  const auto counted = [&] {
    wire::ClusterStatusRequest count;
    count.set_count_blocks(true);
    wire::ClusterStatusReply status;
    const Reply reply = cluster.ask_node(cluster.leader(), make_request(MessageType::kClusterStatus, GroupId(), count));
    EXPECT_TRUE(status.ParseFromString(reply.body));
    return status.servers(0);
  };
  const auto blocks_left = [&] { return counted().blocks(); };
  EXPECT_EQ(blocks_left(), 1) << "it is being written";
  EXPECT_EQ(counted().open_blocks(), 1u);
  cluster.change([&](wire::Mutation& mutation) {
    *mutation.mutable_commit_block() = MachineHarness::full_commit(file, block, 0, kGeometry.block_bytes);
  });
  EXPECT_EQ(blocks_left(), 1) << "it was written";
  EXPECT_EQ(counted().open_blocks(), 0u) << "it can go";
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

wire::BalanceReply balance_status(MetaCluster& cluster) {
  return cluster.ask_for<wire::BalanceReply>(MessageType::kBalance, wire::BalanceRequest());
}

template <class Condition>
void beat_until(MetaCluster& cluster, Condition until, int beats = 20) {
  for (int i = 0; i < beats && !until(); ++i) {
    cluster.world_.run_for(milliseconds(500));
    cluster.beat();
  }
  EXPECT_TRUE(until()) << balance_status(cluster).ShortDebugString();
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
  const auto status = [&] { return balance_status(cluster); };
  const auto run = [&](auto until) { beat_until(cluster, until); };
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

// Such a server is to be rid of shards itself.
TEST(MetaNode, BalancingMovesNothingToAServerWithoutRoom) {
  MetaCluster cluster(1);
  cluster.racks_ = {"/a", "/a", "/a", "/b", "/b", "/c"};
  cluster.open_session();
  cluster.add_servers(5);
  cluster.write_block(cluster.create("/f"));
  cluster.add_server(5);
  cluster.free_bytes_[cluster.servers_[5].server()] = kRoomyTimes * full_below(1ULL << 40) - 1;
  cluster.beat();
  wire::BalanceRequest request;
  request.set_action(wire::BalanceRequest::START);
  request.set_threshold_percent(10);
  EXPECT_EQ(cluster.ask(MessageType::kBalance, request).error.code, ErrorCode::kOk);
  beat_until(cluster, [&] { return balance_status(cluster).balanced(); });
  const wire::BalanceReply status = balance_status(cluster);
  EXPECT_EQ(status.moves(), 0u);
  EXPECT_EQ(status.stuck_blocks(), 1u);
}

// A drained server whose shards have nowhere to go would be waited for for ever.
TEST(MetaNode, BalancingDoesNotWaitForWhatNobodyCanRepair) {
  MetaCluster cluster(1);
  cluster.open_session();
  cluster.add_servers(5);
  cluster.write_block(cluster.create("/f"));
  wire::AdministerServerRequest drain;
  drain.set_server(cluster.servers_[0].server());
  drain.set_wanted(wire::DRAINING);
  drain.set_force(true);
  cluster.ask_for<wire::AdministerServerReply>(MessageType::kAdministerServer, drain);
  wire::BalanceRequest request;
  request.set_action(wire::BalanceRequest::START);
  request.set_threshold_percent(10);
  cluster.ask_for<wire::BalanceReply>(MessageType::kBalance, request);
  EXPECT_FALSE(balance_status(cluster).balanced());
  beat_until(cluster, [&] { return balance_status(cluster).balanced(); }, 60);
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

}  // namespace
}  // namespace dogfs
