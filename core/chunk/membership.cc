#include "core/chunk/membership.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr Duration kRegisterTimeout = seconds(5);
constexpr Duration kMinHeartbeatTimeout = seconds(1);
// To the leader, while repairs end here.
constexpr Duration kRepairHeartbeat = milliseconds(100);
// How many redirections are followed before the nodes are asked in turn again.
constexpr int kMaxRedirects = 4;
constexpr size_t kDamagePerHeartbeat = 100;
constexpr size_t kMaxOutcomesPerHeartbeat = 500;
constexpr int kLeavingPerHeartbeat = 200;
static_assert(kLeavingPerHeartbeat <= kMaxShardsPerHeartbeat);
constexpr size_t kLookedAtPerHeartbeat = 20'000;
// Metadata nodes to which heartbeats go, or went a moment ago.
constexpr size_t kMaxNodesTended = 8 * kMaxRaftMembers;

bool is_address(const std::string& text) {
  return !text.empty() && text.size() <= kMaxAddressBytes;
}

bool names(const google::protobuf::RepeatedPtrField<std::string>& nodes, const Address& node) {
  return std::ranges::find(nodes, node.value) != nodes.end();
}

}  // namespace

Membership::Membership(Env& env, const ChunkOptions& options, Identity& identity, Workers workers, StopSignal& stop,
                       std::function<Load()> load, std::function<void(const Error&)> on_fatal)
    : env_(env),
      options_(options),
      identity_(identity),
      workers_(workers),
      stop_(stop),
      load_(std::move(load)),
      on_fatal_(std::move(on_fatal)),
      woken_(env.clock) {}

void Membership::start(TaskGroup& tasks, std::function<void()> on_registered) {
  tasks.spawn(run_registration(tasks, std::move(on_registered)));
  tasks_ = &tasks;
  for (const Address& node : options_.meta_nodes) send_heartbeats_to(node);
}

void Membership::send_heartbeats_to(const Address& node) {
  if (tended_.size() >= kMaxNodesTended && !tended_.contains(node)) return;
  nodes_.insert(node);
  // The task of one that had left may not have noticed yet, and then goes on.
  if (tended_.insert(node).second) tasks_->spawn(run_heartbeats(node));
}

Task<void> Membership::run_registration(TaskGroup& tasks, std::function<void()> on_registered) {
  bool first = true;
  do {
    if (registered_) continue;
    const Status status = co_await try_to_register();
    if (stop_.stopping()) co_return;
    if (!status.has_value()) {
      env_.log.info("chunk", "not registered yet: {}", status.error().to_string());
      if (status.error().code == ErrorCode::kWrongCluster || status.error().code == ErrorCode::kConflict) {
        on_fatal_(status.error());
        co_return;
      }
      continue;
    }
    registered_ = true;
    env_.log.info("chunk", "registered as server {}, incarnation {}", identity_.server(), incarnation_);
    if (std::exchange(first, false)) on_registered();
    // Blocks are placed only on servers that were heard of: no need to wait for the next round of heartbeats.
    for (const Address& node : nodes_) tasks.spawn(send_heartbeat(node));
  } while (co_await stop_.sleep(options_.heartbeat_interval));
}

// Asks whoever led last, or else one node, and follows where that sends it.
Task<Status> Membership::try_to_register() {
  if (options_.meta_nodes.empty()) co_return Error(ErrorCode::kInvalidArgument, "no metadata nodes are configured");
  Address node = std::exchange(leader_, {});
  if (node.value.empty()) node = next_node();
  Status status = ok();
  for (int hop = 0; hop < kMaxRedirects && !node.value.empty() && !stop_.stopping(); ++hop) {
    status = co_await register_at(node);
    if (code_of(status) != ErrorCode::kNotLeader) break;
    node = std::exchange(leader_, {});
  }
  co_return status;
}

// The configured nodes in turn, then those that were heard of since: by now they may have taken the others' place.
Address Membership::next_node() {
  std::vector<Address> all = options_.meta_nodes;
  for (const Address& node : nodes_) {
    if (std::ranges::find(options_.meta_nodes, node) == options_.meta_nodes.end()) all.push_back(node);
  }
  return all[next_node_++ % all.size()];
}

Task<Status> Membership::register_at(Address node) {
  wire::RegisterServerRequest message;
  message.set_uuid(identity_.uuid());
  message.set_address(options_.address.value);
  message.set_rack(options_.rack);
  message.set_cluster_uuid(identity_.cluster_uuid());
  Request request = make_request(MessageType::kRegisterServer, GroupId(0), message);
  DOGFS_CO_TRY(Reply reply,
               co_await env_.transport.call(node, std::move(request), env_.clock.now() + kRegisterTimeout));
  if (reply.error.code == ErrorCode::kNotLeader) leader_ = reply.leader;
  DOGFS_CO_TRY(const TypedReply<wire::RegisterServerReply> typed,
               parse_reply<wire::RegisterServerReply>(std::move(reply)));
  const wire::RegisterServerReply& given = typed.message;
  if (given.server() == 0 || given.cluster_uuid().size() != kUuidBytes) {
    co_return Error(ErrorCode::kProtocolError, "registration without an id or a cluster");
  }
  DOGFS_CO_TRYV(co_await identity_.registered(ServerId(given.server()), given.cluster_uuid()));
  incarnation_ = given.incarnation();
  leader_ = node;
  co_return ok();
}

Task<void> Membership::run_heartbeats(Address node) {
  while (!stop_.stopping() && nodes_.contains(node)) {
    const MonoTime last = env_.clock.now();
    if (registered_) co_await send_heartbeat(node);
    while (!stop_.stopping() && env_.clock.now() < next_heartbeat(node, last)) {
      co_await woken_.wait_until(next_heartbeat(node, last));
    }
  }
  tended_.erase(node);
}

// What came of a repair goes to the leader at once, and for a while it is asked for more: so small shards are rebuilt one
// after the other, and not as many as the leader orders at once in each interval.
MonoTime Membership::next_heartbeat(const Address& node, MonoTime last) const {
  const Duration interval = options_.heartbeat_interval;
  const bool repairs = node == leader_ && workers_.repairs.last_outcome() >= last - interval;
  return last + (repairs ? std::min<Duration>(interval, kRepairHeartbeat) : interval);
}

wire::HeartbeatRequest Membership::make_heartbeat(const Said& said) {
  const Load load = load_();
  wire::HeartbeatRequest message;
  message.set_server(identity_.server().value());
  message.set_incarnation(incarnation_);
  message.set_cluster_uuid(identity_.cluster_uuid());
  message.set_total_bytes(load.space.total_bytes);
  message.set_free_bytes(load.space.free_bytes);
  message.set_shards(load.shards);
  message.set_active_transfers(load.active_transfers);
  message.set_foreign_files(load.foreign_files);
  for (const ShardKey& key : said.gone) *message.add_deleted() = shard_name_to_wire(key);
  for (const wire::RepairOutcome& outcome : said.repairs) *message.add_repairs() = outcome;
  message.set_last_scrub_ms(workers_.scrubber.last_pass_ms());
  add_damage(message);
  add_disks(load.disks, message);
  add_leaving(message);
  add_whole(message);
  return message;
}

// Those that are missing stand first, and are cut off last.
void Membership::add_disks(const std::vector<wire::DiskInfo>& disks, wire::HeartbeatRequest& message) const {
  for (const wire::DiskInfo& disk : disks) {
    if (message.disks_size() == kMaxDisksPerServer) break;
    *message.add_disks() = disk;
  }
}

// The next few of the whole shards on disks that are to be emptied, less those that the metadata has replaced already.
void Membership::add_leaving(wire::HeartbeatRequest& message) {
  if (std::ranges::none_of(workers_.disks, &ShardDisk::gives_away_any)) return;
  const std::map<ShardKey, ShardEntry>& entries = workers_.table.entries();
  auto next = entries.upper_bound(last_leaving_);
  const size_t steps = std::min(entries.size(), kLookedAtPerHeartbeat);
  for (size_t i = 0; i < steps && message.leaving_size() < kLeavingPerHeartbeat; ++i) {
    if (next == entries.end()) next = entries.begin();
    const auto& [key, entry] = *next++;
    last_leaving_ = key;
    const bool leaves = entry.state == ShardState::kSealed && workers_.disks[entry.disk]->gives_away(key);
    if (leaves && !workers_.remover.is_requested(key)) *message.add_leaving() = shard_name_to_wire(key);
  }
}

void Membership::add_whole(wire::HeartbeatRequest& message) const {
  for (const ShardKey& key : to_confirm_) {
    if (message.whole_size() == kMaxShardsPerHeartbeat) break;
    const ShardEntry* entry = workers_.table.find(key);
    const bool whole = entry != nullptr && entry->state == ShardState::kSealed &&
                       !workers_.disks[entry->disk]->given_up() && !workers_.remover.is_requested(key);
    if (whole) *message.add_whole() = shard_name_to_wire(key);
  }
}

// The next few of the damaged shards, and after the last the first again: nobody asks for them.
void Membership::add_damage(wire::HeartbeatRequest& message) {
  const std::set<ShardKey>& damaged = workers_.table.damaged();
  message.set_damaged_shards(damaged.size());
  auto next = damaged.upper_bound(last_damage_);
  for (size_t i = 0; i < std::min(damaged.size(), kDamagePerHeartbeat); ++i) {
    if (next == damaged.end()) next = damaged.begin();
    last_damage_ = *next++;
    *message.add_damaged() = shard_name_to_wire(last_damage_);
  }
}

Task<void> Membership::send_heartbeat(Address node) {
  const Said said{.gone = workers_.remover.confirmed(kMaxShardsPerHeartbeat),
                  .repairs = workers_.repairs.outcomes(kMaxOutcomesPerHeartbeat)};
  const uint64_t incarnation = incarnation_;
  Request request = make_request(MessageType::kHeartbeat, GroupId(0), make_heartbeat(said));
  const MonoTime deadline = env_.clock.now() + std::max<Duration>(options_.heartbeat_interval, kMinHeartbeatTimeout);
  Result<Reply> reply = co_await env_.transport.call(node, std::move(request), deadline);
  if (!reply.has_value() || stop_.stopping()) co_return;
  // A process that was stopped for a while finds a reply that waited for it. What that orders need not be right any more:
  // what a deletion relies on may have gone meanwhile.
  if (env_.clock.now() > deadline) co_return;
  const auto typed = parse_reply<wire::HeartbeatReply>(std::move(reply).value());
  if (typed.has_value()) {
    const wire::HeartbeatReply& message = typed.value().message;
    if (message.leader()) {
      leader_ = node;
      workers_.reporter.heard(node, incarnation, message.applied_index());
    }
    take_reply(message, said);
    co_return;
  }
  env_.log.debug("chunk", "{} refuses the heartbeat: {}", node.value, typed.error().to_string());
  // The leader does not know this server, or a registration whose reply was lost has overtaken the one that is known here.
  const ErrorCode code = typed.error().code;
  const bool unknown = code == ErrorCode::kNotFound || code == ErrorCode::kConflict;
  if (unknown && incarnation == incarnation_) registered_ = false;
}

Status Membership::hear_of(const google::protobuf::RepeatedPtrField<std::string>& nodes) {
  if (static_cast<size_t>(nodes.size()) > kMaxRaftMembers || !std::ranges::all_of(nodes, is_address)) {
    return Error(ErrorCode::kInvalidArgument, "these are not the addresses of metadata nodes");
  }
  for (const std::string& node : nodes) send_heartbeats_to(Address{node});
  return ok();
}

Status Membership::be_told(const google::protobuf::RepeatedPtrField<std::string>& nodes) {
  DOGFS_TRYV(hear_of(nodes));
  if (nodes_.size() <= options_.meta_nodes.size() + kMaxRaftMembers) return ok();
  // More than there can be: the latest word counts, beside what was configured.
  std::erase_if(nodes_, [&](const Address& node) {
    return !names(nodes, node) && std::ranges::find(options_.meta_nodes, node) == options_.meta_nodes.end();
  });
  return ok();
}

// Any metadata node may know of one that is new here; only the leader surely knows who is gone.
void Membership::learn_nodes(const wire::HeartbeatReply& reply) {
  if (reply.meta_nodes().empty() || !hear_of(reply.meta_nodes()) || !reply.leader()) return;
  std::erase_if(nodes_, [&reply](const Address& node) { return !names(reply.meta_nodes(), node); });
}

void Membership::take_reply(const wire::HeartbeatReply& reply, const Said& said) {
  learn_nodes(reply);
  if (!reply.leader()) return;
  // The leader has heard. If it falls before it has written that down, its successor asks again.
  workers_.remover.reported(said.gone);
  workers_.repairs.reported(said.repairs);
  workers_.remover.request(named_shards(reply.deletions()));
  workers_.scrubber.verify_soon(named_shards(reply.verify()));
  to_confirm_ = named_shards(reply.confirm());
  workers_.repairs.request({reply.repairs().begin(), reply.repairs().end()}, identity_.cluster_uuid());
}

std::vector<ShardKey> Membership::named_shards(const google::protobuf::RepeatedPtrField<wire::ShardName>& names) const {
  std::vector<ShardKey> keys;
  for (const wire::ShardName& name : names) {
    const Result<ShardKey> key = shard_key_from_wire(name);
    if (key.has_value()) {
      keys.push_back(key.value());
    } else {
      env_.log.warning("chunk", "the metadata names a shard that cannot be: {}", key.error().to_string());
    }
  }
  return keys;
}

}  // namespace dogfs
