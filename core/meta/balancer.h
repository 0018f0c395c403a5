// Rebalancing, as HDFS's balancer and disk balancer do it, on the leader: passes over all blocks, and has shards moved
// that should lie elsewhere (balance_planner.h). A move is a repair of a shard that is whole: reserved, copied, verified,
// published by compare-and-set, and only then, after a grace, is the old one deleted.
//
// Whether it is on is in the log; the rest is this leader's own. The first pass after a start or an election only counts
// what each server has. A pass that finds nothing to move ends the balancing. Repair comes first: while any block lacks
// a shard, unless all that is to be repaired is stuck until something is added or comes back
// (RepairSurvey::Shards::are_stuck), or while a server has not been heard of, nothing is moved. Belongs to the node's
// executor.
#pragma once

#include <map>
#include <vector>

#include "core/env/sync.h"
#include "core/meta/balance_planner.h"
#include "core/meta/parts.h"
#include "core/meta/progress_rate.h"
#include "core/meta/repair_survey.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class Balancer {
 public:
  Balancer(MetaParts& parts, const RepairSurvey& repairs);

  void start();
  // Ends the loop soon; call Replica::stop before join, which ends what it waits for.
  void request_stop();
  Task<void> join() { return tasks_.join(); }
  // This node was elected, or is leader of a new term.
  void lead();

  // Starts, stops, or only tells.
  Task<Reply> balance(Request request, MonoTime deadline);

 private:
  // What a round looks at.
  struct Picture {
    wire::CountersRow counters;
    std::vector<wire::ChunkServerRow> servers;
    std::vector<wire::BlockRow> blocks;
    BlockId next;  // where the next round goes on; none: the pass is over
  };

  Task<void> run();
  Task<void> round();
  static Result<Picture> look(const MetaTables& tables, BlockId after);
  bool is_there(ServerId id) const;
  bool misses_anyone(const std::vector<wire::ChunkServerRow>& rows) const;
  void measure(const Picture& picture);
  Task<void> move(const Picture& picture);
  void note(const PlannedRepair& move, uint64_t bytes);
  Task<void> end_pass(uint64_t under_way);
  void survey(const Picture& picture);
  std::map<ServerId, BalanceServer> servers(const Picture& picture) const;
  wire::BalanceReply describe(const wire::CountersRow& counters) const;
  Task<Result<wire::CommandReply>> set(bool on, uint32_t threshold_percent, MonoTime deadline);
  void begin();
  void begin_first_pass();

  MetaParts& parts_;
  const RepairSurvey& repairs_;
  TaskGroup tasks_;
  Notifier wake_;
  bool stopping_ = false;
  bool may_be_on_ = false;  // false: surely off
  bool measuring_ = true;
  bool balanced_ = false;
  bool waiting_ = false;       // for repairs, or for servers
  uint64_t passes_begun_ = 0;  // anew, from the first block
  BlockId cursor_;
  uint64_t seen_ = 0;  // in this pass
  uint64_t moved_in_pass_ = 0;
  uint64_t moves_ = 0;
  // Blocks with more than m shards in one rack, and those of them for which there is no other.
  struct Crowded {
    uint64_t blocks = 0;
    uint64_t stuck = 0;
  };
  Crowded crowded_;                        // by the last pass
  Crowded counting_crowded_;               // by this pass
  BalancePlanner::Excess excess_;          // by the last round that moved
  ProgressRate rate_;                      // of the bytes beyond the threshold
  std::map<ServerId, uint64_t> used_;      // by the last pass, and what was moved since
  std::map<ServerId, uint64_t> counting_;  // by this pass
};

}  // namespace dogfs
