// Carries out the faults that were planned (sim/fault_plan.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/atlas.h"
#include "sim/cluster.h"
#include "sim/disk_faults.h"
#include "sim/fault_kinds.h"
#include "sim/fault_plan.h"
#include "sim/operator.h"
#include "sim/scenario.pb.h"
#include "sim/selector.h"

namespace dogfs::sim {

// "at 1200 ms for 800 ms: partition leader | rest"
std::string describe_fault(const proto::Fault& fault);

// Carries faults out: each ends what it began.
class FaultInjector {
 public:
  // What is passed must outlive the injector, and nothing may run on the cluster's nodes once it is gone.
  FaultInjector(Cluster& cluster, Atlas& atlas, const proto::Scenario& scenario);
  // Who replaces metadata nodes, and who drains and maintains chunk servers. They must outlive the injector. Where
  // there is none, nobody does.
  struct Operators {
    Operator* meta = nullptr;
    Operator* servers = nullptr;
  };
  void employ(Operators operators) { operators_ = operators; }

  // Schedules all; times count from now.
  void start(const std::vector<PlannedFault>& faults);
  // How many have not ended yet.
  size_t active() const { return active_; }
  // How many have begun.
  uint64_t struck() const { return struck_; }
  // How many of each kind hit somebody.
  const std::vector<uint64_t>& struck_by_kind() const { return struck_by_kind_; }

 private:
  // One fault under way.
  struct Strike {
    PlannedFault planned;
    RandomStream draws;
    VirtualTime end{};
    std::vector<std::pair<NodeIndex, NodeIndex>> blocked = {};
    std::vector<Node*> nodes = {};
    std::vector<Node*> disturbed = {};  // chunk servers that clients may not reach meanwhile
    std::string who = {};               // for the trace
    std::vector<Incarnation> paused = {};
    DiskStrike disks = {};
    bool restarted = false;  // one of the nodes of a rolling restart
    uint32_t recorded = 0;   // its EventId in the recording, if there is one
  };
  using StrikePtr = std::shared_ptr<Strike>;

  void begin(const StrikePtr& strike);
  void end(const StrikePtr& strike);
  void begin_partition(Strike& strike, const std::string& a, const std::string& b, bool one_way);
  void end_partition(Strike& strike);
  void flap(const StrikePtr& strike);
  void begin_crash(Strike& strike);
  void end_crash(Strike& strike);
  void begin_rolling_restart(const StrikePtr& strike);
  void restart_one(Strike& strike, Node* node, Duration away);
  void begin_disk_trouble(Strike& strike);
  // Whether its last disk may hang: from now on it does.
  bool let_hang(const Node& node);
  void end_disk_trouble(Strike& strike);
  void start_again(const Strike& strike);
  void begin_hold_up(Strike& strike);
  void end_hold_up(const Strike& strike);
  static void add_clock_error(Node& node, ClockError more);
  void begin_damage(Strike& strike);
  void empty_disks(Strike& strike);
  void empty_meta_disks(Strike& strike);
  void order(const StrikePtr& strike);
  void transfer_leadership(Strike& strike);
  using Damage = void (ShardDisk::*)(const std::string&, RandomStream&);
  uint32_t damage_files(Node& node, uint32_t times, Damage damage, RandomStream& draws);
  void disturb(Strike& strike, const std::vector<Node*>& nodes);
  void set_network(const proto::Network& network);
  void trace(const std::string& what);
  void count(const Strike& strike);
  std::vector<Node*> nodes_of(Strike& strike);
  void record_begin(Strike& strike);
  void after(Duration delay, std::function<void()> what);

  Cluster& cluster_;
  Atlas& atlas_;
  const proto::Scenario& scenario_;
  Operators operators_;
  std::vector<std::unique_ptr<AtlasGuard>> guards_;
  size_t active_ = 0;
  uint64_t struck_ = 0;
  std::vector<uint64_t> struck_by_kind_ = std::vector<uint64_t>(fault_kinds());
};

LinkQuality link_quality(const proto::Network& network);

}  // namespace dogfs::sim
