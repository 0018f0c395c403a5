// The rules of the ports, which the real twins keep too (tests/net, tests/runtime).
#include <gtest/gtest.h>

#include <memory>

#include "sim/world.h"
#include "tests/conformance/clock_conformance.h"
#include "tests/conformance/kv_store_conformance.h"
#include "tests/conformance/shard_store_conformance.h"
#include "tests/conformance/transport_conformance.h"

namespace dogfs {
namespace {

class SimHarness final : public Harness {
 public:
  explicit SimHarness(sim::World& world, sim::Node& node) : world_(world), node_(node) {}

  Executor executor() override { return node_.executor(); }
  Clock& clock() override { return node_.env().clock; }
  void run(Task<void> task) override { ASSERT_TRUE(world_.run(node_, std::move(task), std::chrono::minutes(5))); }

 private:
  sim::World& world_;
  sim::Node& node_;
};

class SimClockWorld {
 public:
  Harness& harness() { return harness_; }

 private:
  sim::World world_;
  SimHarness harness_{world_, world_.add_node("a")};
};

class SimKvWorld {
 public:
  SimKvWorld() { reopen(); }
  Harness& harness() { return harness_; }
  KvStore& store() { return *store_; }
  void reopen() {
    store_ = std::make_unique<sim::SimKvStore>(node_.executor(), node_.kv_disk(), sim::KvSpeed(), sim::StreamKey(1));
  }

 private:
  sim::World world_;
  sim::Node& node_ = world_.add_node("a");
  SimHarness harness_{world_, node_};
  std::unique_ptr<sim::SimKvStore> store_;
};

class SimShardWorld {
 public:
  SimShardWorld() { reopen(); }
  Harness& harness() { return harness_; }
  ShardStore& store() { return *store_; }
  void reopen() {
    store_ = std::make_unique<sim::SimShardStore>(node_.executor(), node_.shard_disk(), sim::ShardSpeed(),
                                                  sim::StreamKey(1));
  }

  bool reopen_read_only() {
    node_.shard_disk()->begin_trouble({.read_only = 1});
    reopen();
    return true;
  }

 private:
  sim::World world_;
  sim::Node& node_ = world_.add_node("a");
  SimHarness harness_{world_, node_};
  std::unique_ptr<sim::SimShardStore> store_;
};

class SimTransportWorld {
 public:
  Harness& harness() { return harness_; }
  Transport& transport(size_t node) { return nodes_[node]->env().transport; }
  Address address(size_t node) { return nodes_[node]->address(); }
  Address nowhere() { return {"nowhere"}; }

 private:
  sim::World world_{{.clocks_agree = true}};
  std::vector<sim::Node*> nodes_{&world_.add_node("a"), &world_.add_node("b"), &world_.add_node("c")};
  SimHarness harness_{world_, *nodes_[0]};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ClockConformance, SimClockWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, KvStoreConformance, SimKvWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ShardStoreConformance, SimShardWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, TransportConformance, SimTransportWorld);

}  // namespace
}  // namespace dogfs
