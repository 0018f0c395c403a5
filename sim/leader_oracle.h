// Nobody is unseated without a cause: some time after the last fault a leader leads, and goes on leading until the end.
//
// It is what PreVote and the voters' sticking to their leader are for (core/raft/election.cc). A group in which leaders
// fall again and again breaks no rule of safety, and may even answer its clients in time: only this oracle sees it.
#pragma once

#include "core/base/ids.h"
#include "core/base/time.h"
#include "sim/cluster.h"
#include "sim/verdict.h"

namespace dogfs::sim {

class LeaderOracle {
 public:
  // So long after the last fault, leaders stay. Zero: nothing is asked of them.
  LeaderOracle(Cluster& cluster, Verdict& verdict, Duration stays_after)
      : cluster_(cluster), verdict_(verdict), stays_after_(stays_after) {}

  // To be called after every event of a metadata node, with how many faults have not ended yet.
  void after_event(const Node& node, size_t active_faults);

 private:
  Cluster& cluster_;
  Verdict& verdict_;
  Duration stays_after_;
  VirtualTime last_fault_{};
  Term latest_;  // that anybody was seen to lead
};

}  // namespace dogfs::sim
