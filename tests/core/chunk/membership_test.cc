#include "core/chunk/membership.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/chunk/deleted_shards.h"
#include "tests/core/chunk/chunk_world.h"

namespace dogfs {
namespace {

const std::string kData = ChunkWorld::data(1, 100'000);

TEST(Membership, TheServerKeepsItsIdentityOverRestarts) {
  ChunkWorld w;
  ASSERT_TRUE(w.wait_registered());
  EXPECT_EQ(w.server->id(), ServerId(7));
  const std::string uuid = w.meta.registrations.back().uuid();
  EXPECT_EQ(uuid.size(), kUuidBytes);
  EXPECT_EQ(w.meta.registrations.back().cluster_uuid(), "");
  w.restart();
  EXPECT_EQ(w.server->id(), ServerId(7)) << "known before it registers again";
  w.world.run_for(seconds(3));
  EXPECT_EQ(w.meta.registrations.back().uuid(), uuid);
  EXPECT_EQ(w.meta.registrations.back().cluster_uuid(), w.meta.cluster_uuid);
  EXPECT_EQ(w.meta.registrations.back().address(), "chunk");
  EXPECT_EQ(w.meta.heartbeats.back().incarnation(), w.meta.registrations.size());
}

// Power cuts at every moment of a first start: the metadata must never see two uuids of one server once it was told
// one.
TEST(Membership, TheUuidIsDurableBeforeItIsUsed) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    ChunkWorld w(seed, 2);
    w.world.run_for(microseconds(static_cast<int64_t>(seed * 100)));
    w.restart();
    ASSERT_TRUE(w.wait_registered());
    w.restart();
    w.world.run_for(seconds(3));
    EXPECT_EQ(w.meta.servers.size(), 1U) << seed;
  }
}

TEST(Membership, NoShardIsTakenBeforeTheRegistration) {
  ChunkOptions options;
  options.meta_nodes = {Address{"nobody"}};
  ChunkWorld w(1, 1, options);
  w.world.run_for(seconds(3));
  EXPECT_EQ(w.open(ChunkWorld::key(1)), ErrorCode::kUnavailable);
}

TEST(Membership, RedirectsAreFollowedToTheLeader) {
  ChunkWorld w;
  FakeMeta other;
  w.meta.refusal = Error(ErrorCode::kNotLeader);
  w.meta.leader = Address{"meta-2"};
  w.meta.leads = false;
  sim::Node& second = w.world.add_node("meta-2");
  second.env().transport.serve(other);
  ASSERT_TRUE(w.wait_registered());
  EXPECT_EQ(other.registrations.size(), 1U);
}

TEST(Membership, AllMetadataNodesHearHeartbeatsEvenWhenSomeAreDown) {
  ChunkOptions options;
  options.meta_nodes = {Address{"meta"}, Address{"nobody"}, Address{"meta-2"}};
  ChunkWorld w(1, 1, options);
  FakeMeta other;
  other.leads = false;
  sim::Node& second = w.world.add_node("meta-2");
  second.env().transport.serve(other);
  ASSERT_TRUE(w.wait_registered());
  w.world.run_for(seconds(20));
  EXPECT_GE(w.meta.heartbeats.size(), 15U);
  EXPECT_GE(other.heartbeats.size(), 15U);
}

// While two nodes call themselves leader, one that only the new one knows of comes and goes with their answers.
TEST(Membership, ANodeThatLeavesAndReturnsHearsOneHeartbeatAnInterval) {
  ChunkOptions options;
  options.meta_nodes = {Address{"meta"}, Address{"meta-2"}};
  ChunkWorld w(1, 1, options);
  FakeMeta other;
  FakeMeta third;
  third.leads = false;
  w.world.add_node("meta-2").env().transport.serve(other);
  w.world.add_node("meta-3").env().transport.serve(third);
  w.meta.meta_nodes = {"meta", "meta-2"};
  other.meta_nodes = {"meta", "meta-2", "meta-3"};
  ASSERT_TRUE(w.wait_registered());
  w.world.run_for(seconds(30));
  EXPECT_GE(third.heartbeats.size(), 5U);
  EXPECT_LE(third.heartbeats.size(), 32U);
}

TEST(Membership, TheMetadataHearsOfTheServerAsSoonAsItIsRegistered) {
  ChunkWorld w;
  ASSERT_TRUE(w.wait_registered());
  EXPECT_TRUE(w.world.run_until([&] { return !w.meta.heartbeats.empty(); }, milliseconds(100)));
}

TEST(Membership, HeartbeatsTellSpaceShardsAndTransfers) {
  ChunkWorld w;
  ASSERT_TRUE(w.wait_registered());
  ASSERT_EQ(w.write(ChunkWorld::key(1), kData), ErrorCode::kOk);
  ASSERT_EQ(w.write(ChunkWorld::key(2), kData), ErrorCode::kOk);
  w.world.run_for(seconds(3));
  const wire::HeartbeatRequest& heard = w.meta.heartbeats.back();
  EXPECT_EQ(heard.server(), 7U);
  EXPECT_EQ(heard.cluster_uuid(), w.meta.cluster_uuid);
  EXPECT_EQ(heard.shards(), 2U);
  EXPECT_EQ(heard.total_bytes(), 1ULL << 40);
  EXPECT_EQ(heard.free_bytes(), heard.total_bytes() - 2 * shard_file_bytes(kData.size()));
}

TEST(Membership, AServerThatIsNotKnownRegistersAgain) {
  for (const ErrorCode code : {ErrorCode::kNotFound, ErrorCode::kConflict}) {
    ChunkWorld w;
    ASSERT_TRUE(w.wait_registered());
    w.world.run_for(seconds(3));
    const size_t registrations = w.meta.registrations.size();
    w.meta.heartbeat_refusal = Error(code);
    ASSERT_TRUE(w.world.run_until([&] { return w.meta.registrations.size() > registrations; }, seconds(10)));
    w.meta.heartbeat_refusal.reset();
    w.world.run_for(seconds(3));
    EXPECT_EQ(w.meta.heartbeats.back().incarnation(), w.meta.registrations.size());
    EXPECT_EQ(w.meta.servers.size(), 1U);
  }
}

TEST(Membership, AServerRegistersAgainWithNodesThatHaveReplacedAllThatItWasToldOf) {
  ChunkWorld w;
  FakeMeta later;
  w.meta.meta_nodes = {"meta-2"};
  w.world.add_node("meta-2").env().transport.serve(later);
  ASSERT_TRUE(w.wait_registered());
  w.world.run_for(seconds(3));
  w.meta_node.crash(sim::CrashKind::kPower);
  later.heartbeat_refusal = Error(ErrorCode::kNotFound);
  EXPECT_TRUE(w.world.run_until([&] { return !later.registrations.empty(); }, seconds(20)));
}

wire::TellMembersRequest told_of(const ChunkWorld& w, const std::vector<std::string>& nodes) {
  wire::TellMembersRequest message;
  message.set_cluster_uuid(w.meta.cluster_uuid);
  message.set_server(w.server->id().value());
  message.mutable_meta_nodes()->Add(nodes.begin(), nodes.end());
  return message;
}

TEST(Membership, AServerThatAllItsNodesHaveLeftTellsThoseThatItIsToldOf) {
  ChunkWorld w;
  FakeMeta later;
  w.world.add_node("meta-2").env().transport.serve(later);
  ASSERT_TRUE(w.wait_registered());
  w.meta_node.crash(sim::CrashKind::kPower);
  w.world.run_for(seconds(10));
  EXPECT_TRUE(later.heartbeats.empty()) << "it cannot know";
  ASSERT_EQ(w.code(MessageType::kTellMembers, told_of(w, {"meta-2"})), ErrorCode::kOk);
  EXPECT_TRUE(w.world.run_until([&] { return later.heartbeats.size() > 2; }, seconds(20)));
}

TEST(Membership, AServerThatIsToldOfEverNewNodesTendsAFewOfThemAndThoseOfItsOwn) {
  ChunkWorld w;
  FakeMeta strangers;
  strangers.leads = false;
  ASSERT_TRUE(w.wait_registered());
  for (size_t told = 0; told < 10; ++told) {
    std::vector<std::string> nodes;
    for (size_t i = 0; i < kMaxRaftMembers; ++i) {
      nodes.push_back(fmt::format("stranger-{}-{}", told, i));
      w.world.add_node(nodes.back()).env().transport.serve(strangers);
    }
    ASSERT_EQ(w.code(MessageType::kTellMembers, told_of(w, nodes)), ErrorCode::kOk);
  }
  w.world.run_for(milliseconds(500));
  EXPECT_LE(strangers.heartbeats.size(), 8 * kMaxRaftMembers) << "one to each that was still tended";
  w.world.run_for(seconds(3));
  strangers.heartbeats.clear();
  w.meta.heartbeats.clear();
  w.world.run_for(seconds(10));
  EXPECT_GE(strangers.heartbeats.size(), 9U);
  EXPECT_LE(strangers.heartbeats.size(), 11 * kMaxRaftMembers);
  EXPECT_GE(w.meta.heartbeats.size(), 9U);
}

TEST(Membership, WhatIsToldToAnotherServerOrIsNoAddressIsRefused) {
  ChunkWorld w;
  FakeMeta later;
  w.world.add_node("meta-2").env().transport.serve(later);
  ASSERT_TRUE(w.wait_registered());
  wire::TellMembersRequest other = told_of(w, {"meta-2"});
  other.set_cluster_uuid("some-other-one--");
  EXPECT_EQ(w.code(MessageType::kTellMembers, other), ErrorCode::kWrongCluster);
  other = told_of(w, {"meta-2"});
  other.set_server(other.server() + 1);
  EXPECT_EQ(w.code(MessageType::kTellMembers, other), ErrorCode::kStaleLocation);
  EXPECT_EQ(w.code(MessageType::kTellMembers, told_of(w, {"meta-2", ""})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(w.code(MessageType::kTellMembers, told_of(w, {"meta-2", std::string(kMaxAddressBytes + 1, 'a')})),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(w.code(MessageType::kTellMembers, told_of(w, std::vector<std::string>(kMaxRaftMembers + 1, "meta-2"))),
            ErrorCode::kInvalidArgument);
  w.world.run_for(seconds(5));
  EXPECT_TRUE(later.heartbeats.empty());
}

TEST(Membership, AServerOfAnotherClusterEnds) {
  ChunkWorld w;
  ASSERT_TRUE(w.wait_registered());
  ASSERT_EQ(w.write(ChunkWorld::key(1), kData), ErrorCode::kOk);
  w.meta.cluster_uuid = "some-other-one--";
  w.restart();
  w.world.run_for(seconds(3));
  EXPECT_FALSE(w.node.up());
  ASSERT_TRUE(w.node.fatal().has_value());
  EXPECT_EQ(w.node.fatal()->code, ErrorCode::kWrongCluster);
  EXPECT_EQ(w.files().size(), 1U);
}

TEST(Membership, DisksOfTwoServersAreRefused) {
  ChunkWorld w(1, 2);
  ASSERT_TRUE(w.wait_registered());
  w.node.crash(sim::CrashKind::kPower);
  wire::ChunkIdentity other;
  other.set_uuid("ffffffffffffffff");
  WriteBatch batch;
  batch.put("identity", other.SerializeAsString());
  w.node.kv_disk("disk1")->apply(batch);
  w.node.boot();
  w.boot_server();
  ASSERT_TRUE(w.started.has_value());
  EXPECT_EQ(code_of(*w.started), ErrorCode::kConflict);
}

TEST(Membership, ANewDiskJoinsTheServer) {
  ChunkWorld w;
  ASSERT_TRUE(w.wait_registered());
  w.node.crash(sim::CrashKind::kPower);
  w.faults.emplace_back();
  w.node.boot();
  w.boot_server();
  ASSERT_TRUE(w.started && w.started->has_value());
  EXPECT_EQ(w.server->id(), ServerId(7));
  std::vector<wire::ChunkIdentity> stored(2);
  for (size_t i = 0; i < stored.size(); ++i) {
    const auto disk = w.node.kv_disk("disk" + std::to_string(i));
    ASSERT_TRUE(stored[i].ParseFromString(disk->get("identity").value().value()));
    EXPECT_EQ(stored[i].disks_size(), 2);
  }
  // All the same but for the id of the disk.
  EXPECT_NE(stored[0].disk(), stored[1].disk());
  for (wire::ChunkIdentity& each : stored) each.clear_disk();
  EXPECT_EQ(stored[0].SerializeAsString(), stored[1].SerializeAsString());
}

class Deletion : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(w_.wait_registered()); }
  void expect_deleted(const std::set<ShardKey>& keys) {
    w_.meta.deletions = keys;
    EXPECT_TRUE(w_.world.run_until([&] { return w_.meta.deletions.empty(); }, kPatience));
    EXPECT_EQ(w_.meta.deleted, keys);
  }

  ChunkWorld w_;
  const ShardKey sealed_ = ChunkWorld::key(1);
  const ShardKey other_generation_ = ChunkWorld::key(1, 0, 2);
};

TEST_F(Deletion, RemovesExactlyTheShardThatIsNamedAndConfirmsIt) {
  ASSERT_EQ(w_.write(sealed_, kData), ErrorCode::kOk);
  ASSERT_EQ(w_.write(other_generation_, kData), ErrorCode::kOk);
  expect_deleted({sealed_});
  EXPECT_EQ(w_.files(), std::vector<std::string>{shard_file_name(other_generation_)});
  EXPECT_EQ(code_of(w_.read(sealed_, 0, 1)), ErrorCode::kWrongGeneration);
  EXPECT_EQ(w_.read(other_generation_, 0, kData.size()).value(), kData);
  EXPECT_FALSE(w_.node.kv_disk("disk0")->get(shard_record_key(sealed_)).value().has_value());
  w_.world.run_for(seconds(5));
  EXPECT_EQ(w_.meta.heartbeats.back().deleted_size(), 0) << "said once to the leader";
}

TEST_F(Deletion, AnUnknownShardIsConfirmedToo) {
  expect_deleted({sealed_});
}

TEST_F(Deletion, ARequestThatComesLateDoesNotBringTheShardBack) {
  expect_deleted({sealed_});
  EXPECT_EQ(w_.open(sealed_), ErrorCode::kGone);
  EXPECT_TRUE(w_.files().empty());
  EXPECT_EQ(w_.write(other_generation_, kData), ErrorCode::kOk);
}

TEST(DeletedShards, AreForgottenByAgeAndByNumber) {
  DeletedShards deleted;
  const MonoTime start(seconds(1));
  deleted.add(ChunkWorld::key(1), start);
  deleted.add(ChunkWorld::key(2), start + DeletedShards::kRetention);
  EXPECT_TRUE(deleted.contains(ChunkWorld::key(1)));
  deleted.add(ChunkWorld::key(3), start + DeletedShards::kRetention + milliseconds(1));
  EXPECT_FALSE(deleted.contains(ChunkWorld::key(1)));
  EXPECT_TRUE(deleted.contains(ChunkWorld::key(2)));
  for (size_t i = 0; i < DeletedShards::kMaxShards; ++i) {
    deleted.add(ChunkWorld::key(10 + i), start + DeletedShards::kRetention + seconds(1));
  }
  EXPECT_EQ(deleted.size(), DeletedShards::kMaxShards);
  EXPECT_FALSE(deleted.contains(ChunkWorld::key(3)));
}

TEST_F(Deletion, AnOpenShardLosesItsWriter) {
  ASSERT_EQ(w_.open(sealed_), ErrorCode::kOk);
  ASSERT_EQ(w_.append(sealed_, 0, kData), ErrorCode::kOk);
  expect_deleted({sealed_});
  EXPECT_EQ(w_.seal(sealed_, kData), ErrorCode::kNotFound);
  EXPECT_TRUE(w_.files().empty());
}

TEST_F(Deletion, OnlyTheLeadersAnswerCounts) {
  ASSERT_EQ(w_.write(sealed_, kData), ErrorCode::kOk);
  w_.meta.leads = false;
  w_.meta.deletions = {sealed_};
  w_.world.run_for(seconds(5));
  EXPECT_EQ(w_.files().size(), 1U);
}

// The answer waits for a server that is stopped, and is not meant any more when it goes on.
TEST_F(Deletion, WhatWasOrderedLongAgoIsNotDone) {
  ASSERT_EQ(w_.write(sealed_, kData), ErrorCode::kOk);
  w_.meta.deletions = {sealed_};
  const size_t before = w_.meta.heartbeats.size();
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.heartbeats.size() > before; }, kPatience));
  const sim::Incarnation server = w_.node.executor().incarnation();
  w_.world.simulator().pause(server);
  w_.world.run_for(seconds(5));
  w_.meta.deletions.clear();
  w_.world.simulator().go_on(server);
  w_.world.run_for(seconds(5));
  EXPECT_GT(w_.meta.heartbeats.size(), before + 1);
  EXPECT_EQ(w_.files().size(), 1U);
}

TEST_F(Deletion, ManyAreDoneTogether) {
  std::set<ShardKey> keys;
  for (uint64_t block = 1; block <= 40; ++block) {
    keys.insert(ChunkWorld::key(block));
    ASSERT_EQ(w_.write(ChunkWorld::key(block), "x"), ErrorCode::kOk);
  }
  w_.faults[0].seen.clear();
  expect_deleted(keys);
  EXPECT_EQ(std::count(w_.faults[0].seen.begin(), w_.faults[0].seen.end(), "sync_directory"), 1);
  EXPECT_TRUE(w_.files().empty());
}

TEST_F(Deletion, MoreThanOneHeartbeatHoldsAreConfirmedOneAfterTheOther) {
  std::set<ShardKey> keys;
  for (uint64_t block = 1; block <= 2 * kMaxShardsPerHeartbeat + 10; ++block) keys.insert(ChunkWorld::key(block));
  expect_deleted(keys);
  for (const wire::HeartbeatRequest& heartbeat : w_.meta.heartbeats) {
    EXPECT_LE(heartbeat.deleted_size(), kMaxShardsPerHeartbeat);
  }
}

TEST_F(Deletion, AFileThatCannotBeRemovedIsNotCalledGone) {
  ASSERT_EQ(w_.write(sealed_, kData), ErrorCode::kOk);
  w_.faults[0].decide = [](const std::string& operation) {
    return operation == "record" ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
  };
  w_.meta.deletions = {sealed_};
  w_.world.run_for(seconds(5));
  EXPECT_TRUE(w_.meta.deleted.empty());
  EXPECT_EQ(w_.files().size(), 1U);
}

// A power cut at any moment: the shard is either still there and served, or going; asked again, it goes, and what is
// confirmed stays gone.
TEST(DeletionCrash, IsFinishedAfterAPowerCutAtAnyMoment) {
  for (uint64_t seed = 1; seed <= 80; ++seed) {
    ChunkWorld w(seed);
    ASSERT_TRUE(w.wait_registered());
    const ShardKey key = ChunkWorld::key(1);
    ASSERT_EQ(w.write(key, kData), ErrorCode::kOk);
    w.meta.deletions = {key};
    size_t before = w.faults[0].seen.size();
    w.world.run_until([&] { return w.faults[0].seen.size() > before; }, seconds(10));
    w.world.run_for(microseconds(static_cast<int64_t>(seed * 137)));
    const bool confirmed = w.meta.deletions.empty();
    w.restart();
    ASSERT_TRUE(w.started && w.started->has_value());
    if (confirmed) EXPECT_EQ(code_of(w.read(key, 0, 1)), ErrorCode::kNotFound);
    ASSERT_TRUE(w.world.run_until([&] { return w.meta.deletions.empty(); }, kPatience)) << seed;
    EXPECT_EQ(code_of(w.read(key, 0, 1)), ErrorCode::kNotFound) << seed;
    EXPECT_TRUE(w.files().empty()) << seed;
    EXPECT_FALSE(w.node.kv_disk("disk0")->get(shard_record_key(key)).value().has_value()) << seed;
  }
}

}  // namespace
}  // namespace dogfs
