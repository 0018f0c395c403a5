// A simulated world for tests: nodes with all their ports, a network, and virtual time.
//
//   sim::World world({.seed = 7});
//   sim::Node& node = world.add_node("meta-1");                         // up, its disks empty
//   auto& meta = node.make<MetaNode>(node.env(), node.kv(), options, node.on_fatal());
//   std::optional<Status> started = world.run(node, meta.start(), seconds(5));   // nullopt: not done in 5 virtual s
//   node.crash(sim::CrashKind::kPower);                                  // all that was made is gone, unsynced writes
//   too node.boot();                                                         // disks are as the crash left them; make
//   anew
//
// What is made of a node by make() belongs to its present life: it is destroyed after the last of its coroutines,
// newest first. References to it, to env(), kv() and shards() end with crash(). One thread, no real time passes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/env/shard_store.h"
#include "sim/clock.h"
#include "sim/compute.h"
#include "sim/executor.h"
#include "sim/kv_store.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/shard_store.h"
#include "sim/trace.h"
#include "sim/transport.h"

namespace dogfs::sim {

struct WorldOptions {
  uint64_t seed = 1;
  std::ostream* trace = nullptr;   // where to print what happens; null: nowhere
  Recording* recording = nullptr;  // where to keep it as typed events; null: nowhere. Must outlive the world.
  LinkQuality link = {};
  KvSpeed kv_speed = {};
  ShardSpeed shard_speed = {};
  uint64_t shard_disk_bytes = 1ULL << 40;
  // All clocks show the same, for tests that use the ports of several nodes from one coroutine.
  bool clocks_agree = false;
};

class World;
enum class LifeChange : uint8_t;  // sim/trace_events.h

class Node {
 public:
  Node(World& world, NodeIndex index, std::string name);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  NodeIndex index() const { return index_; }
  const std::string& name() const { return name_; }
  Address address() const { return {name_}; }

  // --- Life and death ---
  bool up() const { return program_ != nullptr; }
  // When it booted last.
  VirtualTime up_since() const { return up_since_; }
  // Precondition: down.
  void boot();
  // Nothing of it runs any more; its disks keep what they must. No effect on a node that is down.
  void crash(CrashKind kind);
  // For nodes that end by themselves when their store fails: notes why, and crashes. Bound to the present life.
  std::function<void(Error)> on_fatal();
  // --- What its machine does to it, over all its lives ---
  void set_clock_error(ClockError error);
  const ClockError& clock_error() const { return clock_error_; }
  // Its monotonic clock moves on at once. No effect on a node that is down.
  void jump_clock(Duration forward);
  // Why the last life ended by itself, if it did.
  const std::optional<Error>& fatal() const { return fatal_; }

  // --- The ports. Precondition: up. ---
  SimExecutor executor() const;
  Env& env();
  KvStore& kv(const std::string& name = "state");
  ShardStore& shards(const std::string& name = "disk");
  // Which answers its program waits for, the oldest first.
  std::vector<PendingCall> pending_calls() const;

  // Builds a part of the node's program from `arguments`.
  template <class T, class... Arguments>
  T& make(Arguments&&... arguments) {
    auto part = std::make_shared<T>(std::forward<Arguments>(arguments)...);
    T& reference = *part;
    keep(std::move(part));
    return reference;
  }

  // --- The disks, up or down ---
  const std::shared_ptr<KvDisk>& kv_disk(const std::string& name = "state");
  const std::shared_ptr<ShardDisk>& shard_disk(const std::string& name = "disk");
  const std::map<std::string, std::shared_ptr<ShardDisk>>& shard_disks() const { return shard_disks_; }
  const std::map<std::string, std::shared_ptr<KvDisk>>& kv_disks() const { return kv_disks_; }
  // How many operations of all its disks were struck.
  uint64_t harms(Harm harm) const;
  uint64_t disk_errors() const;
  // What has struck the node and its disks.
  Harms all_harms() const;
  void count(Harm harm) { harms_.count(harm); }

 private:
  struct Program;

  void die(CrashKind kind);
  void keep(std::shared_ptr<void> part);
  void record(LifeChange change) const;

  World& world_;
  NodeIndex index_;
  std::string name_;
  StreamKey key_;
  SimRandom random_;
  RandomStream crash_draws_;
  SimLog log_;
  std::map<std::string, std::shared_ptr<KvDisk>> kv_disks_;
  std::map<std::string, std::shared_ptr<ShardDisk>> shard_disks_;
  std::shared_ptr<Program> program_;
  VirtualTime up_since_{};
  std::optional<Error> fatal_;
  ClockError clock_error_;
  Harms harms_;
};

class World {
 public:
  explicit World(WorldOptions options = {});
  ~World();

  // A new node, up.
  Node& add_node(const std::string& name);

  const WorldOptions& options() const { return options_; }
  Simulator& simulator() { return simulator_; }
  Network& network() { return network_; }
  Trace& trace() { return trace_; }
  const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  VirtualTime now() const { return simulator_.now(); }
  // All that has struck so far.
  Harms harms() const;

  // Starts `task` as a part of `node`'s present life.
  void spawn(Node& node, Task<void> task);

  // Runs the world until `done()` is true, `limit` at the longest. Whether it is true.
  template <class Predicate>
  bool run_until(Predicate done, Duration limit) {
    const VirtualTime end = simulator_.now() + limit;
    while (!done()) {
      if (!simulator_.step(end)) return done();
    }
    return true;
  }
  void run_for(Duration duration) {
    run_until([] { return false; }, duration);
  }

  // Runs the world until `task`, started on `node`, has ended: its result, or nullopt if that takes longer than
  // `limit` (it then still runs) or the node crashed.
  template <class T>
  std::optional<T> run(Node& node, Task<T> task, Duration limit) {
    auto result = std::make_shared<std::optional<T>>();
    spawn(node, store_result<T>(std::move(task), result));
    run_until([&result, &node] { return result->has_value() || !node.up(); }, limit);
    return *std::move(result);
  }
  // The same for a task without a result: whether it has ended.
  bool run(Node& node, Task<void> task, Duration limit);

 private:
  template <class T>
  static Task<void> store_result(Task<T> task, std::shared_ptr<std::optional<T>> result) {
    result->emplace(co_await std::move(task));
  }

  WorldOptions options_;
  Simulator simulator_;
  Trace trace_;
  Network network_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace dogfs::sim
