// A metadata node: a member of the Raft group that holds the namespace and the block map, and its service for clients
// and chunk servers. Belongs to the executor of its Env.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/ec/geometry.h"
#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/meta/repair_planner.h"
#include "core/raft/replica.h"

namespace dogfs {

class MetaTables;
class Repairs;

// Commands that one leader may have under way.
inline constexpr size_t kMaxProposalsInFlight = 4096;

struct MetaOptions {
  NodeId self;
  // All metadata nodes of a new cluster, this one included. Afterwards the log knows who they are.
  std::map<NodeId, Address> nodes;
  // What is wrong with the form of a new member's address, where nobody could ever be called there. None: any will do.
  std::function<Status(const Address&)> check_address;
  // What an empty store is taken for; see ReplicaOptions.
  EmptyStore empty_store = EmptyStore::kForms;
  // Reads are answered from the leader's lease, for which clocks must keep to this bound; see ReplicaOptions.
  std::optional<Duration> lease_drift_bound;
  Duration heartbeat_interval = milliseconds(50);
  Duration election_timeout = milliseconds(300);
  // How much of Raft's log is kept behind what is applied, and for followers that are behind, how much of it in memory, and
  // how large the parts are in which followers are sent the state; see ReplicaOptions.
  raft::CompactionLimits log;
  size_t max_cached_log_bytes = kMaxLogCacheBytes;
  size_t snapshot_part_bytes = kSnapshotChunkBytes;
  // What a leader has under way at most: changes, and bytes of commands (see ReplicaOptions). More are refused with
  // kOverloaded, so that memory and waiting times stay bounded however many clients there are.
  size_t max_changes_under_way = kMaxProposalsInFlight;
  size_t max_uncommitted_bytes = kMaxUncommittedBytes;
  // A chunk server that has not been heard of for this long gets no new shards.
  Duration server_silence_limit = seconds(3);
  // A write lease that was not renewed for this long is taken away.
  Duration lease_limit = seconds(60);
  // A client session without any request for this long is forgotten.
  Duration session_limit = std::chrono::hours(1);
  // A chunk server that has not been heard of for this long is declared dead.
  Duration server_dead_limit = seconds(30);
  RepairLimits repair_limits;
  // The blocks that repair is planned for, in the order of the work; none: those at most risk. Only for comparing
  // orders in the simulator: a real node has that one.
  std::function<Result<std::vector<wire::BlockRow>>(const MetaTables&)> repair_candidates;
  // How long the target of a repair may take (log time).
  milliseconds repair_validity = std::chrono::minutes(10);
  // What the root directory of a new cluster prescribes. An existing cluster keeps what it has.
  Geometry default_policy = kDefaultGeometry;
};

class MetaNode final : public RequestHandler {
 public:
  // What is passed must outlive the node. `on_fatal` is called once when the store has failed: the process must end.
  MetaNode(Env& env, KvStore& store, MetaOptions options, std::function<void(Error)> on_fatal);
  ~MetaNode() override;

  // Recovers from the store, then serves on the transport.
  Task<Status> start();
  // A leader hands leadership over first, for an election timeout at most.
  Task<void> stop();

  Task<Reply> handle(Request request, MonoTime deadline) override;
  void receive(Request message) override;

  const Replica& replica() const;
  // For checks and displays. What it says counts on the leader only.
  const Repairs& repairs() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dogfs
