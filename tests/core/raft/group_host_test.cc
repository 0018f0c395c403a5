// Several groups on the same three nodes: whole replicas in the simulated world.
#include "core/raft/group_host.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/wire/message_type.h"
#include "core/wire/raft.pb.h"
#include "core/wire/rpc.h"
#include "tests/core/raft/replica_world.h"

namespace dogfs {
namespace {

constexpr size_t kNodes = 3;

class ManyGroups : public ReplicaWorld {
 public:
  explicit ManyGroups(size_t groups, std::ostream* trace = nullptr)
      : ReplicaWorld(kNodes, 1, groups, trace), lists_(groups) {
    start_all();
  }

  // Has the group's leader add `command` to its list.
  Status add(size_t group, const std::string& command) {
    DOGFS_TRYV(propose(elect(group), command, seconds(5), group));
    lists_[group].push_back(command);
    return ok();
  }

  // Makes node `i` the group's leader.
  void lead(size_t group, size_t i) {
    const auto leads = [&] { return program(i)->replica(group).status().role == RaftRole::kLeader; };
    if (elect(group) == i) return;
    DOGFS_CHECK(transfer(elect(group), NodeId(i), seconds(5), group).has_value());
    DOGFS_CHECK(world().run_until(leads, seconds(1)));
  }

  // Frames that arrive at all nodes in a virtual second in which nobody asks for anything.
  uint64_t frames_in_a_second() {
    const auto all = [&] { return program(1)->frames() + program(2)->frames() + program(3)->frames(); };
    pass_a_second();
    const uint64_t before = all();
    pass_a_second();
    return all() - before;
  }

  // Whether all nodes come to hold what was added to each group, and nothing else but the empty commands that begin a term.
  bool hold_what_was_added() {
    for (size_t group = 0; group < lists_.size(); ++group) {
      if (!converge(group)) return false;
      std::vector<std::string> commands = program(1)->machine(group).commands();
      std::erase(commands, "");
      if (commands != lists_[group]) return false;
    }
    return true;
  }

 private:
  void pass_a_second() {
    const sim::VirtualTime end = world().now() + seconds(1);
    world().run_until([&] { return world().now() >= end; }, seconds(2));
  }

  std::vector<std::vector<std::string>> lists_;  // by group
};

TEST(GroupHost, EachGroupHasItsOwnLog) {
  constexpr size_t kGroups = 8;
  ManyGroups world(kGroups);
  for (size_t group = 0; group < kGroups; ++group) {
    for (size_t i = 0; i <= group; ++i) ASSERT_TRUE(world.add(group, fmt::format("{}.{}", group, i)).has_value());
  }
  EXPECT_TRUE(world.hold_what_was_added());
}

TEST(GroupHost, HeartbeatsOfAllGroupsShareFrames) {
  ManyGroups one(1);
  one.lead(0, 1);
  const uint64_t frames = one.frames_in_a_second();
  // Twenty heartbeats to each of two followers, and their answers.
  EXPECT_GE(frames, 76U);
  EXPECT_LE(frames, 84U);

  constexpr size_t kGroups = 16;
  ManyGroups many(kGroups);
  for (size_t group = 0; group < kGroups; ++group) many.lead(group, 1);
  EXPECT_LE(many.frames_in_a_second(), frames + frames / 10);
}

TEST(GroupHost, GroupsHaveTheirLeadersWhereverTheyLike) {
  constexpr size_t kGroups = 6;
  ManyGroups world(kGroups);
  for (size_t group = 0; group < kGroups; ++group) world.lead(group, 1 + group % kNodes);
  for (size_t group = 0; group < kGroups; ++group) {
    ASSERT_TRUE(world.add(group, "a").has_value());
    EXPECT_EQ(world.leader(group), 1 + group % kNodes);
  }
  EXPECT_TRUE(world.hold_what_was_added());
}

TEST(GroupHost, APowerCutOfAHostLosesNothingOfAnyGroup) {
  constexpr size_t kGroups = 5;
  ManyGroups world(kGroups);
  for (size_t round = 0; round < 3 * kNodes; ++round) {
    const size_t struck = 1 + round % kNodes;
    for (size_t group = 0; group < kGroups; ++group) {
      ASSERT_TRUE(world.add(group, fmt::format("{}.{}", group, round)).has_value());
    }
    world.crash(struck);
    for (size_t group = 0; group < kGroups; ++group) {
      ASSERT_TRUE(world.add(group, fmt::format("{}.{} without {}", group, round, struck)).has_value());
    }
    ASSERT_TRUE(world.start(struck).has_value());
  }
  EXPECT_TRUE(world.hold_what_was_added());
}

TEST(GroupHost, WhatIsForNobodyHereIsDropped) {
  ManyGroups world(1);
  ASSERT_TRUE(world.add(0, "a").has_value());
  GroupHost& host = world.program(1)->host();
  wire::RaftMessages frame;
  frame.add_messages()->set_group(77);
  host.receive(make_request(MessageType::kRaft, GroupId(), frame));
  Request malformed;
  malformed.type = MessageType::kRaft;
  malformed.body = "no frame";
  host.receive(malformed);
  ASSERT_TRUE(world.add(0, "b").has_value());
  EXPECT_TRUE(world.hold_what_was_added());
  EXPECT_EQ(host.find(GroupId(77)), nullptr);
  EXPECT_EQ(host.find(GroupId(7)), &world.program(1)->replica());
}

size_t occurrences(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

// Each takes two bytes in the frame, and hundreds in memory.
TEST(GroupHost, AFrameOfMoreMessagesThanAnyInboxTakesIsDroppedAsAWhole) {
  std::ostringstream trace;
  ManyGroups world(1, &trace);
  ASSERT_TRUE(world.add(0, "a").has_value());
  const std::string empty_message("\x0a\x00", 2);
  Request frame;
  frame.type = MessageType::kRaft;
  for (size_t i = 0; i < kMaxRaftInboxMessages; ++i) frame.body += empty_message;
  world.program(1)->host().receive(frame);
  EXPECT_EQ(occurrences(trace.str(), "dropped a frame"), 0U);
  frame.body += empty_message;
  world.program(1)->host().receive(frame);
  EXPECT_EQ(occurrences(trace.str(), "dropped a frame of more messages"), 1U);
  ASSERT_TRUE(world.add(0, "b").has_value());
  EXPECT_TRUE(world.hold_what_was_added());
  EXPECT_EQ(occurrences(trace.str(), "dropped a frame"), 1U);
}

TEST(GroupHost, AFrameOfMoreEntriesThanAnyNodeSendsIsDroppedAsAWhole) {
  std::ostringstream trace;
  ManyGroups world(1, &trace);
  ASSERT_TRUE(world.add(0, "a").has_value());
  // In as many messages as one likes.
  const auto send = [&world](const std::vector<size_t>& entries) {
    Request frame;
    frame.type = MessageType::kRaft;
    for (const size_t count : entries) {
      const uint64_t bytes = 2 * count;
      frame.body += '\x0a';
      for (uint64_t left = bytes; true; left >>= 7) {
        frame.body += static_cast<char>((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
        if (left <= 0x7F) break;
      }
      for (size_t i = 0; i < count; ++i) frame.body += std::string("\x4a\x00", 2);
    }
    world.program(1)->host().receive(frame);
  };
  send({kMaxRaftFrameEntries - 1000, 1000});
  EXPECT_EQ(occurrences(trace.str(), "dropped a frame"), 0U);
  send({kMaxRaftFrameEntries - 1000, 1001});
  EXPECT_EQ(occurrences(trace.str(), "dropped a frame of more messages, or entries"), 1U);
  ASSERT_TRUE(world.add(0, "b").has_value());
  EXPECT_TRUE(world.hold_what_was_added());
}

}  // namespace
}  // namespace dogfs
