#include "sim/years_fleet.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/meta/keys.h"
#include "core/wire/rpc.h"

namespace dogfs::sim {
namespace {

constexpr int kMaxDamagePerHeartbeat = 1'000;
// In so many beats damage is said again, and the operator looks whether a lost server can be taken off the list.
constexpr uint64_t kBeatsPerReminder = 32;
constexpr uint64_t kFreeSpaceFactor = 3;

std::string uuid_of(StreamKey key) {
  std::string uuid;
  append_big_endian(uuid, key.with("low").value());
  append_big_endian(uuid, key.with("high").value());
  return uuid;
}

}  // namespace

YearsFleet::YearsFleet(LoneMeta& meta, const YearsOptions& options, StreamKey key)
    : meta_(meta), options_(options), key_(key), draws_(key.with("draws")), servers_(options.servers) {}

std::string YearsFleet::rack_of(SlotIndex slot) const {
  return fmt::format("/rack-{}", slot % options_.racks + 1);
}

std::optional<SlotIndex> YearsFleet::slot_of(ServerId server) const {
  const auto found = slots_.find(server);
  return found == slots_.end() ? std::nullopt : std::optional(found->second);
}

const HeldShard* YearsFleet::find(ServerId server, const ShardKey& key) const {
  const std::optional<SlotIndex> slot = slot_of(server);
  if (!slot) return nullptr;
  const auto held = servers_[*slot].shards.find(key);
  return held == servers_[*slot].shards.end() ? nullptr : &held->second;
}

bool YearsFleet::is_whole(const ListedShard& shard) const {
  const HeldShard* held = find(shard.server, shard.key);
  return held != nullptr && !held->spoilt;
}

bool YearsFleet::is_complete() const {
  return std::ranges::all_of(servers_, [](const YearsServer& server) { return server.up && server.registered; });
}

bool YearsFleet::is_settled() const {
  const auto is_taken_for_live = [this](ServerId server) { return ledger_->state_of(server) == wire::LIVE; };
  if (std::ranges::any_of(retired_, is_taken_for_live)) return false;
  return std::ranges::all_of(servers_, [this](const YearsServer& server) {
    if (!server.exists) return true;
    if (!server.up) return ledger_->state_of(server.id) == wire::DEAD;
    return server.registered && ledger_->state_of(server.id) == wire::LIVE && server.outcomes.empty() &&
           server.deleted.empty() && server.unsaid.empty() && !ledger_->has_garbage(server.id);
  });
}

// --- Messages ----------------------------------------------------------------------------------------------------------

void YearsFleet::beat() {
  ++beats_;
  for (SlotIndex slot = 0; slot < slots(); ++slot) {
    YearsServer& server = servers_[slot];
    if (!server.up) continue;
    if (beats_ % kBeatsPerReminder == 0) server.unsaid = server.damaged;
    if (server.registered) {
      say_all(slot);
    } else {
      send_registration(slot);
    }
  }
  if (beats_ % kBeatsPerReminder == 0) remove_retired();
}

void YearsFleet::greet() {
  for (SlotIndex slot = 0; slot < slots(); ++slot) {
    const YearsServer& server = servers_[slot];
    if (server.up && server.registered) send_heartbeat(slot, make_heartbeat(server));
  }
}

void YearsFleet::send_registration(SlotIndex slot) {
  const YearsServer& server = servers_[slot];
  wire::RegisterServerRequest message;
  message.set_uuid(uuid_of(key_.with(slot).with(server.replacement)));
  message.set_address(fmt::format("chunk-{}-{}", slot + 1, server.replacement + 1));
  message.set_rack(rack_of(slot));
  if (!server.id.is_none()) message.set_cluster_uuid(cluster_uuid_);
  meta_.ask(make_request(MessageType::kRegisterServer, GroupId(0), message),
            [this, slot, life = server.life](const Reply& reply) {
              if (servers_[slot].up && servers_[slot].life == life) take_registration(slot, reply);
            });
}

void YearsFleet::take_registration(SlotIndex slot, const Reply& reply) {
  const auto parsed = parse_reply<wire::RegisterServerReply>(reply);
  if (!parsed) return;  // nobody leads yet: the next beat asks again
  YearsServer& server = servers_[slot];
  server.id = ServerId(parsed.value().message.server());
  server.incarnation = parsed.value().message.incarnation();
  server.registered = true;
  slots_[server.id] = slot;
  cluster_uuid_ = parsed.value().message.cluster_uuid();
  say_all(slot);
}

wire::HeartbeatRequest YearsFleet::make_heartbeat(const YearsServer& server) const {
  const uint64_t room = options_.shards_per_server() * kFreeSpaceFactor;
  wire::HeartbeatRequest message;
  message.set_server(server.id.value());
  message.set_incarnation(server.incarnation);
  message.set_cluster_uuid(cluster_uuid_);
  message.set_total_bytes(room * options_.shard_bytes());
  message.set_free_bytes((room - std::min<uint64_t>(room, server.shards.size())) * options_.shard_bytes());
  // One disk of so many stands for all: they fill evenly, and which of them has room is not what matters here.
  wire::DiskInfo& disk = *message.add_disks();
  disk.set_total_bytes(message.total_bytes());
  disk.set_free_bytes(message.free_bytes());
  message.set_shards(server.shards.size());
  message.set_damaged_shards(server.damaged.size());
  return message;
}

// No message is lost here, so nothing is said twice.
void YearsFleet::say_all(SlotIndex slot) {
  YearsServer& server = servers_[slot];
  wire::HeartbeatRequest message = make_heartbeat(server);
  for (const ShardKey& key : std::exchange(server.deleted, {})) *message.add_deleted() = shard_name_to_wire(key);
  for (const ShardKey& key : std::exchange(server.to_confirm, {})) {
    if (server.shards.contains(key) && !server.damaged.contains(key)) *message.add_whole() = shard_name_to_wire(key);
  }
  for (const auto& [key, outcome] : std::exchange(server.outcomes, {})) *message.add_repairs() = outcome;
  while (!server.unsaid.empty() && message.damaged_size() < kMaxDamagePerHeartbeat) {
    *message.add_damaged() = shard_name_to_wire(*server.unsaid.begin());
    server.unsaid.erase(server.unsaid.begin());
  }
  send_heartbeat(slot, message);
}

void YearsFleet::send_heartbeat(SlotIndex slot, const wire::HeartbeatRequest& message) {
  meta_.ask(make_request(MessageType::kHeartbeat, GroupId(0), message),
            [this, slot, life = servers_[slot].life](const Reply& reply) {
              if (servers_[slot].up && servers_[slot].life == life) take_heartbeat_reply(slot, reply);
            });
}

void YearsFleet::take_heartbeat_reply(SlotIndex slot, const Reply& reply) {
  const auto parsed = parse_reply<wire::HeartbeatReply>(reply);
  DOGFS_CHECK(parsed.has_value(), parsed ? "" : parsed.error().to_string());
  const wire::HeartbeatReply& message = parsed.value().message;
  for (const wire::ShardName& name : message.deletions()) {
    remove(slot, shard_key_from_wire(name).value());
  }
  for (const wire::ShardName& name : message.confirm()) {
    servers_[slot].to_confirm.push_back(shard_key_from_wire(name).value());
  }
  for (const wire::RepairOrder& order : message.repairs()) workers_.rebuild(slot, order);
}

// What is not there is as gone as what was deleted.
void YearsFleet::remove(SlotIndex slot, const ShardKey& key) {
  YearsServer& server = servers_[slot];
  if (ledger_->is_listed(server.id, key)) {
    problems_.push_back(fmt::format("server {} is to delete {}, which the map lists there", server.id, to_string(key)));
  }
  workers_.drop(slot, key);
  server.shards.erase(key);
  server.damaged.erase(key);
  server.unsaid.erase(key);
  server.deleted.push_back(key);
  ledger_->recount(key.block);
}

// --- What happens to it ------------------------------------------------------------------------------------------------

void YearsFleet::stop(SlotIndex slot) {
  YearsServer& server = servers_[slot];
  if (!server.up) return;
  ++counts_.outages;
  ++server.life;
  server.up = false;
  server.registered = false;
  server.deleted.clear();
  server.to_confirm.clear();
  server.outcomes.clear();
  server.unsaid.clear();
  workers_.forget(slot);
}

void YearsFleet::start(SlotIndex slot) {
  YearsServer& server = servers_[slot];
  if (!server.exists || server.up) return;
  server.up = true;
  server.unsaid = server.damaged;
}

void YearsFleet::lose_server(SlotIndex slot) {
  YearsServer& server = servers_[slot];
  if (!server.exists) return;
  ++counts_.servers_lost;
  stop(slot);
  YearsServer next;
  next.replacement = server.replacement + 1;
  next.life = server.life;
  next.exists = false;
  next.up = false;
  const YearsServer lost = std::exchange(server, std::move(next));
  slots_.erase(lost.id);
  retired_.insert(lost.id);
  for (const auto& [key, held] : lost.shards) ledger_->recount(key.block);
}

void YearsFleet::replace_server(SlotIndex slot) {
  servers_[slot].exists = true;
  servers_[slot].up = true;
}

// The operator takes lost servers off the list once nothing is listed there, which the metadata insists on.
void YearsFleet::remove_retired() {
  for (const ServerId server : retired_) {
    wire::AdministerServerRequest message;
    message.set_server(server.value());
    message.set_wanted(wire::REMOVED);
    meta_.ask(make_request(MessageType::kAdministerServer, GroupId(0), message), [this, server](const Reply& reply) {
      if (reply.error.code == ErrorCode::kOk) retired_.erase(server);
    });
  }
}

void YearsFleet::lose_disk(SlotIndex slot, uint32_t disk) {
  YearsServer& server = servers_[slot];
  if (!server.exists) return;
  ++counts_.disks_lost;
  std::vector<ShardKey> lost;
  for (const auto& [key, held] : server.shards) {
    if (held.disk == disk) lost.push_back(key);
  }
  for (const ShardKey& key : lost) {
    server.shards.erase(key);
    server.damaged.insert(key);
    if (server.up) server.unsaid.insert(key);
    ledger_->recount(key.block);
  }
}

std::optional<ShardKey> YearsFleet::spoil_one(SlotIndex slot) {
  YearsServer& server = servers_[slot];
  if (server.shards.empty()) return std::nullopt;
  const auto chosen = std::next(server.shards.begin(), static_cast<ptrdiff_t>(draws_.below(server.shards.size())));
  ++counts_.spoilt;
  chosen->second.spoilt = true;
  ledger_->recount(chosen->first.block);
  return chosen->first;
}

void YearsFleet::find_damage(SlotIndex slot, const ShardKey& key) {
  YearsServer& server = servers_[slot];
  const auto held = server.shards.find(key);
  if (held == server.shards.end() || !held->second.spoilt) return;
  server.damaged.insert(key);
  if (server.up) server.unsaid.insert(key);
}

void YearsFleet::put(SlotIndex slot, const ShardKey& key) {
  const uint64_t disk = combine64(combine64(key.block.value(), key.generation.value()), slot) % options_.disks;
  servers_[slot].shards[key] = {.disk = static_cast<uint32_t>(disk), .spoilt = false};
}

}  // namespace dogfs::sim
