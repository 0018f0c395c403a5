// Several Raft groups on three real nodes: one process a node in production, one event loop for all three here; over one
// TCP transport and one RocksDB a node. What only the simulator can put to the test is in tests/core/raft/group_host_test.cc.
#include "core/raft/group_host.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/env/sync.h"
#include "net/transport.h"
#include "runtime/compute.h"
#include "runtime/kv_store.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include "tests/core/raft/list_node.h"
#include "tests/runtime/real_harness.h"
#include "tests/runtime/temporary_directory.h"

namespace dogfs {
namespace {

constexpr size_t kNodes = 3;
constexpr size_t kGroups = 5;
// For what takes milliseconds on an idle machine.
constexpr Duration kPatience = seconds(60);

// One node: its disk and its port stay when it stops.
class RealNode {
 public:
  RealNode(RealHarness& harness, Log& log) : harness_(harness), log_(log) { listen(Address{"127.0.0.1:0"}); }

  const Address& address() const { return address_; }
  // Null while it is stopped.
  ListNode* program() { return program_ ? &*program_ : nullptr; }

  Task<Status> start(ReplicaOptions options) {
    if (!transport_) listen(address_);
    store_ = RocksKvStore::open(directory_ / "store", harness_.executor(), {}).value();
    env_.emplace(Env{harness_.executor(), harness_.clock(), random_, *transport_, compute_, log_});
    const auto on_fatal = [](const Error& error) { ADD_FAILURE() << error.to_string(); };
    program_.emplace(*env_, *store_, std::move(options), on_fatal, kGroups);
    co_return co_await program_->start();
  }

  Task<void> stop() {
    transport_->stop_serving();
    co_await program_->host().stop();
    co_await transport_->drain(harness_.clock().now() + kPatience);
    program_.reset();
    store_.reset();
    transport_.reset();
  }

 private:
  void listen(const Address& address) {
    transport_ = std::make_unique<TcpTransport>(harness_.executor(), harness_.clock(), log_);
    address_ = transport_->listen(address).value();
  }

  RealHarness& harness_;
  Log& log_;
  TemporaryDirectory directory_;
  SystemRandom random_;
  ThreadPoolCompute compute_{1};
  std::unique_ptr<TcpTransport> transport_;
  Address address_;
  std::optional<Env> env_;
  std::unique_ptr<RocksKvStore> store_;
  std::optional<ListNode> program_;
};

// Groups and nodes are counted from 0.
class RealGroups : public testing::Test {
 protected:
  RealGroups() {
    for (auto& node : nodes_) node = std::make_unique<RealNode>(harness_, log_);
    for (size_t i = 0; i < kNodes; ++i) start(i);
  }
  void TearDown() override {
    for (size_t i = 0; i < kNodes; ++i) {
      if (nodes_[i]->program() != nullptr) stop(i);
    }
  }

  void start(size_t i) {
    ReplicaOptions options;
    options.group = GroupId(1);
    options.self = id_of(i);
    for (size_t j = 0; j < kNodes; ++j) options.voters.emplace(id_of(j), nodes_[j]->address());
    Status started = Error(ErrorCode::kInternal, "the start did not end");
    harness_.run(keep(nodes_[i]->start(std::move(options)), started));
    ASSERT_TRUE(started.has_value()) << started.error().to_string();
  }
  void stop(size_t i) { harness_.run(nodes_[i]->stop()); }

  // Has each group's leader add a command of its own, all at the same time.
  void add_to_all(size_t round) {
    std::vector<Status> added(kGroups, Error(ErrorCode::kInternal, "the call did not end"));
    harness_.run(add_all(round, added));
    for (size_t group = 0; group < kGroups; ++group) {
      ASSERT_TRUE(added[group].has_value()) << added[group].error().to_string();
    }
  }

  // Hands leadership of `group` to node `i`.
  void lead(size_t group, size_t i) {
    Status led = Error(ErrorCode::kInternal, "the call did not end");
    harness_.run(keep(hand_over(group, i), led));
    ASSERT_TRUE(led.has_value()) << led.error().to_string();
  }

  // Waits until every node holds, in each group, the commands of all rounds before `rounds`, in their order.
  void expect_all_hold(size_t rounds) {
    bool held = false;
    harness_.run(wait_until_all_hold(rounds, held));
    EXPECT_TRUE(held);
  }

 private:
  static NodeId id_of(size_t i) { return NodeId(i + 1); }
  static std::string command(size_t group, size_t round) { return fmt::format("{}.{}", group, round); }

  static Task<void> keep(Task<Status> task, Status& status) { status = co_await std::move(task); }

  // None where no running node leads.
  std::optional<size_t> leader(size_t group) {
    for (size_t i = 0; i < kNodes; ++i) {
      ListNode* program = nodes_[i]->program();
      if (program != nullptr && program->replica(group).status().role == RaftRole::kLeader) return i;
    }
    return std::nullopt;
  }

  MonoTime deadline() { return harness_.clock().now() + kPatience; }

  // Where a leader is unseated meanwhile, nobody can say whether a command is done. It is sent again all the same, and may
  // then be there twice, one behind the other: once the second is, the first can come no more.
  Task<Status> add(size_t group, size_t round) {
    const MonoTime until = deadline();
    while (harness_.clock().now() < until) {
      if (const std::optional<size_t> leads = leader(group)) {
        Replica& replica = nodes_[*leads]->program()->replica(group);
        const Result<std::string> added = co_await replica.propose(command(group, round), until);
        if (added) co_return ok();
        if (added.error().code == ErrorCode::kOutcomeUnknown) {
          perhaps_twice_.insert(command(group, round));
        } else if (added.error().code != ErrorCode::kNotLeader) {
          co_return added.error();
        }
      }
      co_await sleep_for(harness_.clock(), milliseconds(10));
    }
    co_return Error(ErrorCode::kTimeout, "no leader");
  }
  Task<void> add_into(size_t group, size_t round, Status& status) { status = co_await add(group, round); }
  Task<void> add_all(size_t round, std::vector<Status>& added) {
    TaskGroup tasks(harness_.executor(), harness_.clock());
    for (size_t group = 0; group < kGroups; ++group) tasks.spawn(add_into(group, round, added[group]));
    co_await tasks.join();
  }

  Task<Status> hand_over(size_t group, size_t i) {
    const MonoTime until = deadline();
    while (harness_.clock().now() < until) {
      const std::optional<size_t> leads = leader(group);
      if (leads == i) co_return ok();
      // It fails where the other has not caught up, or has not taken it in time: then it is asked again.
      if (leads) (void)co_await nodes_[*leads]->program()->replica(group).transfer_leadership(id_of(i), until);
      co_await sleep_for(harness_.clock(), milliseconds(10));
    }
    co_return Error(ErrorCode::kTimeout, "not handed over");
  }

  bool holds(size_t i, size_t group, size_t rounds) {
    std::vector<std::string> commands = nodes_[i]->program()->machine(group).commands();
    std::erase(commands, "");  // each term begins with one
    const auto again = std::ranges::unique(commands, [this](const std::string& one, const std::string& other) {
      return one == other && perhaps_twice_.contains(one);
    });
    commands.erase(again.begin(), again.end());
    std::vector<std::string> expected;
    for (size_t round = 0; round < rounds; ++round) expected.push_back(command(group, round));
    return commands == expected;
  }
  bool all_hold(size_t rounds) {
    for (size_t i = 0; i < kNodes; ++i) {
      for (size_t group = 0; group < kGroups; ++group) {
        if (!holds(i, group, rounds)) return false;
      }
    }
    return true;
  }
  Task<void> wait_until_all_hold(size_t rounds, bool& held) {
    const MonoTime until = deadline();
    while (!(held = all_hold(rounds)) && harness_.clock().now() < until) {
      co_await sleep_for(harness_.clock(), milliseconds(10));
    }
  }

  RealHarness harness_;
  StderrLog log_{LogLevel::kError, "test"};
  std::array<std::unique_ptr<RealNode>, kNodes> nodes_;
  std::set<std::string> perhaps_twice_;
};

TEST_F(RealGroups, EachHasItsLogAndItsLeaderOnSharedConnectionsAndOneStore) {
  for (size_t group = 0; group < kGroups; ++group) lead(group, group % kNodes);
  for (size_t round = 0; round < 20; ++round) add_to_all(round);
  expect_all_hold(20);
}

TEST_F(RealGroups, AllGoOnWithoutOneNodeAndComeBackFromItsStore) {
  add_to_all(0);
  for (size_t i = 0; i < kNodes; ++i) {
    stop(i);
    add_to_all(2 * i + 1);
    start(i);
    add_to_all(2 * i + 2);
  }
  expect_all_hold(2 * kNodes + 1);
}

}  // namespace
}  // namespace dogfs
