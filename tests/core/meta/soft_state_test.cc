#include <gtest/gtest.h>

#include <vector>

#include "core/meta/lease_tracker.h"
#include "core/meta/registry.h"

namespace dogfs {
namespace {

MonoTime at(int second) {
  return MonoTime(seconds(second));
}

constexpr InodeId kInode{7};
constexpr Duration kLimit = seconds(60);
constexpr Duration kDeafness = seconds(60);

TEST(LeaseTracker, ALeaseIsOverdueOnlyAFullLimitAfterItWasFirstSeen) {
  LeaseTracker tracker;
  EXPECT_FALSE(tracker.is_overdue(kInode, LeaseEpoch(1), at(1000), kLimit));
  EXPECT_FALSE(tracker.is_overdue(kInode, LeaseEpoch(1), at(1060), kLimit));
  EXPECT_TRUE(tracker.is_overdue(kInode, LeaseEpoch(1), at(1061), kLimit));
}

TEST(LeaseTracker, ARenewalOrANewEpochOrANewLeaderBeginsAnew) {
  LeaseTracker tracker;
  tracker.renew(kInode, LeaseEpoch(1), at(50));
  EXPECT_FALSE(tracker.is_overdue(kInode, LeaseEpoch(1), at(100), kLimit));
  EXPECT_FALSE(tracker.is_overdue(kInode, LeaseEpoch(2), at(200), kLimit));
  EXPECT_TRUE(tracker.is_overdue(kInode, LeaseEpoch(2), at(300), kLimit));
  tracker.clear();
  EXPECT_FALSE(tracker.is_overdue(kInode, LeaseEpoch(2), at(300), kLimit));
}

TEST(LeaseTracker, AScanForgetsWhatIsClosed) {
  LeaseTracker tracker;
  tracker.renew(kInode, LeaseEpoch(1), at(0));
  tracker.begin_scan();
  tracker.end_scan();
  EXPECT_FALSE(tracker.is_overdue(kInode, LeaseEpoch(1), at(100), kLimit)) << "seen for the first time";
}

TEST(LeaseTracker, SessionsThatRenewAreAlive) {
  LeaseTracker tracker;
  tracker.session_heard(SessionId(1), at(10));
  EXPECT_TRUE(tracker.was_heard_since(SessionId(1), at(10)));
  EXPECT_FALSE(tracker.was_heard_since(SessionId(1), at(11)));
  tracker.forget_sessions_before(at(11));
  EXPECT_FALSE(tracker.was_heard_since(SessionId(1), at(0)));
}

wire::ChunkServerRow row(uint64_t incarnation) {
  wire::ChunkServerRow server;
  server.set_server(1);
  server.set_address("host:" + std::to_string(incarnation));
  server.set_rack("/r");
  server.set_incarnation(incarnation);
  return server;
}

wire::HeartbeatRequest heartbeat() {
  wire::HeartbeatRequest request;
  request.set_server(1);
  request.set_free_bytes(100);
  request.set_active_transfers(3);
  return request;
}

TEST(ServerRegistry, OnlyServersThatWereHeardOfLatelyAreCandidates) {
  ServerRegistry registry(at(0), kDeafness);
  registry.learn(row(1));
  EXPECT_TRUE(registry.candidates(at(0)).empty()) << "registered, but never heard of";
  registry.heard(heartbeat(), at(10));
  EXPECT_EQ(registry.candidates(at(10)).size(), 1u);
  EXPECT_TRUE(registry.candidates(at(11)).empty());
}

TEST(ServerRegistry, PlacementsCountAsLoadUntilTheNextHeartbeat) {
  ServerRegistry registry(at(0), kDeafness);
  registry.learn(row(1));
  registry.heard(heartbeat(), at(10));
  registry.placed_on(ServerId(1));
  registry.placed_on(ServerId(99));
  EXPECT_EQ(registry.candidates(at(10)).at(0).load, 4u);
  registry.heard(heartbeat(), at(11));
  EXPECT_EQ(registry.candidates(at(10)).at(0).load, 3u);
}

TEST(ServerRegistry, RoomIsOnDisksThatTakeShards) {
  ServerRegistry registry(at(0), kDeafness);
  registry.learn(row(1));
  wire::HeartbeatRequest request = heartbeat();
  const auto add = [&request](wire::DiskInfo::State state, uint64_t free_bytes) {
    wire::DiskInfo& disk = *request.add_disks();
    disk.set_state(state);
    disk.set_free_bytes(free_bytes);
  };
  add(wire::DiskInfo::FULL, 1000);
  add(wire::DiskInfo::WORKING, 5);
  add(wire::DiskInfo::WORKING, 7);
  for (const auto state : {wire::DiskInfo::FAILING, wire::DiskInfo::READ_ONLY, wire::DiskInfo::EMPTY}) add(state, 1000);
  registry.heard(request, at(10));
  const PlacementCandidate candidate = registry.candidates(at(10)).at(0);
  EXPECT_EQ(candidate.free_bytes, 12u);
  EXPECT_EQ(candidate.room, 7u) << "a shard lies on one disk";
}

TEST(ServerRegistry, ANewIncarnationMustBeHeardOfItself) {
  ServerRegistry registry(at(0), kDeafness);
  registry.learn(row(2));
  registry.heard(heartbeat(), at(10));
  registry.learn(row(1));
  EXPECT_EQ(registry.find(ServerId(1))->address, "host:2") << "an older row changes nothing";
  registry.learn(row(3));
  EXPECT_TRUE(registry.candidates(at(0)).empty());
  EXPECT_EQ(registry.find(ServerId(1))->address, "host:3");
}

TEST(ServerRegistry, ANodeThatWasCutOffListensAnew) {
  ServerRegistry registry(at(0), seconds(2));
  registry.learn(row(1));
  registry.heard(heartbeat(), at(1));
  registry.heard(heartbeat(), at(2));
  registry.listen(at(3));
  EXPECT_EQ(registry.listening_since(), at(0)) << "a moment's silence is none";
  EXPECT_EQ(registry.heard_of(), 1u);
  registry.listen(at(4));
  EXPECT_EQ(registry.listening_since(), at(4)) << "elected while it is deaf";
  EXPECT_EQ(registry.heard_of(), 0u) << "what was heard before tells nothing of who is away";
  registry.heard(heartbeat(), at(5));
  EXPECT_EQ(registry.listening_since(), at(5)) << "the silence ends";
  EXPECT_EQ(registry.heard_of(), 1u);
}

TEST(ServerRegistry, ConfirmationsWaitUntilTheyAreInTheLog) {
  ServerRegistry registry(at(0), kDeafness);
  const GarbageShard shard{
      .server = ServerId(1), .block = BlockId(2), .index = ShardIndex(3), .generation = ShardGeneration(4)};
  registry.confirm(shard);
  registry.confirm(shard);
  EXPECT_TRUE(registry.is_confirmed(shard));
  EXPECT_EQ(registry.confirmed(10), std::vector<GarbageShard>{shard});
  registry.forget_confirmed({shard});
  EXPECT_FALSE(registry.has_confirmed());
}

}  // namespace
}  // namespace dogfs
