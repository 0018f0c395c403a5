// How repair gets on.
#include "core/meta/repair_survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dogfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Held = RepairSurvey::Held;

RepairOutlook outlook(size_t position, uint64_t server, wire::RepairHindrance::Reason hindrance) {
  return {.position = position, .block = BlockId(100 + position), .server = ServerId(server), .hindrance = hindrance};
}

TEST(RepairSurvey, CountsShardsByWhatHindersThemAndByServer) {
  RepairSurvey survey;
  survey.add({outlook(0, 1, wire::RepairHindrance::GRACE), outlook(1, 2, wire::RepairHindrance::GRACE),
              outlook(1, 1, wire::RepairHindrance::NONE), outlook(2, 0, wire::RepairHindrance::NO_ROOM)},
             0, 3);
  EXPECT_FALSE(survey.finished().has_value());
  EXPECT_EQ(survey.all().to_go, 0u) << "nothing is said before all was seen";
  survey.end_pass(MonoTime(seconds(7)));
  EXPECT_EQ(survey.finished(), MonoTime(seconds(7)));
  EXPECT_EQ(survey.all().to_go, 4u);
  EXPECT_THAT(survey.all().held,
              ElementsAre(Pair(wire::RepairHindrance::GRACE, Held{.shards = 2, .block = BlockId(100)}),
                          Pair(wire::RepairHindrance::NO_ROOM, Held{.shards = 1, .block = BlockId(102)})));
  EXPECT_EQ(survey.of(ServerId(1)).to_go, 2u);
  EXPECT_THAT(survey.of(ServerId(1)).held,
              ElementsAre(Pair(wire::RepairHindrance::GRACE, Held{.shards = 1, .block = BlockId(100)})));
  EXPECT_EQ(survey.of(ServerId(3)).to_go, 0u);
}

TEST(RepairSurvey, WhatStandsOutsideThePassIsNotCounted) {
  RepairSurvey survey;
  survey.add({outlook(0, 1, wire::RepairHindrance::BUSY), outlook(1, 1, wire::RepairHindrance::BUSY),
              outlook(2, 1, wire::RepairHindrance::BUSY)},
             1, 2);
  survey.end_pass({});
  EXPECT_EQ(survey.all().to_go, 1u);
}

TEST(RepairSurvey, APassTakesThePlaceOfTheOneBefore) {
  RepairSurvey survey;
  survey.add({outlook(0, 1, wire::RepairHindrance::BUSY)}, 0, 1);
  survey.begin_pass();
  survey.add({outlook(0, 2, wire::RepairHindrance::BUSY)}, 0, 1);
  survey.end_pass({});
  EXPECT_EQ(survey.all().to_go, 1u);
  EXPECT_EQ(survey.of(ServerId(1)).to_go, 0u) << "of a pass that was not ended";
  survey.end_pass({});
  EXPECT_EQ(survey.all().to_go, 0u);
  EXPECT_THAT(survey.all().held, IsEmpty());
  survey.clear();
  EXPECT_FALSE(survey.finished().has_value());
}

// `left` shards that are under way on server 1, and one on server 2 that has nowhere to go.
void pass(RepairSurvey& survey, uint64_t left, int64_t second) {
  std::vector<RepairOutlook> all = {outlook(0, 2, wire::RepairHindrance::NO_ROOM)};
  for (uint64_t i = 0; i < left; ++i) {
    all.push_back(outlook(1 + i, 1, i % 2 == 0 ? wire::RepairHindrance::NONE : wire::RepairHindrance::BUSY));
  }
  survey.begin_pass();
  survey.add(all, 0, all.size());
  survey.end_pass(MonoTime(seconds(second)));
}

TEST(RepairSurvey, EstimatesHowLongThoseTakeThatNothingHoldsUp) {
  RepairSurvey survey;
  EXPECT_EQ(survey.estimate_ms(), -1);
  pass(survey, 40, 0);
  EXPECT_EQ(survey.estimate_ms(), -1) << "not known yet";
  EXPECT_EQ(survey.estimate_ms(ServerId(1)), -1);
  for (int64_t s = 1; s <= 10; ++s) pass(survey, 40 - static_cast<uint64_t>(s), s);
  EXPECT_EQ(survey.estimate_ms(), 30'000);
  EXPECT_EQ(survey.per_hour(), 3600u);
  EXPECT_EQ(survey.estimate_ms(ServerId(1)), 30'000);
  EXPECT_EQ(survey.estimate_ms(ServerId(2)), -1) << "it has nowhere to go";
  EXPECT_EQ(survey.estimate_ms(ServerId(3)), -1);
  pass(survey, 0, 11);
  EXPECT_EQ(survey.estimate_ms(), -1) << "what is left is held up";
  survey.clear();
  EXPECT_EQ(survey.per_hour(), 0u);
}

TEST(RepairSurvey, FillsInWhatIsSent) {
  RepairSurvey survey;
  survey.add({outlook(0, 1, wire::RepairHindrance::NONE), outlook(3, 1, wire::RepairHindrance::UNDECODABLE)}, 0, 9);
  survey.end_pass({});
  wire::ChunkServerInfo info;
  survey.of(ServerId(1)).fill(info);
  EXPECT_EQ(info.shards_to_go(), 2u);
  ASSERT_EQ(info.hindrances_size(), 1);
  EXPECT_EQ(info.hindrances(0).reason(), wire::RepairHindrance::UNDECODABLE);
  EXPECT_EQ(info.hindrances(0).shards(), 1u);
  EXPECT_EQ(info.hindrances(0).block(), 103u);
}

}  // namespace
}  // namespace dogfs
