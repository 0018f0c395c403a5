#include "core/raft/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "core/base/limits.h"
#include "core/raft/codec.h"

namespace dogfs::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<NodeId> nodes(std::initializer_list<uint64_t> ids) {
  std::vector<NodeId> result;
  for (const uint64_t id : ids) result.emplace_back(id);
  return result;
}

Address address_of(uint64_t id) {
  return Address{"n" + std::to_string(id)};
}

std::map<NodeId, Address> with_addresses(std::initializer_list<uint64_t> ids) {
  std::map<NodeId, Address> result;
  for (const uint64_t id : ids) result.emplace(NodeId(id), address_of(id));
  return result;
}

Configuration three_voters() {
  return initial_configuration(with_addresses({1, 2, 3}));
}

Configuration must_begin(const Configuration& from, const MembershipChange& change) {
  Result<Configuration> to = begin_change(from, change);
  DOGFS_CHECK(to.has_value());
  return std::move(to).value();
}

Error refusal(const Configuration& from, const MembershipChange& change) {
  const Result<Configuration> to = begin_change(from, change);
  return to ? Error(ErrorCode::kOk) : to.error();
}

// --- Changes --------------------------------------------------------------------------------------------------------

TEST(Configuration, ALearnerJoinsInOneStep) {
  const Configuration to = must_begin(three_voters(), {.add = with_addresses({4})});
  EXPECT_FALSE(to.is_joint());
  EXPECT_EQ(to.voters, nodes({1, 2, 3}));
  EXPECT_EQ(to.learners, nodes({4}));
  EXPECT_EQ(to.addresses.at(NodeId(4)), address_of(4));
  EXPECT_EQ(to.last_id, NodeId(4));
}

TEST(Configuration, ALearnerAloneCanBeGivenAnotherAddress) {
  const Configuration with_learner = must_begin(three_voters(), {.add = with_addresses({4})});
  const MembershipChange change{.add = {{NodeId(4), Address{"elsewhere"}}}};
  EXPECT_FALSE(is_in_effect(with_learner, change));
  Configuration expected = with_learner;
  expected.addresses.at(NodeId(4)) = Address{"elsewhere"};
  EXPECT_EQ(must_begin(with_learner, change), expected) << "nobody's vote changes, nor the last id";
  EXPECT_TRUE(is_in_effect(expected, change));
  EXPECT_THAT(refusal(with_learner, {.add = {{NodeId(4), address_of(1)}}}).detail, HasSubstr("is node 1's"));
  const Error voter = refusal(with_learner, {.add = {{NodeId(1), Address{"elsewhere"}}}});
  EXPECT_EQ(voter.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(voter.detail, HasSubstr("a member already, at " + address_of(1).value + ": only a learner"));
}

TEST(Configuration, AnyChangeOfVotersIsJointFirst) {
  const Configuration with_learner = must_begin(three_voters(), {.add = with_addresses({4})});
  const Configuration joint = must_begin(with_learner, {.promote = nodes({4}), .remove = nodes({1})});
  EXPECT_EQ(joint.voters, nodes({2, 3, 4}));
  EXPECT_EQ(joint.outgoing, nodes({1, 2, 3}));
  EXPECT_TRUE(joint.is_member(NodeId(1))) << "it decides with the others until the joint configuration is left";
  const Configuration left = leave_joint(joint);
  EXPECT_EQ(left.voters, nodes({2, 3, 4}));
  EXPECT_FALSE(left.is_joint());
  EXPECT_FALSE(left.is_member(NodeId(1)));
  EXPECT_EQ(left.last_id, NodeId(4));
}

TEST(Configuration, ADemotedVoterIsALearnerWhenTheJointConfigurationIsLeft) {
  const Configuration joint = must_begin(three_voters(), {.demote = nodes({2})});
  EXPECT_THAT(joint.learners, IsEmpty());
  EXPECT_EQ(joint.learners_next, nodes({2}));
  const Configuration left = leave_joint(joint);
  EXPECT_EQ(left.learners, nodes({2}));
  EXPECT_EQ(left.voters, nodes({1, 3}));
}

TEST(Configuration, OnlyOneChangeAtATime) {
  const Configuration joint = must_begin(three_voters(), {.remove = nodes({2})});
  EXPECT_EQ(refusal(joint, {.add = with_addresses({4})}).code, ErrorCode::kConflict);
}

TEST(Configuration, ChangesThatMakeNoSenseAreRefusedInWords) {
  const Configuration from = must_begin(three_voters(), {.add = with_addresses({7})});
  const auto detail = [&](const MembershipChange& change) {
    const Error error = refusal(from, change);
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
    return error.detail;
  };
  EXPECT_THAT(detail({}), HasSubstr("empty"));
  EXPECT_THAT(detail({.promote = nodes({7}), .remove = nodes({7})}), HasSubstr("twice"));
  EXPECT_THAT(detail({.add = with_addresses({2})}), HasSubstr("a member already"));
  EXPECT_THAT(detail({.add = with_addresses({5})}), HasSubstr("used before"));
  EXPECT_THAT(detail({.add = {{NodeId(8), address_of(1)}}}), HasSubstr("is node 1's"));
  EXPECT_THAT(detail({.promote = nodes({1})}), HasSubstr("a voter already"));
  EXPECT_THAT(detail({.promote = nodes({9})}), HasSubstr("not a learner"));
  EXPECT_THAT(detail({.demote = nodes({7})}), HasSubstr("not a voter"));
  EXPECT_THAT(detail({.remove = nodes({9})}), HasSubstr("not a member"));
  EXPECT_THAT(detail({.remove = nodes({1, 2, 3})}), HasSubstr("no voter"));
}

TEST(Configuration, AnIdThatLeavesRoomForNoOtherIsRefused) {
  EXPECT_EQ(must_begin(three_voters(), {.add = with_addresses({kMaxNodeId})}).last_id, NodeId(kMaxNodeId));
  const Error error = refusal(three_voters(), {.add = with_addresses({kMaxNodeId + 1})});
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.detail, HasSubstr("at most"));
}

TEST(Configuration, AGroupHasALimitOfMembers) {
  MembershipChange many;
  for (uint64_t id = 4; id <= kMaxRaftMembers + 1; ++id) many.add.emplace(NodeId(id), address_of(id));
  EXPECT_EQ(refusal(three_voters(), many).code, ErrorCode::kLimitExceeded);
  many.add.erase(std::prev(many.add.end()));
  const Configuration full = must_begin(three_voters(), many);
  EXPECT_EQ(refusal(full, {.promote = full.learners}).code, ErrorCode::kLimitExceeded);
}

// Model: who is a voter and who a learner, as two sets that change at once.
RC_GTEST_PROP(Configuration, WhateverIsChangedEndsAsAskedAndStaysValid, ()) {
  Configuration now = three_voters();
  std::set<NodeId> voters{NodeId(1), NodeId(2), NodeId(3)};
  std::set<NodeId> learners;
  const size_t changes = *rc::gen::inRange<size_t>(1, 12);
  for (size_t i = 0; i < changes; ++i) {
    MembershipChange change;
    std::set<NodeId> next_voters = voters;
    std::set<NodeId> next_learners = learners;
    for (const NodeId node : voters) {
      const int fate = *rc::gen::inRange(0, 6);
      if (fate < 2) next_voters.erase(node);
      if (fate == 0) change.remove.push_back(node);
      if (fate == 1) change.demote.push_back(node);
      if (fate == 1) next_learners.insert(node);
    }
    for (const NodeId node : learners) {
      const int fate = *rc::gen::inRange(0, 4);
      if (fate < 2) next_learners.erase(node);
      if (fate == 0) change.remove.push_back(node);
      if (fate == 1) change.promote.push_back(node);
      if (fate == 1) next_voters.insert(node);
    }
    if (*rc::gen::inRange(0, 2) == 0) {
      const NodeId added = now.last_id.next();
      change.add.emplace(added, address_of(added.value()));
      next_learners.insert(added);
    }
    const Result<Configuration> to = begin_change(now, change);
    const bool empty = change.add.empty() && change.promote.empty() && change.demote.empty() && change.remove.empty();
    RC_ASSERT(to.has_value() == (!empty && !next_voters.empty()));
    if (!to) continue;
    RC_ASSERT(to.value().is_joint() == (next_voters != voters));
    RC_ASSERT(to.value().last_id >= now.last_id);
    now = to.value().is_joint() ? leave_joint(to.value()) : to.value();
    voters = next_voters;
    learners = next_learners;
    RC_ASSERT(validate(now).has_value());
    RC_ASSERT(now.voters == std::vector<NodeId>(voters.begin(), voters.end()));
    RC_ASSERT(now.learners == std::vector<NodeId>(learners.begin(), learners.end()));
    RC_ASSERT(now.addresses.size() == voters.size() + learners.size());
  }
}

// --- Quorums --------------------------------------------------------------------------------------------------------

std::vector<NodeId> members_of_mask(uint32_t mask) {
  std::vector<NodeId> result;
  for (uint64_t id = 0; id < 8; ++id) {
    if ((mask >> id & 1) != 0) result.emplace_back(id + 1);
  }
  return result;
}

// Model: count, for each half, who is in it.
bool decides(const std::vector<NodeId>& half, uint32_t agreeing) {
  size_t count = 0;
  for (const NodeId node : half) count += agreeing >> (node.value() - 1) & 1;
  return count * 2 > half.size();
}

RC_GTEST_PROP(JointQuorum, AValueIsReachedWhereAMajorityOfEachHalfHasIt, ()) {
  const std::vector<NodeId> incoming = members_of_mask(*rc::gen::inRange(1U, 256U));
  const std::vector<NodeId> outgoing = members_of_mask(*rc::gen::inRange(0U, 256U));
  const auto values = *rc::gen::container<std::vector<uint64_t>>(8, rc::gen::inRange<uint64_t>(0, 6));
  uint64_t expected = 0;
  for (uint64_t value = 1; value < 6; ++value) {
    uint32_t have = 0;
    for (size_t i = 0; i < 8; ++i) have |= uint32_t{values[i] >= value} << i;
    if (decides(incoming, have) && (outgoing.empty() || decides(outgoing, have))) expected = value;
  }
  const Quorum quorum{VoterSet(incoming), VoterSet(outgoing)};
  RC_ASSERT(quorum.reached([&](NodeId node) { return values[node.value() - 1]; }) == expected);
}

RC_GTEST_PROP(JointQuorum, AnElectionIsDecidedWhenTheSilentCannotChangeIt, ()) {
  const std::vector<NodeId> incoming = members_of_mask(*rc::gen::inRange(1U, 256U));
  const std::vector<NodeId> outgoing = members_of_mask(*rc::gen::inRange(0U, 256U));
  const uint32_t answered = *rc::gen::inRange(0U, 256U);
  const uint32_t granted = answered & *rc::gen::inRange(0U, 256U);
  std::map<NodeId, bool> votes;
  for (const NodeId node : members_of_mask(answered)) votes.emplace(node, (granted >> (node.value() - 1) & 1) != 0);
  const auto wins = [&](uint32_t yes) {
    return decides(incoming, yes) && (outgoing.empty() || decides(outgoing, yes));
  };
  VoteResult expected = VoteResult::kPending;
  if (wins(granted)) expected = VoteResult::kWon;
  if (!wins(granted | ~answered)) expected = VoteResult::kLost;
  const Quorum quorum{VoterSet(incoming), VoterSet(outgoing)};
  RC_ASSERT(quorum.result(votes) == expected);
}

// Why the joint configuration is there (thesis, 4.3): any majority of the one before and any of the one after meet
// every quorum of the one between.
TEST(JointQuorum, NoTwoQuorumsOfAdjacentConfigurationsAreApart) {
  constexpr uint32_t kSets = 1U << 4;
  for (uint32_t before = 1; before < kSets; ++before) {
    for (uint32_t after = 1; after < kSets; ++after) {
      const Quorum joint{VoterSet(members_of_mask(after)), VoterSet(members_of_mask(before))};
      for (uint32_t one = 0; one < kSets; ++one) {
        const auto in_one = [&](NodeId node) { return one >> (node.value() - 1) & 1; };
        if (joint.reached(in_one) == 0) continue;
        for (uint32_t other = 0; other < kSets; ++other) {
          if ((one & other) != 0) continue;
          ASSERT_FALSE(decides(members_of_mask(before), other) || decides(members_of_mask(after), other))
              << before << " to " << after << ": " << one << " and " << other;
        }
      }
    }
  }
}

TEST(JointQuorum, NamesEachVoterOnce) {
  const Quorum quorum{VoterSet(nodes({2, 3, 4})), VoterSet(nodes({1, 2, 3}))};
  EXPECT_EQ(quorum.voters(), nodes({1, 2, 3, 4}));
  EXPECT_TRUE(quorum.contains(NodeId(1)) && quorum.contains(NodeId(4)) && !quorum.contains(NodeId(5)));
}

TEST(JointQuorum, OnlyALoneVoterOfBothHalvesDecidesAlone) {
  EXPECT_TRUE(Quorum{VoterSet(nodes({1}))}.is_only(NodeId(1)));
  EXPECT_FALSE(Quorum{VoterSet(nodes({1}))}.is_only(NodeId(2)));
  EXPECT_FALSE((Quorum{VoterSet(nodes({2})), VoterSet(nodes({1}))}.is_only(NodeId(1))));
  EXPECT_FALSE((Quorum{VoterSet(nodes({1})), VoterSet(nodes({1, 2}))}.is_only(NodeId(1))));
}

TEST(JointQuorum, NobodyElectsNobody) {
  EXPECT_NE(Quorum{VoterSet({})}.result({{NodeId(1), true}}), VoteResult::kWon);
}

// --- History --------------------------------------------------------------------------------------------------------

// Model: the whole log as a list of optional configurations, searched from its end.
RC_GTEST_PROP(ConfigurationHistory, AnswersAsASearchThroughTheLogWould, ()) {
  std::vector<std::optional<uint64_t>> log{uint64_t{1}};  // log[i]: last_id of the configuration at index i
  Configuration base;
  base.last_id = NodeId(1);
  ConfigurationHistory history{ConfigurationHistory::Item{LogIndex(), base}};
  size_t first = 0;
  uint64_t last_id = 1;
  const auto model = [&](size_t index) {
    while (!log[index]) --index;
    return index;
  };
  const size_t moves = *rc::gen::inRange<size_t>(1, 40);
  for (size_t i = 0; i < moves; ++i) {
    const int move = *rc::gen::inRange(0, 8);
    if (move < 3) {
      log.push_back(std::nullopt);
    } else if (move < 5) {
      Configuration next;
      next.last_id = NodeId(++last_id);
      history.append(LogIndex(log.size()), next);
      log.push_back(last_id);
    } else if (move < 7 && log.size() > first + 1) {
      const size_t from = *rc::gen::inRange(first + 1, log.size());
      log.resize(from);
      history.truncate_from(LogIndex(from));
    } else if (log.size() > first) {
      first = *rc::gen::inRange(first, log.size());
      history.compact_to(LogIndex(first));
    }
    RC_ASSERT(history.latest_index().value() == model(log.size() - 1));
    RC_ASSERT(history.latest().last_id.value() == log[model(log.size() - 1)]);
    const size_t any = *rc::gen::inRange(first, log.size());
    RC_ASSERT(history.at(LogIndex(any)).index.value() == model(any));
  }
}

TEST(ConfigurationHistory, ASnapshotReplacesIt) {
  ConfigurationHistory history{ConfigurationHistory::Item{LogIndex(), three_voters()}};
  history.append(LogIndex(4), must_begin(three_voters(), {.add = with_addresses({4})}));
  const ConfigurationHistory::Item base{LogIndex(9), initial_configuration(with_addresses({5}))};
  history.reset(base);
  EXPECT_THAT(history.items(), ElementsAre(base));
}

// --- Codec ----------------------------------------------------------------------------------------------------------

TEST(ConfigurationCodec, TravelsUnchanged) {
  const Configuration with_learners = must_begin(three_voters(), {.add = with_addresses({4, 5})});
  const Configuration joint = must_begin(with_learners, {.promote = nodes({4}), .demote = nodes({1})});
  for (const Configuration& each : {Configuration(), three_voters(), with_learners, joint}) {
    const Result<Configuration> back = parse_configuration(serialize_configuration(each));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back.value(), each);
  }
}

TEST(ConfigurationCodec, RefusesWhatBreaksAnInvariant) {
  wire::RaftConfiguration good;
  encode_configuration(must_begin(must_begin(three_voters(), {.add = with_addresses({4})}), {.demote = nodes({1})}),
                       good);
  ASSERT_TRUE(decode_configuration(good).has_value());
  const auto refused = [&](auto breaks) {
    wire::RaftConfiguration message = good;
    breaks(message);
    const Result<Configuration> decoded = decode_configuration(message);
    return !decoded && decoded.error().code == ErrorCode::kProtocolError;
  };
  using Wire = wire::RaftConfiguration;
  EXPECT_TRUE(refused([](Wire& m) { m.add_voters(1); })) << "not sorted";
  EXPECT_TRUE(refused([](Wire& m) { m.add_voters(3); })) << "twice";
  EXPECT_TRUE(refused([](Wire& m) { m.set_learners(0, 3); })) << "a learner that votes";
  EXPECT_TRUE(refused([](Wire& m) { m.set_learners_next(0, 4); })) << "to be a learner, but never voted";
  EXPECT_TRUE(refused([](Wire& m) { m.clear_outgoing(); })) << "learners to be without a joint configuration";
  EXPECT_TRUE(refused([](Wire& m) { m.clear_voters(); })) << "nobody votes";
  EXPECT_TRUE(refused([](Wire& m) { m.mutable_members()->RemoveLast(); })) << "a member without address";
  EXPECT_TRUE(refused([](Wire& m) { m.add_members()->set_node(9); })) << "an address without member";
  EXPECT_TRUE(refused([](Wire& m) { *m.add_members() = m.members(0); })) << "two addresses";
  EXPECT_TRUE(refused([](Wire& m) { m.set_last_id(3); })) << "an id above the last";
  EXPECT_TRUE(refused([](Wire& m) { m.mutable_members(0)->set_address(std::string(kMaxAddressBytes + 1, 'x')); }));
  EXPECT_TRUE(refused([](Wire& m) {
    for (uint64_t id = 5; id <= 5 + kMaxRaftMembers; ++id) m.add_learners(id);
  })) << "too many";
  EXPECT_FALSE(parse_configuration("\xff\xff").has_value());
}

}  // namespace
}  // namespace dogfs::raft
