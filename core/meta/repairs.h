// The leader's part in healing: declares servers dead, has their blocks follow, reserves repairs by risk, hands them to
// their targets with the heartbeats, and publishes or gives up what comes of them.
//
// It keeps nothing that its successor would need: reservations are in the rows, and what targets say of them is said
// again until a leader has heard. Nothing is judged before a full period has passed on this node's clock since its
// election, or all servers have been heard of (safe mode); what is judged is checked again by apply.
// Belongs to the node's executor.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/env/sync.h"
#include "core/meta/block_report.h"
#include "core/meta/leaving_shards.h"
#include "core/meta/parts.h"
#include "core/meta/repair_planner.h"
#include "core/meta/repair_survey.h"
#include "core/meta/strange_shards.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class Repairs {
 public:
  explicit Repairs(MetaParts& parts);

  void start();
  // Ends the loop soon; call Replica::stop before join, which ends what it waits for.
  void request_stop();
  Task<void> join() { return tasks_.join(); }
  // This node was elected, or is leader of a new term.
  void lead();

  // Nothing is repaired or deleted yet: this leader does not know who is there.
  bool in_safe_mode() const;
  // How repair gets on, as far as this leader has seen.
  const RepairSurvey& survey() const { return survey_; }

  // What a chunk server said with its heartbeat, and what it is told in reply. Only on the leader.
  void hear(const wire::HeartbeatRequest& heartbeat);
  void tell(ServerId server, wire::HeartbeatReply& reply);
  // What a block report comes to: where it differs from the map, and the shards of one bucket.
  void take_digests(ServerId server, ReportNumber number, const std::vector<uint64_t>& differing);
  void take_report(ServerId server, ReportNumber number, uint64_t bucket, ReportFindings findings);
  const StrangeShards& strange_shards() const { return strange_; }
  // A reader found this shard damaged: its server is to look at it.
  void suspect(ServerId server, const wire::ShardName& shard);

 private:
  // What one round looks at.
  struct Picture {
    wire::CountersRow counters;
    std::vector<wire::ChunkServerRow> servers;
    std::vector<wire::BlockRow> reserved;
    std::vector<wire::BlockRow> at_risk;
    std::string next_at_risk;  // where the next round goes on
    // Of these, those that the survey has not counted yet in this pass.
    size_t survey_begin = 0;
    size_t survey_end = 0;
    bool begins_pass = true;
    // Whole blocks that lie crowded in a rack, with the shard that is to leave it marked LEAVING.
    std::vector<wire::BlockRow> crowded;
  };
  // A target that failed a repair gets no other of that block for a while.
  struct Failure {
    ServerId target;
    MonoTime until;
  };

  Task<void> run();
  Task<void> round();
  // All but the blocks at risk.
  static Result<Picture> look_at_repairs(const MetaTables& tables);
  Result<Picture> look(const MetaTables& tables) const;
  Status look_at_risks(const MetaTables& tables, Picture& picture) const;
  Task<void> judge_servers(const std::vector<wire::ChunkServerRow>& rows);
  std::optional<wire::ServerState> judge(const wire::ChunkServerRow& row) const;
  Task<void> end_maintenance(const Picture& picture);
  Task<void> sweep(const std::vector<wire::ChunkServerRow>& rows);
  Task<void> take_outcomes();
  Task<void> take_damage();
  Task<void> take_findings();
  Task<void> give_up(const Picture& picture);
  Task<void> add_leaving(Picture& picture);
  Task<void> add_crowded(Picture& picture);
  Task<void> plan(const Picture& picture);
  static void add_rack_moves(const Picture& picture, RepairSituation& situation, std::set<PlacedShard>& moves);
  Task<void> start_repairs(std::vector<PlannedRepair> repairs, std::set<PlacedShard> moves);
  void survey(const Picture& picture, const RepairPlan& plan);
  void make_orders(const Picture& picture);
  RepairSituation situation(const Picture& picture) const;
  wire::RepairOrder make_order(const wire::BlockRow& block, const wire::RepairReservation& reservation,
                               const std::map<ServerId, RepairServer>& servers) const;
  int64_t log_now_ms(const wire::CountersRow& counters) const;
  bool is_silent(ServerId server, Duration limit) const;

  MetaParts& parts_;
  TaskGroup tasks_;
  Notifier wake_;
  bool stopping_ = false;
  // There is more to do at once.
  bool wanted_ = false;
  MonoTime leader_since_{};
  bool all_heard_ = false;
  std::string at_risk_cursor_;
  RepairSurvey survey_;
  // By target, of the reservations in the rows.
  std::map<ServerId, std::vector<wire::RepairOrder>> orders_;
  // What targets said, to be put into the log.
  std::vector<wire::FinishRepair> finished_;
  std::vector<wire::CancelRepairs::Repair> failed_;
  std::map<BlockId, std::vector<Failure>> failed_targets_;
  // Found damaged by their servers, to be put into the log.
  std::set<PlacedShard> damaged_;
  ReportMemory reports_;
  StrangeShards strange_;
  // To be adopted, and to be discarded.
  std::map<PlacedShard, wire::ServerShard> adoptable_;
  std::map<PlacedShard, wire::ServerShard> unwanted_;
  LeavingShards leaving_;
  // Said to be damaged by readers, or wanted in the map: their servers are to look.
  std::set<PlacedShard> suspects_;
};

}  // namespace dogfs
