// One run: a cluster, its work, the faults, and the oracles; a function of (scenario, seed).
//
//   start     every node comes up; the clients make their directories and first files
//   work      the clients work while the planned faults strike
//   verify    all faults are over and every node is up: within the scenario's bound, the clients find all that was
//             acknowledged and work again, the metadata nodes agree, and every listed shard is there
//   clean-up  nobody does anything any more: what is left over must go
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "sim/atlas.h"
#include "sim/block_oracle.h"
#include "sim/cluster.h"
#include "sim/faults.h"
#include "sim/history_oracle.h"
#include "sim/leader_oracle.h"
#include "sim/leak_oracle.h"
#include "sim/meta_operator.h"
#include "sim/oracles.h"
#include "sim/scenario.pb.h"
#include "sim/server_operator.h"
#include "sim/verdict.h"
#include "sim/workload.h"
#include "sim/world.h"

namespace dogfs::sim {

struct RunResult {
  std::optional<std::string> failure;
  uint64_t digest = 0;
  uint64_t events = 0;
  uint64_t messages = 0;
  Duration virtual_time{};
  uint64_t operations = 0;
  uint64_t failed_operations = 0;
  uint64_t bytes_written = 0;
  uint64_t bytes_read = 0;
  uint64_t faults = 0;
  std::vector<uint64_t> faults_by_kind;
  std::vector<uint64_t> harms;  // in the order of Harm
  uint64_t committed_entries = 0;
  uint64_t states_compared = 0;
  uint64_t shards_checked = 0;
};

// How far a run has come.
struct RunProgress {
  uint64_t faults = 0;
  uint64_t operations = 0;
  Duration virtual_time{};
};

class Run {
 public:
  // `scenario` is one that parse_scenario() gave. `trace` and `recording` may be null.
  Run(const proto::Scenario& scenario, uint64_t seed, std::ostream* trace, Recording* recording = nullptr);

  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run();

  // Traces every event of the simulator too, with the digest behind it. Call before execute().
  void trace_events() { traces_events_ = true; }
  // Has the run fail, by the oracle "patience", once so much virtual time is over. Call before execute().
  void lose_patience_after(Duration limit) { patience_ends_ = world_.now() + limit; }

  RunResult execute();
  // Allocates nothing: for whoever reports of a run that has ended its process.
  RunProgress progress() const;

 private:
  enum class Phase : uint8_t { kStart, kWork, kVerify };

  // Runs until `done`; fails the run when that takes longer than `limit` of virtual time.
  template <class Predicate>
  bool advance(const char* what, Duration limit, Predicate done);
  // The same until a moment, and without a verdict.
  template <class Predicate>
  bool advance_until(VirtualTime end, Predicate done);
  void check_after_event();
  void trace_event();
  void begin_client(Node& node);
  void begin_verification(Node& node);
  bool clients_idle() const;
  void employ_operators();
  void start_phase();
  void work_phase();
  void verify_phase();
  void clean_up_phase();
  enum class Mend : uint8_t { kAll, kBesidesHanging };
  void mend_disks(Mend which);
  bool heal();
  // Ends the run: the cluster does not get where it should, and why.
  void stand_still(std::string_view oracle, const std::string& what);
  std::vector<std::string> faults_under_way() const;
  void advance_to(VirtualTime time);
  Task<void> audit(bool& done);
  RunResult result();

  const proto::Scenario scenario_;  // as drawn, if it has a profile
  World world_;
  Verdict verdict_;
  Cluster cluster_;
  Atlas atlas_;
  FaultInjector injector_;
  RaftOracle raft_oracle_;
  StateOracle state_oracle_;
  MetaOracle meta_oracle_;
  HealOracle heal_oracle_;
  BlockOracle block_oracle_;
  std::optional<MetaOperator> meta_operator_;      // where there is somebody to be added
  std::optional<ServerOperator> server_operator_;  // where the scenario has work for it
  ShardOracle shard_oracle_;
  HistoryOracle history_oracle_;
  LeakOracle leak_oracle_;
  LeaderOracle leader_oracle_;
  Node& auditor_;  // who reads shards for the ShardOracle
  WorkContext context_;
  std::map<std::string, ClientState> clients_;
  std::vector<Node*> meta_by_index_;
  Phase phase_ = Phase::kStart;
  VirtualTime faults_begin_{};
  bool traces_events_ = false;
  VirtualTime patience_ends_ = VirtualTime::max();
};

}  // namespace dogfs::sim
