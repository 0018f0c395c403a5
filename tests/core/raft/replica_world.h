// Replicas of one group, or of several on the same nodes, in the simulated world, over state machines that keep lists of
// commands.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/env/sync.h"
#include "core/raft/raft.h"
#include "sim/world.h"
#include "tests/core/raft/list_node.h"

namespace dogfs {

// A store on a disk that takes `delay` longer for each write, of which `on_write` is told before.
class WatchedStore final : public KvStore {
 public:
  using Observer = std::function<void(const WriteBatch&)>;
  WatchedStore(KvStore& store, Clock& clock, Duration delay, Observer on_write)
      : store_(store), clock_(clock), delay_(delay), on_write_(std::move(on_write)) {}

  std::shared_ptr<const KvReader> snapshot() const override { return store_.snapshot(); }
  Result<DiskSpace> space() const override { return store_.space(); }
  void give_up() override { store_.give_up(); }
  Task<Status> write(WriteBatch batch, Durability durability) override {
    on_write_(batch);
    if (delay_ > Duration()) co_await sleep_for(clock_, delay_);
    co_return co_await store_.write(std::move(batch), durability);
  }
  Result<std::optional<std::string>> get(std::string_view key) const override { return store_.get(key); }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return store_.scan(begin, end, visit);
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return store_.scan_backward(begin, end, visit);
  }

 private:
  KvStore& store_;
  Clock& clock_;
  Duration delay_;
  Observer on_write_;
};

// Groups are counted from 0, nodes from 1.
class ReplicaWorld {
 public:
  // `trace`: where to print what happens; null: nowhere.
  ReplicaWorld(size_t size, uint64_t seed, size_t groups = 1, std::ostream* trace = nullptr)
      : groups_(groups), world_(sim::WorldOptions{.seed = seed, .trace = trace}) {
    for (size_t i = 1; i <= size; ++i) {
      sim::Node& node = world_.add_node("n" + std::to_string(i));
      nodes_.push_back(&node);
      programs_.push_back(nullptr);
      voters_.emplace(NodeId(i), node.address());
    }
  }

  sim::World& world() { return world_; }
  size_t size() const { return nodes_.size(); }
  sim::Node& node(size_t i) { return *nodes_.at(i - 1); }
  // Null when it is down or did not start.
  ListNode* program(size_t i) { return node(i).up() ? programs_.at(i - 1) : nullptr; }
  size_t max_append_bytes = kMaxAppendBytes;
  Duration follower_apply_interval = milliseconds(5);
  EmptyStore empty_store = EmptyStore::kForms;
  raft::CompactionLimits log;
  // By node: how much longer each write takes on its disk.
  std::map<size_t, Duration> slow_disks;
  // Told of each write before it is done.
  std::function<void(size_t node, const WriteBatch&)> on_write;

  // A new node with an empty disk, which waits to be added to the group.
  size_t join() {
    const size_t i = size() + 1;
    nodes_.push_back(&world_.add_node("n" + std::to_string(i)));
    programs_.push_back(nullptr);
    DOGFS_CHECK(start(i).has_value());
    return i;
  }

  Status start(size_t i) {
    if (!node(i).up()) node(i).boot();
    ReplicaOptions options;
    options.group = GroupId(7);
    options.self = NodeId(i);
    options.voters = voters_;
    options.empty_store = voters_.contains(NodeId(i)) ? empty_store : EmptyStore::kJoins;
    options.max_append_bytes = max_append_bytes;
    options.log = log;
    options.follower_apply_interval = follower_apply_interval;
    const Duration delay = slow_disks.contains(i) ? slow_disks.at(i) : Duration();
    const auto watch = [this, i](const WriteBatch& batch) {
      if (on_write) on_write(i, batch);
    };
    auto& store = node(i).make<WatchedStore>(node(i).kv(), node(i).env().clock, delay, watch);
    auto& program = node(i).make<ListNode>(node(i).env(), store, std::move(options), node(i).on_fatal(), groups_);
    programs_.at(i - 1) = nullptr;
    std::optional<Status> started = world_.run(node(i), program.start(), seconds(10));
    if (!started) return Error(ErrorCode::kTimeout);
    if (*started) programs_.at(i - 1) = &program;
    return *std::move(started);
  }
  void start_all() {
    for (size_t i = 1; i <= size(); ++i) DOGFS_CHECK(start(i).has_value());
  }
  void crash(size_t i, sim::CrashKind kind = sim::CrashKind::kPower) { node(i).crash(kind); }

  // The node that leads the highest term; 0: none.
  size_t leader(size_t group = 0) {
    size_t leader = 0;
    Term term;
    for (size_t i = 1; i <= size(); ++i) {
      if (program(i) == nullptr) continue;
      const ReplicaStatus status = program(i)->replica(group).status();
      if (status.role != RaftRole::kLeader || status.term < term) continue;
      leader = i;
      term = status.term;
    }
    return leader;
  }
  // Waits until one leads a group whose members are committed.
  size_t elect(size_t group = 0) {
    const auto led = [&] {
      const size_t i = leader(group);
      return i != 0 && program(i)->replica(group).raft()->is_configuration_committed();
    };
    world_.run_until(led, seconds(30));
    return leader(group);
  }

  MonoTime deadline(size_t i, Duration timeout) { return node(i).env().clock.now() + timeout; }
  Result<std::string> propose(size_t i, std::string command, Duration timeout = seconds(5), size_t group = 0) {
    Replica& replica = program(i)->replica(group);
    auto result = world_.run(node(i), replica.propose(std::move(command), deadline(i, timeout)), seconds(60));
    return result ? *std::move(result) : Result<std::string>(Error(ErrorCode::kInternal, "the call did not end"));
  }
  Result<LogIndex> read(size_t i, Duration timeout = seconds(5)) {
    Replica& replica = program(i)->replica();
    auto result = world_.run(node(i), replica.read_barrier(deadline(i, timeout)), seconds(60));
    return result ? *std::move(result) : Result<LogIndex>(Error(ErrorCode::kInternal, "the call did not end"));
  }

  Status change(size_t i, raft::MembershipChange change, Duration timeout = seconds(5)) {
    Replica& replica = program(i)->replica();
    auto result = world_.run(node(i), replica.change_membership(std::move(change), deadline(i, timeout)), seconds(60));
    return result ? *std::move(result) : Status(Error(ErrorCode::kInternal, "the call did not end"));
  }
  Status transfer(size_t i, NodeId target, Duration timeout = seconds(5), size_t group = 0) {
    Replica& replica = program(i)->replica(group);
    auto result = world_.run(node(i), replica.transfer_leadership(target, deadline(i, timeout)), seconds(60));
    return result ? *std::move(result) : Status(Error(ErrorCode::kInternal, "the call did not end"));
  }
  const raft::Configuration& configuration(size_t i) { return program(i)->replica().raft()->configuration(); }
  Address address_of(size_t i) { return node(i).address(); }

  // Cuts node `i` off from all others, both ways.
  void isolate(size_t i) {
    each_link(i, [&](auto a, auto b) { world_.network().block(a, b); });
  }
  void reconnect(size_t i) {
    each_link(i, [&](auto a, auto b) { world_.network().unblock(a, b); });
  }

  // Whether all members come to hold the same list within a virtual minute.
  bool converge(size_t group = 0) {
    return world_.run_until(
        [this, group] {
          if (world_.now() < next_look_) return false;
          next_look_ = world_.now() + milliseconds(5);
          const size_t leads = leader(group);
          if (leads == 0) return false;
          // Until the leader has applied something of its own term, old entries may still be on their way.
          const raft::Raft& raft = *program(leads)->replica(group).raft();
          if (raft.log().term_at(raft.applied()) != raft.term() || raft.applied() < raft.log().last_index())
            return false;
          const auto expected = program(leads)->machine(group).commands();
          for (size_t i = 1; i <= size(); ++i) {
            if (!raft.configuration().is_member(NodeId(i))) continue;
            if (program(i) == nullptr || program(i)->machine(group).commands() != expected) return false;
          }
          return true;
        },
        seconds(60));
  }

 private:
  template <class F>
  void each_link(size_t i, F visit) {
    for (size_t j = 1; j <= size(); ++j) {
      if (j == i) continue;
      visit(node(i).index(), node(j).index());
      visit(node(j).index(), node(i).index());
    }
  }

  size_t groups_;
  sim::World world_;
  std::vector<sim::Node*> nodes_;
  std::vector<ListNode*> programs_;
  std::map<NodeId, Address> voters_;
  sim::VirtualTime next_look_{};  // comparing all lists after each event would take most of a test's time
};

}  // namespace dogfs
