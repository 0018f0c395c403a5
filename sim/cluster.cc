#include "sim/cluster.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/raft/raft.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"

namespace dogfs::sim {
namespace {

// A cluster is as impatient as it can be without being a nuisance, so that much happens in little virtual time.
constexpr milliseconds kShardTimeout(1500);
constexpr milliseconds kStragglerTimeout(2500);
constexpr milliseconds kStuckTimeout(600);
constexpr milliseconds kWritePatience(8000);
constexpr seconds kMetadataTimeout(8);
constexpr seconds kLeaderlessPatience(6);
constexpr seconds kLeaseLimit(20);
constexpr seconds kSessionLimit(30);
constexpr seconds kWriterIdleLimit(20);
constexpr seconds kServerDeadLimit(5);
constexpr milliseconds kRepairGrace(4000);
constexpr milliseconds kMassWait(10'000);
constexpr milliseconds kRepairValidity(4000);
constexpr seconds kScrubInterval(30);
// Of the log: entries that a leader holds for followers that are behind.
constexpr size_t kHeldPerKept = 2;
constexpr uint64_t kScrubBytesPerSecond = 16 * kMiB;
// How long the operator waits who asked for a transfer of leadership.
constexpr seconds kHandOverTimeout(2);
// How long a node that has ended by itself stays down.
constexpr milliseconds kShortestRestart(100);
constexpr milliseconds kLongestRestart(1500);

}  // namespace

Cluster::Cluster(World& world, Verdict& verdict, const ClusterOptions& options)
    : world_(world), verdict_(verdict), options_(options) {
  const auto add = [this](const char* kind, uint32_t count, std::vector<Node*>& nodes) {
    for (uint32_t i = 1; i <= count; ++i) nodes.push_back(&add_node(fmt::format("{}-{}", kind, i)));
  };
  add("meta", options.meta_nodes, meta_nodes_);
  add("chunk", options.chunk_servers, chunk_nodes_);
  add("client", options.clients, client_nodes_);
  announced_.assign(meta_nodes_.begin(), meta_nodes_.end());
  for (uint32_t i = 1; i <= options.spare_meta_nodes; ++i) {
    Node& node = add_node(fmt::format("meta-{}", options.meta_nodes + i));
    meta_nodes_.push_back(&node);
    spares_.insert(node.index());
  }
  programs_.resize(world.nodes().back()->index() + 1);
  // From the first moment, for those who watch them.
  for (Node* node : chunk_nodes_) {
    for (const DiskNames& names : disk_names()) {
      node->shard_disk(names.files);
      node->kv_disk(names.records);
    }
  }
}

Node& Cluster::add_node(const std::string& name) {
  Node& node = world_.add_node(name);
  node.crash(CrashKind::kProcess);
  return node;
}

std::vector<Node*> Cluster::all_nodes() const {
  std::vector<Node*> all = meta_nodes_;
  all.insert(all.end(), chunk_nodes_.begin(), chunk_nodes_.end());
  all.insert(all.end(), client_nodes_.begin(), client_nodes_.end());
  return all;
}

MetaNode* Cluster::meta(const Node& node) {
  return node.up() ? programs_[node.index()].meta : nullptr;
}
ChunkServer* Cluster::chunk(const Node& node) {
  return node.up() ? programs_[node.index()].chunk : nullptr;
}
Client* Cluster::client(const Node& node) {
  return node.up() ? programs_[node.index()].client : nullptr;
}

const raft::Raft* Cluster::raft(const Node& node) {
  const MetaNode* program = meta(node);
  return program == nullptr ? nullptr : program->replica().raft();
}

void Cluster::start(Node& node) {
  if (!node.up()) node.boot();
  spares_.erase(node.index());
  const auto is_one_of = [&node](const std::vector<Node*>& nodes) {
    return std::find(nodes.begin(), nodes.end(), &node) != nodes.end();
  };
  if (is_one_of(meta_nodes_)) return start_meta(node);
  if (is_one_of(chunk_nodes_)) return start_chunk(node);
  DOGFS_CHECK(is_one_of(client_nodes_));
  start_client(node);
}

void Cluster::retire(Node& node) {
  if (retired_.insert(node.index()).second) node.count(Harm::kServerLost);
}

void Cluster::crash(Node& node, CrashKind kind) {
  programs_[node.index()] = {};
  node.crash(kind);
}

std::vector<Address> Cluster::meta_addresses() const {
  std::vector<Address> addresses;
  for (const Node* node : announced_) addresses.push_back(node->address());
  return addresses;
}

NodeId Cluster::meta_id(const Node& node) const {
  const auto place = std::find(meta_nodes_.begin(), meta_nodes_.end(), &node);
  DOGFS_CHECK(place != meta_nodes_.end(), node.name());
  return NodeId(static_cast<uint64_t>(place - meta_nodes_.begin()) + 1);
}

std::vector<Node*> Cluster::members() {
  const raft::Raft* newest = nullptr;
  for (const Node* node : meta_nodes_) {
    const raft::Raft* raft = this->raft(*node);
    if (raft != nullptr && (newest == nullptr || raft->commit() > newest->commit())) newest = raft;
  }
  std::vector<Node*> members;
  if (newest == nullptr) return members;
  const raft::Configuration& configuration = newest->log().configurations().at(newest->commit()).configuration;
  for (const auto& [id, address] : configuration.addresses) members.push_back(meta_nodes_.at(id.value() - 1));
  return members;
}

// A node must always come up again: no disk fault of the simulator excuses a store that cannot be trusted. It may only
// take more than one attempt while the disk fails.
Task<void> Cluster::expect_started(Node& node, std::function<void(Error)> end, Task<Status> start) {
  const uint64_t errors_before = node.disk_errors();
  const Status started = co_await std::move(start);
  if (started.has_value() || started.error().code == ErrorCode::kShuttingDown) co_return;
  const bool is_of_disk = started.error().code == ErrorCode::kIoError || started.error().code == ErrorCode::kNoSpace;
  if (is_of_disk && node.disk_errors() > errors_before) {
    end(started.error());
  } else {
    verdict_.fail("start", node.name() + " does not start: " + started.error().to_string());
  }
}

std::function<void(Error)> Cluster::end_by_itself(Node& node) {
  return [this, &node, life = node.executor().incarnation(), end = node.on_fatal()](Error error) {
    if (!world_.simulator().alive(life)) return;
    // So a chunk server ends that was removed.
    if (error.code == ErrorCode::kConflict) {
      if (!leaving_.contains(node.index())) verdict_.fail("start", node.name() + " ends: " + error.to_string());
      retire(node);
    }
    end(std::move(error));
    programs_[node.index()] = {};
    if (lapses_.begin) lapses_.begin(node);
    if (!is_retired(node)) restart_later(node);
  };
}

void Cluster::restart_later(Node& node) {
  Simulator& simulator = world_.simulator();
  const StreamKey key = StreamKey(world_.options().seed).with("restart").with(node.name());
  RandomStream draws(key.with(static_cast<uint64_t>(simulator.now().time_since_epoch().count())));
  const Duration delay = draws.between(kShortestRestart, kLongestRestart);
  // Nobody else starts a node that was down already when the fault came.
  simulator.at(simulator.world(), simulator.now() + delay, [this, &node] {
    if (!is_retired(node)) start(node);
    if (lapses_.end) lapses_.end(node);
  });
}

const std::map<NodeId, Address>& Cluster::peers_of(const Node& node) {
  const auto [place, added] = peers_.try_emplace(node.index());
  std::map<NodeId, Address>& peers = place->second;
  if (!added) return peers;
  for (const Node* each : announced_) peers.emplace(meta_id(*each), each->address());
  peers.emplace(meta_id(node), node.address());
  return peers;
}

void Cluster::start_meta(Node& node) {
  MetaOptions options;
  options.self = meta_id(node);
  if (options.self.value() > options_.meta_nodes) options.empty_store = EmptyStore::kJoins;
  options.nodes = peers_of(node);
  options.lease_drift_bound = options_.lease_drift_bound;
  options.lease_limit = kLeaseLimit;
  options.session_limit = kSessionLimit;
  options.server_dead_limit = kServerDeadLimit;
  options.repair_limits.grace = kRepairGrace;
  options.repair_limits.mass_wait = kMassWait;
  options.repair_validity = kRepairValidity;
  if (options_.log_entries > 0) {
    options.log.keep.max_entries = options_.log_entries;
    options.log.hold.max_entries = kHeldPerKept * options_.log_entries;
  }
  if (options_.log_cache_bytes > 0) options.max_cached_log_bytes = options_.log_cache_bytes;
  if (options_.snapshot_part_bytes > 0) options.snapshot_part_bytes = options_.snapshot_part_bytes;
  if (options_.max_changes_under_way > 0) options.max_changes_under_way = options_.max_changes_under_way;
  if (options_.max_uncommitted_bytes > 0) options.max_uncommitted_bytes = options_.max_uncommitted_bytes;
  const std::function<void(Error)> end = end_by_itself(node);
  MetaNode& meta = node.make<MetaNode>(node.env(), node.kv(), options, end);
  programs_[node.index()].meta = &meta;
  world_.spawn(node, expect_started(node, end, meta.start()));
}

std::vector<Cluster::DiskNames> Cluster::disk_names() const {
  std::vector<DiskNames> names = {{"disk", "records"}};
  for (uint32_t number = 2; number <= options_.disks; ++number) {
    names.push_back({fmt::format("disk-{}", number), fmt::format("records-{}", number)});
  }
  return names;
}

void Cluster::start_chunk(Node& node) {
  ChunkOptions options;
  options.address = node.address();
  options.meta_nodes = meta_addresses();
  options.writer_idle_limit = kWriterIdleLimit;
  const auto number = std::ranges::find(chunk_nodes_, &node) - chunk_nodes_.begin();
  if (options_.racks > 0) options.rack = fmt::format("/rack-{}", number % options_.racks);
  options.scrub_interval = kScrubInterval;
  options.report_interval = options_.report_interval;
  options.scrub_bytes_per_s = kScrubBytesPerSecond;
  std::vector<ChunkDisk> disks;
  for (const DiskNames& names : disk_names()) {
    disks.push_back({node.shards(names.files), node.kv(names.records), names.files});
  }
  const std::function<void(Error)> end = end_by_itself(node);
  ChunkServer& server = node.make<ChunkServer>(node.env(), std::move(disks), options, end);
  programs_[node.index()].chunk = &server;
  world_.spawn(node, expect_started(node, end, server.start()));
}

ClientOptions Cluster::client_options() const {
  ClientOptions options;
  options.meta_nodes = meta_addresses();
  options.principal = "sim";
  options.metadata_timeout = kMetadataTimeout;
  options.leaderless_patience = kLeaderlessPatience;
  options.shard_timeout = kShardTimeout;
  options.stall_timeout = kShardTimeout;
  options.straggler_timeout = kStragglerTimeout;
  options.stuck_timeout = kStuckTimeout;
  options.write_patience = kWritePatience;
  options.write_buffer_bytes = 2 * options_.block_bytes;
  options.read_ahead_bytes = options_.block_bytes;
  return options;
}

void Cluster::start_client(Node& node) {
  Env* env = &node.env();
  if (history_ != nullptr) {
    Transport& recorder = node.make<HistoryTransport>(env->transport, *history_);
    env = &node.make<Env>(Env{env->executor, env->clock, env->random, recorder, env->compute, env->log});
  }
  const ClientOptions options = client_options();
  told_[node.index()] = options.meta_nodes;
  Client& client = node.make<Client>(*env, options);
  programs_[node.index()].client = &client;
  if (on_client_start_) on_client_start_(node);
}

bool Cluster::is_out_of_touch(const Node& client) {
  const std::vector<Node*> members = this->members();
  return std::ranges::none_of(told_[client.index()], [&members](const Address& node) {
    return std::ranges::any_of(members, [&node](const Node* member) { return member->address() == node; });
  });
}

Node* Cluster::chunk_node_at(std::string_view address) const {
  const auto node = std::ranges::find(chunk_nodes_, address, &Node::name);
  return node == chunk_nodes_.end() ? nullptr : *node;
}

Node* Cluster::leader() {
  Node* leader = nullptr;
  Term highest;
  for (Node* node : meta_nodes_) {
    const MetaNode* program = meta(*node);
    if (program == nullptr) continue;
    const ReplicaStatus status = program->replica().status();
    if (status.role == RaftRole::kLeader && status.term > highest) {
      leader = node;
      highest = status.term;
    }
  }
  return leader;
}

Node* Cluster::hand_leadership_over(const std::vector<Node*>& successors) {
  Node* present = leader();
  if (present == nullptr) return nullptr;
  const auto found = std::find_if(successors.begin(), successors.end(), [&](Node* node) {
    return node != present && std::find(meta_nodes_.begin(), meta_nodes_.end(), node) != meta_nodes_.end();
  });
  if (found == successors.end()) return nullptr;
  world_.spawn(*present, hand_over(*present, meta_id(**found)));
  return *found;
}

Task<void> Cluster::hand_over(Node& leader, NodeId successor) {
  wire::TransferLeadershipRequest request;
  request.set_target(successor.value());
  const MonoTime deadline = leader.env().clock.now() + kHandOverTimeout;
  const Reply reply =
      co_await meta(leader)->handle(make_request(MessageType::kTransferLeadership, GroupId(), request), deadline);
  const std::string outcome = reply.error.code == ErrorCode::kOk ? "led" : "does not lead: " + reply.error.to_string();
  world_.trace().line(leader.name(), fmt::format("was to hand over to node {}, which {}", successor, outcome));
}

void Cluster::lose_disk(Node& node) {
  node.kv_disk()->wipe();
  lost_disks_.insert(node.index());
}

bool Cluster::may_lose_disk(const Node& node) const {
  std::set<NodeIndex> lost = lost_disks_;
  lost.insert(node.index());
  return 2 * lost.size() < options_.meta_nodes;
}

bool Cluster::lost_disks_are_known() {
  Node* leader = this->leader();
  if (leader == nullptr) return lost_disks_.empty();
  std::set<NodeId> lost;
  for (const Node* node : meta_nodes_) {
    if (!has_lost_disk(*node)) continue;
    lost.insert(meta_id(*node));
    const raft::Raft* member = raft(*node);
    if (member == nullptr || member->is_counted()) return false;
  }
  return meta(*leader)->replica().status().lost_stores == lost;
}

bool Cluster::servers_ready() {
  for (const Node* node : meta_nodes_) {
    if (!is_spare(*node) && !is_retired(*node) && !node->up()) return false;
  }
  for (const Node* node : chunk_nodes_) {
    if (is_retired(*node)) continue;
    if (!node->up() || chunk(*node)->id().is_none()) return false;
  }
  return leader() != nullptr;
}

}  // namespace dogfs::sim
