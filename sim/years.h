// Years of a cluster's life in minutes: the production metadata node, all of it, decides of repairs, while disks,
// servers and racks fail as real ones do. Shards have no bytes, and time jumps from one event to the next
// (docs/durability.md).
//
// While there is nothing to do, nothing runs. While there is, the metadata node and all servers go on at beats: often
// when something has just happened, so that it is noticed as soon as in a real cluster, and later, when all there is to
// wait for is the end of rebuilds, less often.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/years_failures.h"
#include "sim/years_fleet.h"
#include "sim/years_ledger.h"
#include "sim/years_options.h"
#include "sim/years_rebuilds.h"

namespace dogfs::sim {

// Plain numbers only: it travels through pipes.
struct YearsResult {
  uint64_t seed = 0;
  uint64_t blocks = 0;
  uint64_t lost = 0;  // blocks
  BlockStates states;
  FleetCounts fleet;
  uint64_t rack_outages = 0;
  RebuildCounts rebuilds;
  uint64_t beats = 0;
  uint64_t events = 0;
  uint64_t commands = 0;  // in Raft's log
  uint64_t digest = 0;
};

class Years {
 public:
  // Precondition: validate(options).
  Years(const YearsOptions& options, uint64_t seed);
  Years(const Years&) = delete;
  Years& operator=(const Years&) = delete;
  ~Years();

  // Builds the cluster and lives through the years. Call once.
  YearsResult run();
  // Behind run(): nothing fails any more, until all that can be mended is. What is wrong then, one line each; empty
  // when all is well.
  std::vector<std::string> heal_and_check();

 private:
  MetaOptions meta_options() const;
  void wake();
  void schedule_beat(Duration wait);
  void schedule_next_beat();
  void beat();
  void hear_servers();
  void go_on();
  void end_beat();
  bool is_settled() const;
  void check_shards(std::vector<std::string>& problems);
  template <class Predicate>
  bool run_until(Predicate done, Duration limit);

  YearsOptions options_;
  uint64_t seed_;
  Simulator simulator_;
  std::unique_ptr<YearsLedger> ledger_;
  std::unique_ptr<LoneMeta> meta_;
  std::unique_ptr<YearsFleet> fleet_;
  std::unique_ptr<YearsRebuilds> rebuilds_;
  std::unique_ptr<YearsFailures> failures_;
  std::optional<VirtualTime> next_beat_;
  VirtualTime last_heard_{};  // of all servers that are up
  VirtualTime alert_until_{};
  uint64_t beats_ = 0;
};

}  // namespace dogfs::sim
