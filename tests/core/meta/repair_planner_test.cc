// What to rebuild next, and where.
#include "core/meta/repair_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "core/base/limits.h"
#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint32_t kData = 3;
constexpr uint32_t kParity = 2;
constexpr int64_t kNow = 10'000'000;

// RS(3,2) blocks, shard i on server i + 1.
wire::BlockRow make_block(uint64_t id) {
  wire::BlockRow block;
  block.set_block(id);
  block.set_state(wire::BlockRow::COMMITTED);
  block.mutable_policy()->set_data_shards(kData);
  block.mutable_policy()->set_parity_shards(kParity);
  for (uint32_t index = 0; index < kData + kParity; ++index) {
    wire::Shard& shard = *block.add_shards();
    shard.set_index(index);
    shard.set_server(index + 1);
    shard.set_generation(id * 100 + index);
    shard.set_length(1000);
  }
  return block;
}

class Planner : public ::testing::Test {
 protected:
  Planner() {
    for (uint64_t id = 1; id <= 10; ++id) {
      situation.servers[ServerId(id)] = {
          .rack = "/r" + std::to_string(id), .state_since_ms = 0, .reachable = true, .free_bytes = 1 << 20};
    }
    situation.now_ms = kNow;
  }
  // The server died `ago` ago; the shards that blocks have there are unreachable.
  void kill(uint64_t id, milliseconds ago) {
    RepairServer& server = situation.servers.at(ServerId(id));
    server.state = wire::DEAD;
    server.state_since_ms = kNow - ago.count();
    server.reachable = false;
    for (wire::BlockRow& block : situation.blocks) {
      for (wire::Shard& shard : *block.mutable_shards()) {
        if (shard.server() == id) shard.set_condition(wire::Shard::UNREACHABLE);
      }
    }
  }
  std::vector<PlannedRepair> plan() const { return plan_repairs(situation, limits).repairs; }
  // Of each shard that is to be rebuilt or moved.
  std::vector<wire::RepairHindrance::Reason> hindrances() const {
    std::vector<wire::RepairHindrance::Reason> reasons;
    for (const RepairOutlook& shard : plan_repairs(situation, limits).outlook) reasons.push_back(shard.hindrance);
    return reasons;
  }

  static constexpr milliseconds kLong = std::chrono::hours(2);
  RepairSituation situation;
  RepairLimits limits;
};

TEST_F(Planner, AWholeBlockNeedsNothing) {
  situation.blocks = {make_block(1)};
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(Planner, AMissingShardGetsOneTargetThatHoldsNoOther) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  const auto planned = plan();
  ASSERT_THAT(planned, SizeIs(1));
  EXPECT_EQ(planned[0].index, ShardIndex(1));
  EXPECT_EQ(planned[0].replaced_server, ServerId(2));
  EXPECT_GT(planned[0].target.value(), 5u);
}

TEST_F(Planner, WhatLeavesItsDiskMayGoToAnotherDiskOfItsServer) {
  situation.blocks = {make_block(1)};
  situation.blocks[0].mutable_shards(1)->set_condition(wire::Shard::LEAVING);
  for (uint64_t id = 6; id <= 10; ++id) situation.servers.erase(ServerId(id));
  const auto planned = plan();
  ASSERT_THAT(planned, SizeIs(1));
  EXPECT_EQ(planned[0].target, ServerId(2));
  EXPECT_EQ(planned[0].replaced_server, ServerId(2));
  situation.servers.at(ServerId(2)).state = wire::DRAINING;
  EXPECT_THAT(plan(), IsEmpty()) << "it is to leave the server, too";
}

TEST_F(Planner, WhatLeavesItsDiskGoesOnlyWhereThereIsRoomAndADrainGoesAnywhere) {
  situation.blocks = {make_block(1)};
  situation.blocks[0].mutable_shards(1)->set_condition(wire::Shard::LEAVING);
  for (auto& [id, server] : situation.servers) server.roomy = id == ServerId(9);
  const auto planned = plan();
  ASSERT_THAT(planned, SizeIs(1));
  EXPECT_EQ(planned[0].target, ServerId(9));
  situation.servers.at(ServerId(9)).roomy = false;
  EXPECT_THAT(plan(), IsEmpty());
  situation.servers.at(ServerId(2)).state = wire::DRAINING;
  EXPECT_THAT(plan(), SizeIs(1));
}

// Shards 0 to 2 lie in one rack, of which one is to leave; 3 and 4 in another.
TEST_F(Planner, WhatLeavesACrowdedRackGoesOnlyToOneThatHasFewer) {
  situation.blocks = {make_block(1)};
  situation.blocks[0].mutable_shards(1)->set_condition(wire::Shard::LEAVING);
  situation.crowded = {BlockId(1)};
  for (uint64_t id = 1; id <= 10; ++id) situation.servers.at(ServerId(id)).rack = id <= 3 ? "/a" : "/b";
  EXPECT_THAT(plan(), IsEmpty()) << "its own server is none, and /b would have three then";
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::TOO_FEW_RACKS));
  RepairServer& target = situation.servers.at(ServerId(9));
  target.rack = "/c";
  const auto planned = plan();
  ASSERT_THAT(planned, SizeIs(1));
  EXPECT_EQ(planned[0].index, ShardIndex(1));
  EXPECT_EQ(planned[0].target, ServerId(9));
  EXPECT_EQ(planned[0].replaced_server, ServerId(2));
  target.roomy = false;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::NO_ROOM));
  target.roomy = true;
  target.reachable = false;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::BUSY)) << "it is only silent";
  target.reachable = true;
  situation.failed_targets[BlockId(1)] = {ServerId(9)};
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::TARGETS_FAILED));
  situation.failed_targets.clear();
  target.rebuilding = limits.per_target;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::BUSY));
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(Planner, WhoMayComeBackIsWaitedForButNotAtTheLastSpare) {
  limits.grace = std::chrono::minutes(5);
  limits.many_percent = 100;
  wire::BlockRow wide = make_block(1);
  wide.mutable_policy()->set_parity_shards(3);
  wire::Shard& extra = *wide.add_shards();
  extra.set_index(5);
  extra.set_server(6);
  extra.set_generation(1);
  situation.blocks = {wide};
  kill(1, std::chrono::minutes(1));
  EXPECT_THAT(plan(), IsEmpty()) << "two spares are left";
  kill(2, std::chrono::minutes(1));
  EXPECT_THAT(plan(), SizeIs(2)) << "the last spare";
}

TEST_F(Planner, WhenManyVanishAtOnceOnlyBlocksWithoutASpareAreRepaired) {
  situation.blocks = {make_block(1)};
  wire::BlockRow spared = make_block(2);
  spared.mutable_shards(0)->set_server(10);
  situation.blocks.push_back(spared);
  for (const uint64_t server : {1, 2, 6, 7}) kill(server, std::chrono::minutes(1));
  const auto planned = plan();
  for (const PlannedRepair& repair : planned) EXPECT_EQ(repair.block, BlockId(1));
  EXPECT_THAT(planned, SizeIs(2));
  for (auto& [id, server] : situation.servers) {
    if (server.state == wire::DEAD) server.state_since_ms = kNow - limits.mass_wait.count();
  }
  EXPECT_THAT(plan(), SizeIs(3)) << "it is clear by now that they are gone";
}

// HDFS-16566: shards of busy servers were counted as missing, and rebuilt.
TEST_F(Planner, Hdfs16566ABusySourceIsNotMissing) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  for (const uint64_t server : {1, 3, 4, 5}) situation.servers.at(ServerId(server)).reading = limits.per_source;
  EXPECT_THAT(plan(), IsEmpty());
  situation.servers.at(ServerId(5)).reading = 0;
  EXPECT_THAT(plan(), IsEmpty()) << "three are needed";
  situation.servers.at(ServerId(4)).reading = 0;
  situation.servers.at(ServerId(3)).reading = 0;
  EXPECT_THAT(plan(), SizeIs(1));
}

// HDFS-14768: with a busy or a decommissioning server in play, more targets than missing shards were chosen.
TEST_F(Planner, Hdfs14768TheTargetsAreNeverMoreThanTheMissing) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  situation.servers.at(ServerId(1)).reading = limits.per_source;
  situation.servers.at(ServerId(4)).state = wire::DRAINING;
  situation.blocks[0].mutable_shards(3)->set_condition(wire::Shard::LEAVING);
  const auto planned = plan();
  ASSERT_THAT(planned, SizeIs(2));
  EXPECT_EQ(planned[0].index, ShardIndex(1));
  EXPECT_EQ(planned[1].index, ShardIndex(3));
  EXPECT_NE(planned[0].target, planned[1].target);
}

// HDFS-17094: servers that were out of reach were left out of the list of servers, but not out of that of indices.
TEST_F(Planner, WhatIsLostGoesBeforeWhatOnlyMovesWithinABlockToo) {
  situation.blocks = {make_block(1)};
  kill(5, kLong);
  situation.blocks[0].mutable_shards(1)->set_condition(wire::Shard::LEAVING);
  situation.servers.at(ServerId(2)).state = wire::DRAINING;
  for (uint64_t id = 7; id <= 10; ++id) situation.servers.erase(ServerId(id));
  const auto planned = plan();
  ASSERT_THAT(planned, SizeIs(1)) << "server 6 is the only one that has none of the block";
  EXPECT_EQ(planned[0].index, ShardIndex(4));
  EXPECT_EQ(planned[0].target, ServerId(6));
}

TEST_F(Planner, Hdfs17094SourcesKeepTheirIndicesWhereAServerIsOutOfReach) {
  situation.servers.at(ServerId(2)).reachable = false;
  const auto sources = repair_sources(make_block(1), ShardIndex(3), situation.servers);
  ASSERT_THAT(sources, SizeIs(4));
  for (const wire::Shard& source : sources) {
    EXPECT_EQ(source.server(), source.index() + 1);
    EXPECT_EQ(source.generation(), 100 + source.index());
  }
}

TEST_F(Planner, ADamagedShardGoesElsewhereOrBackToItsOwnServer) {
  situation.blocks = {make_block(1)};
  situation.blocks[0].mutable_shards(0)->set_condition(wire::Shard::DAMAGED);
  for (uint64_t id = 6; id <= 10; ++id) situation.servers.erase(ServerId(id));
  const auto planned = plan();
  ASSERT_THAT(planned, SizeIs(1));
  EXPECT_EQ(planned[0].target, ServerId(1));
}

TEST_F(Planner, SourcesThatAreOutOfReachAreWaitedFor) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  situation.servers.at(ServerId(3)).reachable = false;
  situation.servers.at(ServerId(4)).reachable = false;
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(Planner, ATargetThatFailedIsPassedOver) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  for (uint64_t id = 7; id <= 10; ++id) situation.servers.erase(ServerId(id));
  situation.failed_targets[BlockId(1)] = {ServerId(6)};
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(Planner, WhatIsReservedIsNotPlannedAgain) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  wire::RepairReservation& reservation = *situation.blocks[0].add_reservations();
  reservation.set_index(1);
  reservation.set_target(9);
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(Planner, ARepairWhoseTargetDiedIsGivenUpLongBeforeItsTimeIsOver) {
  wire::RepairReservation reservation;
  reservation.set_target(9);
  reservation.set_expires_ms(kNow + 1);
  const auto fruitless = [&] { return is_fruitless(reservation, situation.servers, situation.now_ms); };
  EXPECT_FALSE(fruitless());
  // A short silence costs no work that is under way.
  situation.servers.at(ServerId(9)).reachable = false;
  EXPECT_FALSE(fruitless());
  for (const wire::ServerState state : {wire::DEAD, wire::DRAINING, wire::MAINTENANCE, wire::REMOVED}) {
    situation.servers.at(ServerId(9)).state = state;
    EXPECT_TRUE(fruitless());
  }
  situation.servers.at(ServerId(9)).state = wire::LIVE;
  reservation.set_expires_ms(kNow);
  EXPECT_TRUE(fruitless());
}

TEST_F(Planner, ABlockThatCannotBeDecodedIsLeftAlone) {
  situation.blocks = {make_block(1)};
  for (const uint64_t server : {1, 2, 3}) kill(server, kLong);
  EXPECT_THAT(plan(), IsEmpty());
}

TEST_F(Planner, SaysWhatIsUnderWayAndWhoseServerMayComeBack) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::NONE));
  wire::RepairReservation& reservation = *situation.blocks[0].add_reservations();
  reservation.set_index(1);
  reservation.set_target(9);
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::NONE));
  wire::BlockRow wide = make_block(2);
  wide.mutable_policy()->set_parity_shards(3);
  wire::Shard& extra = *wide.add_shards();
  extra = wide.shards(4);
  extra.set_index(5);
  extra.set_server(6);
  situation.blocks = {wide};
  kill(2, std::chrono::minutes(1));
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::GRACE));
  for (const uint64_t server : {7, 8, 9}) kill(server, std::chrono::minutes(1));
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::MANY_VANISHED));
}

TEST_F(Planner, SaysThatThereAreTooFewServers) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  for (const uint64_t server : {6, 7, 8}) situation.servers.at(ServerId(server)).reachable = false;
  for (const uint64_t server : {9, 10}) situation.servers.at(ServerId(server)).state = wire::DRAINING;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::TOO_FEW_SERVERS));
  for (auto& [id, server] : situation.servers) server.state = wire::MAINTENANCE;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::TOO_FEW_SERVERS)) << "none takes any";
}

TEST_F(Planner, SaysThatThereIsNoRoom) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  for (uint64_t id = 7; id <= 10; ++id) situation.servers.erase(ServerId(id));
  situation.servers.at(ServerId(6)).room = shard_file_bound(1000) - 1;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::NO_ROOM));
  situation.servers.at(ServerId(6)).room = shard_file_bound(1000);
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::NONE));
}

TEST_F(Planner, SaysThatWhatLeavesItsDiskNeedsMoreRoomThanThat) {
  situation.blocks = {make_block(1)};
  situation.blocks[0].mutable_shards(1)->set_condition(wire::Shard::LEAVING);
  for (auto& [id, server] : situation.servers) server.roomy = false;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::NO_ROOM));
}

TEST_F(Planner, SaysThatWhoCouldTakeItFailedOrIsBusy) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  for (uint64_t id = 8; id <= 10; ++id) situation.servers.erase(ServerId(id));
  situation.failed_targets[BlockId(1)] = {ServerId(6)};
  situation.servers.at(ServerId(7)).room = 0;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::TARGETS_FAILED));
  situation.servers.at(ServerId(7)).room = 1 << 20;
  situation.servers.at(ServerId(7)).rebuilding = limits.per_target;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::BUSY));
  situation.failed_targets.clear();
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::NONE));
  situation.servers.at(ServerId(6)).rebuilding = limits.per_target;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::BUSY)) << "all targets are";
  situation.servers.at(ServerId(6)).rebuilding = 0;
  situation.under_way = limits.cluster;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::BUSY)) << "the cluster is";
  situation.under_way = 0;
  for (const uint64_t server : {1, 3, 4, 5}) situation.servers.at(ServerId(server)).reading = limits.per_source;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::BUSY)) << "the sources are";
}

TEST_F(Planner, SaysThatTheRestOfTheBlockIsOutOfReachOrGone) {
  situation.blocks = {make_block(1)};
  kill(2, kLong);
  for (const uint64_t server : {3, 4}) situation.servers.at(ServerId(server)).reachable = false;
  EXPECT_THAT(hindrances(), ElementsAre(wire::RepairHindrance::SOURCES_UNREACHABLE));
  for (const uint64_t server : {3, 4}) kill(server, kLong);
  EXPECT_THAT(hindrances(), testing::Each(wire::RepairHindrance::UNDECODABLE));
  EXPECT_THAT(hindrances(), SizeIs(3));
}

TEST_F(Planner, AShardThatIsOnlyToBeMovedIsCopiedFromItself) {
  wire::BlockRow block = make_block(1);
  block.mutable_shards(4)->set_condition(wire::Shard::LEAVING);
  situation.servers.at(ServerId(5)).reading = 7;
  EXPECT_EQ(repair_sources(block, ShardIndex(4), situation.servers).front().index(), 4u);
}

// Whatever the situation: limits hold, and each repair is one that the log would take.
RC_GTEST_PROP(PlannerProperty, EveryRepairIsWithinTheLimitsAndFits, ()) {
  RepairSituation situation;
  situation.now_ms = kNow;
  situation.seed = *rc::gen::arbitrary<uint64_t>();
  const RepairLimits limits{.cluster = *rc::gen::inRange(1u, 12u),
                            .per_target = *rc::gen::inRange(1u, 4u),
                            .per_source = *rc::gen::inRange(1u, 6u)};
  for (uint64_t id = 1; id <= 9; ++id) {
    situation.servers[ServerId(id)] = {.rack = "/r" + std::to_string(id % 4),
                                       .state = static_cast<wire::ServerState>(*rc::gen::inRange(0, 4)),
                                       .state_since_ms = kNow - *rc::gen::inRange(0, 2'000'000),
                                       .reachable = *rc::gen::inRange(0, 4) > 0,
                                       .free_bytes = *rc::gen::element<uint64_t>(0, 1 << 20),
                                       .roomy = *rc::gen::inRange(0, 4) > 0,
                                       .rebuilding = 0,
                                       .reading = 0};
  }
  for (uint64_t id = 1; id <= 6; ++id) {
    wire::BlockRow block = make_block(id);
    for (wire::Shard& shard : *block.mutable_shards()) {
      shard.set_condition(
          static_cast<wire::Shard::Condition>(*rc::gen::weightedElement<int>({{6, wire::Shard::INTACT},
                                                                              {1, wire::Shard::UNREACHABLE},
                                                                              {1, wire::Shard::DAMAGED},
                                                                              {1, wire::Shard::LEAVING}})));
    }
    situation.blocks.push_back(block);
  }
  const RepairPlan plan = plan_repairs(situation, limits);
  const std::vector<PlannedRepair>& planned = plan.repairs;
  RC_ASSERT(planned.size() <= limits.cluster);
  std::map<ServerId, uint32_t> rebuilding;
  std::set<std::pair<BlockId, ServerId>> placed;
  for (const PlannedRepair& repair : planned) {
    const wire::BlockRow& block = situation.blocks[repair.block.value() - 1];
    const wire::Shard& shard = *find_shard(block, repair.index.value());
    RC_ASSERT(!is_intact(shard) || shard.condition() == wire::Shard::LEAVING);
    RC_ASSERT(intact_shards(block) >= needed_shards(block));
    const auto holder = situation.servers.find(ServerId(shard.server()));
    const bool move = shard.condition() == wire::Shard::LEAVING && holder->second.state == wire::LIVE;
    RC_ASSERT(may_host(block, repair.index.value(), repair.target.value(), move));
    RC_ASSERT(!move || situation.servers.at(repair.target).roomy);
    RC_ASSERT(placed.emplace(repair.block, repair.target).second);
    RC_ASSERT(++rebuilding[repair.target] <= limits.per_target);
    RC_ASSERT(situation.servers.at(repair.target).state == wire::LIVE);
    RC_ASSERT(situation.servers.at(repair.target).reachable);
  }
  RC_ASSERT(plan_repairs(situation, limits).repairs == planned);
  // Every shard in need is spoken of, and those without a hindrance are those that are planned.
  size_t in_need = 0;
  for (const wire::BlockRow& block : situation.blocks) {
    in_need += static_cast<size_t>(std::ranges::count_if(
        block.shards(), [](const wire::Shard& shard) { return shard.condition() != wire::Shard::INTACT; }));
  }
  RC_ASSERT(plan.outlook.size() == in_need);
  const auto free = std::ranges::count(plan.outlook, wire::RepairHindrance::NONE, &RepairOutlook::hindrance);
  RC_ASSERT(static_cast<size_t>(free) == planned.size());
}

}  // namespace
}  // namespace dogfs
