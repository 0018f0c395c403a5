// Several groups on the same three nodes: whole replicas in the simulated world.
#include "core/raft/group_host.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/wire/message_type.h"
#include "core/wire/raft.pb.h"
#include "core/wire/rpc.h"
#include "tests/core/raft/replica_world.h"

namespace dogfs {
namespace {

constexpr size_t kNodes = 3;

// What runs on one node: a member of each group.
class ManyNode final : public RequestHandler {
 public:
  ManyNode(sim::Node& node, size_t self, const std::map<NodeId, Address>& voters, size_t groups)
      : env_(node.env()), host_(env_, node.kv(), node.on_fatal()) {
    for (size_t group = 0; group < groups; ++group) {
      machines_.push_back(std::make_unique<ListMachine>(node.kv(), static_cast<char>('a' + group)));
      ReplicaOptions options;
      options.group = GroupId(group);
      options.self = NodeId(self);
      options.voters = voters;
      replicas_.push_back(&host_.add(*machines_.back(), std::move(options)));
    }
  }

  Task<Status> start() {
    for (Replica* replica : replicas_) {
      DOGFS_CO_TRYV(co_await replica->start());
    }
    env_.transport.serve(*this);
    co_return ok();
  }

  Task<Reply> handle(Request, MonoTime) override { co_return error_reply(Error(ErrorCode::kUnsupported)); }
  void receive(Request frame) override {
    ++frames_;
    host_.receive(frame);
  }

  GroupHost& host() { return host_; }
  Replica& replica(size_t group) { return *replicas_.at(group); }
  const ListMachine& machine(size_t group) const { return *machines_.at(group); }
  uint64_t frames() const { return frames_; }

 private:
  Env& env_;
  std::vector<std::unique_ptr<ListMachine>> machines_;
  GroupHost host_;
  std::vector<Replica*> replicas_;
  uint64_t frames_ = 0;  // that arrived
};

class ManyWorld {
 public:
  explicit ManyWorld(size_t groups) : groups_(groups), world_(sim::WorldOptions{.seed = 1}) {
    for (size_t i = 1; i <= kNodes; ++i) {
      nodes_.push_back(&world_.add_node("n" + std::to_string(i)));
      voters_.emplace(NodeId(i), nodes_.back()->address());
      programs_.push_back(nullptr);
    }
    for (size_t i = 1; i <= kNodes; ++i) start(i);
  }

  sim::World& world() { return world_; }
  ManyNode& program(size_t i) { return *programs_.at(i - 1); }

  void start(size_t i) {
    sim::Node& node = *nodes_.at(i - 1);
    if (!node.up()) node.boot();
    programs_.at(i - 1) = &node.make<ManyNode>(node, i, voters_, groups_);
    DOGFS_CHECK(world_.run(node, program(i).start(), seconds(10)).value().has_value());
  }
  void crash(size_t i) { nodes_.at(i - 1)->crash(sim::CrashKind::kPower); }

  // Waits for the group's leader.
  size_t leader(size_t group) {
    const auto find = [&] {
      for (size_t i = 1; i <= kNodes; ++i) {
        if (nodes_.at(i - 1)->up() && program(i).replica(group).status().role == RaftRole::kLeader) return i;
      }
      return size_t{0};
    };
    DOGFS_CHECK(world_.run_until([&] { return find() != 0; }, seconds(30)));
    return find();
  }

  Result<std::string> propose(size_t group, const std::string& command) {
    const size_t i = leader(group);
    sim::Node& node = *nodes_.at(i - 1);
    return *world_.run(node, program(i).replica(group).propose(command, node.env().clock.now() + seconds(5)),
                       seconds(60));
  }

  // Makes node `i` lead every group.
  void lead_all(size_t i) {
    for (size_t group = 0; group < groups_; ++group) {
      while (leader(group) != i) {
        sim::Node& node = *nodes_.at(leader(group) - 1);
        const MonoTime deadline = node.env().clock.now() + seconds(5);
        world_.run(node, program(leader(group)).replica(group).transfer_leadership(NodeId(i), deadline), seconds(60));
        world_.run_until([&] { return program(i).replica(group).status().role == RaftRole::kLeader; }, seconds(1));
      }
    }
  }

  void pass(Duration time) {
    const sim::VirtualTime end = world_.now() + time;
    world_.run_until([&] { return world_.now() >= end; }, 2 * time);
  }

  // Frames that arrive at all nodes in a virtual second.
  uint64_t frames_in_a_second() {
    const auto all = [&] { return program(1).frames() + program(2).frames() + program(3).frames(); };
    const uint64_t before = all();
    pass(seconds(1));
    return all() - before;
  }

  // Whether all nodes come to hold `expected` in the group, beside the empty commands that begin a term.
  bool comes_to_hold(size_t group, const std::vector<std::string>& expected) {
    return world_.run_until(
        [&] {
          for (size_t i = 1; i <= kNodes; ++i) {
            std::vector<std::string> commands = program(i).machine(group).commands();
            std::erase(commands, "");
            if (commands != expected) return false;
          }
          return true;
        },
        seconds(30));
  }

 private:
  size_t groups_;
  sim::World world_;
  std::vector<sim::Node*> nodes_;
  std::vector<ManyNode*> programs_;
  std::map<NodeId, Address> voters_;
};

TEST(GroupHost, EachGroupHasItsOwnLog) {
  constexpr size_t kGroups = 8;
  ManyWorld world(kGroups);
  for (size_t group = 0; group < kGroups; ++group) {
    for (size_t i = 0; i <= group; ++i) {
      ASSERT_TRUE(world.propose(group, fmt::format("{}.{}", group, i)).has_value());
    }
  }
  for (size_t group = 0; group < kGroups; ++group) {
    std::vector<std::string> expected;
    for (size_t i = 0; i <= group; ++i) expected.push_back(fmt::format("{}.{}", group, i));
    EXPECT_TRUE(world.comes_to_hold(group, expected)) << group;
  }
}

TEST(GroupHost, HeartbeatsOfAllGroupsShareFrames) {
  ManyWorld one(1);
  one.lead_all(1);
  one.pass(seconds(1));
  const uint64_t frames = one.frames_in_a_second();
  // Twenty heartbeats to each of two followers, and their answers.
  EXPECT_GE(frames, 76U);
  EXPECT_LE(frames, 84U);

  ManyWorld many(16);
  many.lead_all(1);
  many.pass(seconds(1));
  EXPECT_LE(many.frames_in_a_second(), frames + frames / 10);
}

TEST(GroupHost, GroupsHaveTheirLeadersWhereverTheyLike) {
  ManyWorld world(6);
  for (size_t group = 0; group < 6; ++group) {
    const size_t wanted = 1 + group % kNodes;
    const size_t now = world.leader(group);
    if (now == wanted) continue;
    sim::Node& node = *world.world().nodes().at(now - 1);
    const MonoTime deadline = node.env().clock.now() + seconds(5);
    ASSERT_TRUE(
        world.world()
            .run(node, world.program(now).replica(group).transfer_leadership(NodeId(wanted), deadline), seconds(60))
            .value()
            .has_value());
  }
  for (size_t group = 0; group < 6; ++group) {
    ASSERT_TRUE(world.propose(group, "a").has_value());
    EXPECT_EQ(world.leader(group), 1 + group % kNodes);
  }
}

TEST(GroupHost, APowerCutOfAHostLosesNothingOfAnyGroup) {
  constexpr size_t kGroups = 5;
  ManyWorld world(kGroups);
  std::vector<std::vector<std::string>> expected(kGroups);
  for (size_t round = 0; round < 3 * kNodes; ++round) {
    const size_t struck = 1 + round % kNodes;
    for (size_t group = 0; group < kGroups; ++group) {
      const std::string command = fmt::format("{}.{}", group, round);
      ASSERT_TRUE(world.propose(group, command).has_value());
      expected[group].push_back(command);
    }
    world.crash(struck);
    for (size_t group = 0; group < kGroups; ++group) {
      const std::string command = fmt::format("{}.{} without {}", group, round, struck);
      ASSERT_TRUE(world.propose(group, command).has_value());
      expected[group].push_back(command);
    }
    world.start(struck);
  }
  for (size_t group = 0; group < kGroups; ++group) EXPECT_TRUE(world.comes_to_hold(group, expected[group])) << group;
}

TEST(GroupHost, WhatIsForNobodyHereIsDropped) {
  ManyWorld world(1);
  ASSERT_TRUE(world.propose(0, "a").has_value());
  wire::RaftMessages frame;
  frame.add_messages()->set_group(77);
  world.program(1).host().receive(make_request(MessageType::kRaft, GroupId(), frame));
  Request malformed;
  malformed.type = MessageType::kRaft;
  malformed.body = "no frame";
  world.program(1).host().receive(malformed);
  ASSERT_TRUE(world.propose(0, "b").has_value());
  EXPECT_TRUE(world.comes_to_hold(0, {"a", "b"}));
  EXPECT_EQ(world.program(1).host().find(GroupId(77)), nullptr);
  EXPECT_EQ(world.program(1).host().find(GroupId(0)), &world.program(1).replica(0));
}

}  // namespace
}  // namespace dogfs
