#include "core/meta/registry.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace dogfs {

void ServerRegistry::learn(const wire::ChunkServerRow& row) {
  Server& server = servers_[ServerId(row.server())];
  if (row.incarnation() < server.incarnation) return;
  if (row.incarnation() > server.incarnation) server = Server{};
  server.incarnation = row.incarnation();
  server.address = row.address();
  server.rack = row.rack();
  server.state = row.state();
}

const ServerRegistry::Server* ServerRegistry::find(ServerId server) const {
  const auto found = servers_.find(server);
  return found == servers_.end() ? nullptr : &found->second;
}

void ServerRegistry::heard(const wire::HeartbeatRequest& heartbeat, MonoTime now) {
  const auto found = servers_.find(ServerId(heartbeat.server()));
  DOGFS_CHECK(found != servers_.end());
  listen(now);
  last_heard_ = now;
  Server& server = found->second;
  server.last_heartbeat = now;
  server.total_bytes = heartbeat.total_bytes();
  server.free_bytes = heartbeat.free_bytes();
  server.shards = heartbeat.shards();
  server.active_transfers = heartbeat.active_transfers();
  server.placed_since = 0;
  server.damaged_shards = heartbeat.damaged_shards();
  server.last_scrub_ms = heartbeat.last_scrub_ms();
  server.foreign_files = heartbeat.foreign_files();
  server.disks.assign(heartbeat.disks().begin(), heartbeat.disks().end());
}

void ServerRegistry::placed_on(ServerId server) {
  const auto found = servers_.find(server);
  if (found != servers_.end()) ++found->second.placed_since;
}

uint64_t ServerRegistry::Server::open_bytes() const {
  uint64_t bytes = 0;
  for (const wire::DiskInfo& disk : disks) {
    if (disk.state() == wire::DiskInfo::WORKING) bytes += disk.free_bytes();
  }
  return bytes;
}

uint64_t ServerRegistry::Server::room() const {
  uint64_t most = 0;
  for (const wire::DiskInfo& disk : disks) {
    if (disk.state() == wire::DiskInfo::WORKING) most = std::max(most, disk.free_bytes());
  }
  return most;
}

bool ServerRegistry::Server::is_roomy() const {
  return std::ranges::any_of(disks, [](const wire::DiskInfo& disk) {
    return disk.state() == wire::DiskInfo::WORKING && disk.free_bytes() >= kRoomyTimes * full_below(disk.total_bytes());
  });
}

std::vector<PlacementCandidate> ServerRegistry::candidates(MonoTime since) const {
  std::vector<PlacementCandidate> candidates;
  for (const auto& [id, server] : servers_) {
    if (server.state != wire::LIVE || !server.last_heartbeat || *server.last_heartbeat < since) continue;
    candidates.push_back({.server = id,
                          .rack = server.rack,
                          .free_bytes = server.open_bytes(),
                          .room = server.room(),
                          .load = server.active_transfers + server.placed_since});
  }
  return candidates;
}

void ServerRegistry::listen(MonoTime now) {
  if (now - last_heard_ >= deafness_) listening_since_ = now;
}

Status ServerRegistry::check_listened(MonoTime now, Duration silence_limit) const {
  if (now - listening_since_ >= silence_limit) return ok();
  return Error(ErrorCode::kUnavailable, "this metadata node hears the chunk servers only since a moment, and waits");
}

size_t ServerRegistry::heard_of() const {
  return static_cast<size_t>(std::ranges::count_if(servers_, [this](const auto& entry) {
    return entry.second.last_heartbeat && *entry.second.last_heartbeat >= listening_since_;
  }));
}

void ServerRegistry::confirm(const GarbageShard& shard) {
  if (confirmed_.size() < kMaxWaitingConfirmations) confirmed_.insert(shard);
}

std::vector<GarbageShard> ServerRegistry::confirmed(size_t limit) const {
  std::vector<GarbageShard> shards;
  for (const GarbageShard& shard : confirmed_) {
    if (shards.size() == limit) break;
    shards.push_back(shard);
  }
  return shards;
}

void ServerRegistry::forget_confirmed(const std::vector<GarbageShard>& shards) {
  for (const GarbageShard& shard : shards) confirmed_.erase(shard);
}

}  // namespace dogfs
