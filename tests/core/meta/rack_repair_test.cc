// Which blocks are spread over more racks, and when anybody looks.
#include "core/meta/rack_repair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/meta/rack_spread.h"
#include "tests/core/meta/memory_rows.h"

namespace dogfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr GroupId kGroup{0};
using Hindrance = wire::RepairHindrance;

// Rows of servers 1, 2, 3, ... in these racks, and blocks of RS(3,2).
class Racks : public ::testing::Test {
 protected:
  void stand_in(const std::vector<std::string>& names) {
    servers.clear();
    for (const std::string& rack : names) {
      wire::ChunkServerRow& row = servers.emplace_back();
      row.set_server(servers.size());
      row.set_rack(rack);
      row.set_state(wire::LIVE);
    }
  }
  // Shard i on on[i].
  static wire::BlockRow block_on(uint64_t id, const std::vector<uint64_t>& on) {
    wire::BlockRow block;
    block.set_block(id);
    block.set_state(wire::BlockRow::COMMITTED);
    block.mutable_policy()->set_data_shards(3);
    block.mutable_policy()->set_parity_shards(2);
    for (uint32_t index = 0; index < on.size(); ++index) {
      wire::Shard& shard = *block.add_shards();
      shard.set_index(index);
      shard.set_server(on[index]);
      shard.set_generation(100 * id + index);
      shard.set_length(1000);
    }
    return block;
  }
  void put(const wire::BlockRow& block) {
    rows.rows[MetaKeys(kGroup).block(BlockId(block.block()))] = block.SerializeAsString();
  }
  // The state of a server that is known.
  void set_state(uint64_t server, wire::ServerState state) { servers.at(server - 1).set_state(state); }

  // One round; `read` is what it looked at.
  std::vector<wire::BlockRow> round(size_t limit = kMaxRackMoves) {
    racks.see(servers);
    const RackRepair::Errand errand = racks.next(now);
    read = !errand.is_empty();
    scanned = errand.scan;
    if (!read) return {};
    return racks.take(RackRepair::find(MetaTables(rows, kGroup), errand).value(), errand, limit, now);
  }
  std::vector<wire::BlockRow> rounds(int count) {
    std::vector<wire::BlockRow> all;
    for (int i = 0; i < count; ++i) {
      for (wire::BlockRow& block : round()) all.push_back(std::move(block));
    }
    return all;
  }
  void say(uint64_t block, Hindrance::Reason hindrance) {
    racks.note({{.position = 0, .block = BlockId(block), .server = ServerId(1), .hindrance = hindrance}}, now);
  }
  std::vector<std::pair<Hindrance::Reason, uint64_t>> held() const {
    std::vector<std::pair<Hindrance::Reason, uint64_t>> all;
    const wire::RackRepair described = racks.describe();
    for (const Hindrance& each : described.hindrances()) all.emplace_back(each.reason(), each.shards());
    return all;
  }

  MemoryRows rows;
  std::vector<wire::ChunkServerRow> servers;
  RackRepair racks;
  MonoTime now{std::chrono::hours(1)};
  bool read = false;
  bool scanned = false;
};

const std::vector<std::string> kThreeRacks = {"/a", "/a", "/a", "/b", "/b", "/b", "/c", "/c", "/c"};

TEST_F(Racks, ANewLeaderPassesOverAllBlocksOnceAndThenReadsNothing) {
  stand_in(kThreeRacks);
  put(block_on(7, {1, 2, 4, 5, 7}));
  racks.lead();
  EXPECT_THAT(rounds(2), IsEmpty());
  EXPECT_FALSE(racks.describe().passing());
  for (int i = 0; i < 100; ++i) {
    now += std::chrono::minutes(10);
    round();
    ASSERT_FALSE(read);
  }
  racks.lead();
  round();
  EXPECT_TRUE(scanned);
}

TEST_F(Racks, APassIsForAServerThatTakesShardsAnewAndForNoOther) {
  stand_in(kThreeRacks);
  racks.lead();
  rounds(2);
  set_state(9, wire::DEAD);
  round();
  EXPECT_FALSE(read) << "nothing can be spread by one that is gone";
  set_state(9, wire::LIVE);
  round();
  EXPECT_TRUE(scanned);
  round();
  EXPECT_FALSE(read);
  servers[8].set_rack("/d");
  round();
  EXPECT_TRUE(scanned) << "it stands in another rack";
}

// Were they in turn for so long, no others would have theirs.
TEST_F(Racks, BlocksWhoseCrowdedRackIsAwayForAWhileHoldUpNoOthers) {
  stand_in(kThreeRacks);
  for (uint64_t id = 1; id <= kMaxCrowdedInTurn; ++id) put(block_on(id, {1, 2, 3, 4, 5}));
  const uint64_t other = kMaxCrowdedInTurn + 1;
  put(block_on(other, {4, 5, 6, 7, 1}));
  for (const uint64_t server : {1, 2, 3}) set_state(server, wire::MAINTENANCE);
  racks.lead();
  std::vector<wire::BlockRow> chosen;
  for (int i = 0; i < 100 && chosen.empty(); ++i, now += milliseconds(500)) chosen = round();
  ASSERT_THAT(chosen, SizeIs(1));
  EXPECT_EQ(chosen[0].block(), other);
  set_state(1, wire::LIVE);
  now += kHeldLookInterval;
  EXPECT_FALSE(rounds(2).empty());
}

TEST_F(Racks, HowLongItTakesIsToldOnceSomeHaveMoved) {
  stand_in(kThreeRacks);
  constexpr uint64_t kBlocks = 40;
  for (uint64_t id = 1; id <= kBlocks; ++id) put(block_on(id, {1, 2, 3, 4, 5}));
  racks.lead();
  round();
  EXPECT_EQ(racks.describe().estimate_ms(), -1);
  for (uint64_t id = 1; id <= kBlocks / 2; ++id) {
    put(block_on(id, {1, 2, 4, 5, 7}));
    now += kHeldLookInterval;
    round();
  }
  const wire::RackRepair described = racks.describe();
  EXPECT_EQ(described.waiting(), kBlocks / 2);
  const auto expected = std::chrono::duration_cast<milliseconds>(kHeldLookInterval * (kBlocks / 2)).count();
  EXPECT_NEAR(static_cast<double>(described.estimate_ms()), static_cast<double>(expected), 0.2 * expected);
  racks.lead();
  EXPECT_EQ(racks.describe().estimate_ms(), -1);
}

TEST_F(Racks, ARoundOfAPassReadsSoManyRows) {
  stand_in(kThreeRacks);
  for (uint64_t id = 1; id <= 2 * kRackRowsPerRound + 1; ++id) put(block_on(id, {1, 2, 4, 5, 7}));
  racks.lead();
  for (uint64_t i = 1; i <= 2; ++i) {
    round();
    EXPECT_EQ(racks.describe().blocks_seen(), i * kRackRowsPerRound);
    EXPECT_TRUE(racks.describe().passing());
  }
  round();
  EXPECT_FALSE(racks.describe().passing());
  round();
  EXPECT_FALSE(read);
}

TEST_F(Racks, OneShardOfACrowdedBlockIsToLeaveUntilItIsSpread) {
  stand_in(kThreeRacks);
  put(block_on(7, {4, 1, 2, 3, 5}));
  racks.lead();
  const auto chosen = rounds(2);
  ASSERT_THAT(chosen, SizeIs(1));
  const wire::BlockRow& block = chosen[0];
  EXPECT_EQ(block.block(), 7u);
  EXPECT_EQ(std::ranges::count(block.shards(), wire::Shard::LEAVING, &wire::Shard::condition), 1);
  EXPECT_EQ(std::ranges::find(block.shards(), wire::Shard::LEAVING, &wire::Shard::condition)->server(), 1u);
  EXPECT_EQ(racks.describe().waiting(), 1u);
  say(7, Hindrance::NONE);
  EXPECT_EQ(racks.describe().moving(), 1u);
  EXPECT_EQ(racks.describe().moves(), 1u);

  wire::BlockRow moving = block_on(7, {4, 1, 2, 3, 5});
  wire::RepairReservation& reservation = *moving.add_reservations();
  reservation.set_index(1);
  reservation.set_target(6);
  reservation.set_move(true);
  put(moving);
  now += seconds(2);
  EXPECT_THAT(round(), IsEmpty());
  EXPECT_TRUE(read);
  EXPECT_EQ(racks.describe().moving(), 1u) << "three would be in the other rack then";

  put(block_on(7, {4, 7, 2, 3, 5}));
  now += seconds(2);
  EXPECT_THAT(round(), IsEmpty());
  EXPECT_EQ(racks.describe().moving() + racks.describe().waiting(), 0u);
  now += seconds(2);
  round();
  EXPECT_FALSE(read);
}

// While its move is under way a block counts as spread, which it is not if that fails.
TEST_F(Racks, AMoveThatFailsIsTriedAgain) {
  stand_in(kThreeRacks);
  const wire::BlockRow crowded = block_on(7, {1, 2, 3, 4, 5});
  put(crowded);
  racks.lead();
  ASSERT_THAT(rounds(2), SizeIs(1));
  say(7, Hindrance::NONE);
  wire::BlockRow moving = crowded;
  wire::RepairReservation& move = *moving.add_reservations();
  move.set_index(0);
  move.set_target(7);
  move.set_move(true);
  put(moving);
  for (int i = 0; i < 3; ++i) {
    now += seconds(2);
    EXPECT_THAT(round(), IsEmpty());
  }
  EXPECT_EQ(racks.describe().moving(), 1u);
  put(crowded);
  now += seconds(2);
  EXPECT_THAT(round(), SizeIs(1));
}

TEST_F(Racks, NoMoreAreChosenThanMayMove) {
  stand_in(kThreeRacks);
  for (uint64_t id = 1; id <= 10; ++id) put(block_on(id, {1, 2, 3, 4, 5}));
  racks.lead();
  round();
  EXPECT_THAT(round(3), SizeIs(3));
  EXPECT_EQ(racks.describe().waiting(), 10u);
  now += seconds(1);
  EXPECT_THAT(round(0), IsEmpty());
  now += seconds(1);
  EXPECT_THAT(round(), SizeIs(10));
}

TEST_F(Racks, APassWaitsWhileManyAreInTurn) {
  stand_in(kThreeRacks);
  for (uint64_t id = 1; id <= 2 * kMaxCrowdedInTurn; ++id) put(block_on(id, {1, 2, 3, 4, 5}));
  racks.lead();
  for (int i = 0; i < 5; ++i) round(0);
  EXPECT_EQ(racks.describe().waiting(), kMaxCrowdedInTurn);
  EXPECT_TRUE(racks.describe().passing());
  EXPECT_FALSE(scanned);
}

TEST_F(Racks, WhatNoRackCouldHaveIsToldUntilThereIsOne) {
  stand_in({"/a", "/a", "/a", "/b", "/b"});
  put(block_on(7, {1, 2, 3, 4, 5}));
  racks.lead();
  EXPECT_THAT(rounds(2), IsEmpty());
  EXPECT_THAT(held(), ElementsAre(std::pair(Hindrance::TOO_FEW_RACKS, 1u)));
  EXPECT_EQ(racks.describe().hindrances(0).block(), 7u);
  EXPECT_EQ(racks.describe().waiting(), 0u);
  EXPECT_FALSE(read) << "it is not looked at all the time";
  now += kHeldLookInterval;
  EXPECT_THAT(round(), IsEmpty());
  EXPECT_TRUE(read);

  stand_in({"/a", "/a", "/a", "/b", "/b", "/c"});
  EXPECT_THAT(rounds(2), SizeIs(1));
  EXPECT_THAT(held(), IsEmpty());
  say(7, Hindrance::NO_ROOM);
  EXPECT_THAT(held(), ElementsAre(std::pair(Hindrance::NO_ROOM, 1u)));
  now += kHeldLookInterval;
  EXPECT_THAT(round(), SizeIs(1)) << "there may be room by now";
}

TEST_F(Racks, WhatIsHeldBeyondTheBoundIsCountedAndFoundByALaterPass) {
  stand_in({"/a", "/a", "/a", "/b", "/b"});
  constexpr uint64_t kAll = kMaxCrowdedHeld + 500;
  for (uint64_t id = 1; id <= kAll; ++id) put(block_on(id, {1, 2, 3, 4, 5}));
  racks.lead();
  rounds(4);
  EXPECT_THAT(held(), ElementsAre(std::pair(Hindrance::TOO_FEW_RACKS, kAll)));
  for (uint64_t id = 1; id <= 2000; ++id) rows.rows.erase(MetaKeys(kGroup).block(BlockId(id)));
  now += kRackRecountInterval;
  rounds(10);
  EXPECT_THAT(held(), ElementsAre(std::pair(Hindrance::TOO_FEW_RACKS, 500u)));
}

TEST_F(Racks, WhereAllStandInOneRackNothingIsAskedOfIt) {
  stand_in({"/a", "/a", "/a", "/a", "/a", "/a"});
  put(block_on(7, {1, 2, 3, 4, 5}));
  racks.lead();
  round();
  racks.placed(BlockId(7));
  round();
  EXPECT_FALSE(read);
  EXPECT_FALSE(racks.describe().passing());
  servers[5].set_rack("/b");
  EXPECT_THAT(rounds(2), SizeIs(1));
}

TEST_F(Racks, WhatTheLeaderHasPlacedIsLookedAtWithoutAPass) {
  stand_in(kThreeRacks);
  racks.lead();
  rounds(2);
  put(block_on(7, {1, 2, 3, 4, 5}));
  put(block_on(8, {1, 2, 4, 5, 7}));
  racks.placed(BlockId(7));
  racks.placed(BlockId(8));
  racks.placed(BlockId(9));
  const auto chosen = round();
  EXPECT_FALSE(scanned);
  ASSERT_THAT(chosen, SizeIs(1));
  EXPECT_EQ(chosen[0].block(), 7u);
  EXPECT_EQ(racks.describe().waiting(), 1u);
}

// Which of the attempts at its shards are committed is not known before.
TEST_F(Racks, WhatIsBeingWrittenIsLookedAtAgainWhenItIsCommitted) {
  stand_in(kThreeRacks);
  wire::BlockRow open = block_on(7, {1, 2, 4, 3, 7});
  open.set_state(wire::BlockRow::ALLOCATED);
  wire::Shard& again = *open.add_shards();
  again.set_index(3);
  again.set_server(8);
  put(open);
  racks.lead();
  EXPECT_THAT(rounds(2), IsEmpty());
  EXPECT_EQ(racks.describe().waiting(), 1u);
  put(block_on(7, {1, 2, 4, 3, 7}));
  now += kHeldLookInterval;
  EXPECT_THAT(round(), SizeIs(1));
}

TEST_F(Racks, WhatLacksSomethingIsLeftToRepair) {
  stand_in(kThreeRacks);
  wire::BlockRow block = block_on(7, {1, 2, 3, 4, 5});
  block.mutable_shards(4)->set_condition(wire::Shard::DAMAGED);
  put(block);
  racks.lead();
  EXPECT_THAT(rounds(2), IsEmpty());
  put(block_on(7, {1, 2, 3, 4, 5}));
  now += kHeldLookInterval;
  EXPECT_THAT(round(), SizeIs(1));
}

// With the planner, as the leader does it: whatever the servers and blocks, it comes to an end, each move leaves the
// fuller of two racks with fewer, and nothing is crowded at the end that need not be.
RC_GTEST_PROP(RackRepairProperty, ComesToAnEndWithNothingCrowdedThatNeedNotBe, ()) {
  const uint64_t count = *rc::gen::inRange(5u, 14u);
  std::vector<wire::ChunkServerRow> servers(count);
  for (uint64_t id = 1; id <= count; ++id) {
    servers[id - 1].set_server(id);
    servers[id - 1].set_rack("/r" + std::to_string(*rc::gen::inRange(0, 4)));
    servers[id - 1].set_state(*rc::gen::weightedElement<wire::ServerState>({{5, wire::LIVE}, {1, wire::DEAD}}));
  }
  const auto rack_of = [&](ServerId id) { return &servers[id.value() - 1].rack(); };
  MemoryRows rows;
  std::map<uint64_t, wire::BlockRow> blocks;
  for (uint64_t id = 1; id <= 5; ++id) {
    wire::BlockRow& block = blocks[id];
    block.set_block(id);
    block.set_state(wire::BlockRow::COMMITTED);
    block.mutable_policy()->set_data_shards(3);
    block.mutable_policy()->set_parity_shards(2);
    const auto on = *rc::gen::unique<std::vector<uint64_t>>(5, rc::gen::inRange<uint64_t>(1, count + 1));
    for (uint32_t index = 0; index < 5; ++index) {
      wire::Shard& shard = *block.add_shards();
      shard.set_index(index);
      shard.set_server(on[index]);
      servers[on[index] - 1].set_state(wire::LIVE);  // those on others are not whole
    }
  }
  RepairSituation situation;
  situation.now_ms = milliseconds(std::chrono::hours(24)).count();  // those that are dead died long ago
  for (const wire::ChunkServerRow& server : servers) {
    situation.servers[ServerId(server.server())] = {.rack = server.rack(),
                                                    .state = server.state(),
                                                    .reachable = server.state() == wire::LIVE,
                                                    .free_bytes = 1 << 20};
  }
  RackRepair racks;
  racks.lead();
  MonoTime now{std::chrono::hours(1)};
  int moves = 0;
  for (int i = 0; i < 100; ++i) {
    for (const auto& [id, block] : blocks) {
      rows.rows[MetaKeys(kGroup).block(BlockId(id))] = block.SerializeAsString();
    }
    racks.see(servers);
    const RackRepair::Errand errand = racks.next(now);
    auto found = RackRepair::find(MetaTables(rows, kGroup), errand);
    RepairSituation at = situation;
    at.blocks = racks.take(std::move(found).value(), errand, kMaxRackMoves, now);
    for (const wire::BlockRow& block : at.blocks) at.crowded.insert(BlockId(block.block()));
    const RepairPlan plan = plan_repairs(at, RepairLimits());
    racks.note(plan.outlook, now);
    for (const PlannedRepair& move : plan.repairs) {
      ++moves;
      wire::BlockRow& block = blocks.at(move.block.value());
      const RackSpread before(block, rack_of);
      RC_ASSERT(before.crowded() != nullptr);
      RC_ASSERT(before.spreads(*rack_of(move.replaced_server), *rack_of(move.target)));
      for (const wire::Shard& shard : block.shards()) RC_ASSERT(shard.server() != move.target.value());
      block.mutable_shards(static_cast<int>(move.index.value()))->set_server(move.target.value());
    }
    now += seconds(5);
  }
  RC_ASSERT(moves <= 5 * 3);
  for (const auto& [id, block] : blocks) {
    const RackSpread spread(block, rack_of);
    if (spread.crowded() == nullptr) continue;
    for (const wire::ChunkServerRow& server : servers) {
      const bool has_one =
          std::ranges::find(block.shards(), server.server(), &wire::Shard::server) != block.shards().end();
      RC_ASSERT(has_one || server.state() != wire::LIVE || !spread.spreads(*spread.crowded(), server.rack()));
    }
  }
}

}  // namespace
}  // namespace dogfs
