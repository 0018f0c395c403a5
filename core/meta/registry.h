// What a metadata node knows about the chunk servers of this moment: soft state, from their heartbeats and its own
// clock. Every node keeps it, since servers tell all of them, so that whoever is elected can place at once. Who a
// server is (address, rack) comes from the replicated rows; nothing here is ever an input of apply.
//
// It also keeps what servers say they have deleted until the leader has put it into the log. Belongs to the node's
// executor.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/meta/keys.h"
#include "core/meta/placement.h"
#include "core/wire/meta.pb.h"
#include "core/wire/state.pb.h"

namespace dogfs {

// Confirmations that wait for the log; what comes beyond is confirmed again by a later heartbeat.
inline constexpr size_t kMaxWaitingConfirmations = 100'000;

class ServerRegistry {
 public:
  // A node that has heard of no server for `deafness` was cut off itself, or stopped: the silence tells nothing of them.
  ServerRegistry(MonoTime now, Duration deafness) : deafness_(deafness), listening_since_(now), last_heard_(now) {}

  struct Server {
    uint64_t incarnation = 0;
    std::string address;
    std::string rack;
    wire::ServerState state = wire::LIVE;
    std::optional<MonoTime> last_heartbeat;
    uint64_t total_bytes = 0;
    uint64_t free_bytes = 0;
    uint64_t shards = 0;
    uint64_t active_transfers = 0;
    // Shards that were placed there since its last heartbeat, which does not speak of them yet.
    uint64_t placed_since = 0;
    uint64_t damaged_shards = 0;
    int64_t last_scrub_ms = -1;
    uint64_t foreign_files = 0;
    std::vector<wire::DiskInfo> disks;

    // What its disks have free that take shards: in all, and the most of one, which is as much as a shard can have.
    uint64_t open_bytes() const;
    uint64_t room() const;
    // Whether one of them has so much room that what it gets is not moved on soon.
    bool is_roomy() const;
  };

  // Takes the identity of a server from its row. A newer incarnation forgets what was heard of the one before.
  void learn(const wire::ChunkServerRow& row);

  // nullptr where it is not known.
  const Server* find(ServerId server) const;

  // Precondition: the server is known.
  void heard(const wire::HeartbeatRequest& heartbeat, MonoTime now);

  void placed_on(ServerId server);

  const std::map<ServerId, Server>& servers() const { return servers_; }

  // Servers that take shards and were heard of since `since`. Valid until this registry changes.
  std::vector<PlacementCandidate> candidates(MonoTime since) const;

  // Who was not heard of since then, or for a while, is away.
  MonoTime listening_since() const { return listening_since_; }
  // kUnavailable while it has listened for less than `silence_limit`: who was not heard of by then need not be away.
  Status check_listened(MonoTime now, Duration silence_limit) const;
  // Begins to listen anew if the node is deaf: for one that is elected in the middle of that.
  void listen(MonoTime now);
  // How many servers were heard of since it began to listen.
  size_t heard_of() const;

  // Notes that `shard` is gone from its server.
  void confirm(const GarbageShard& shard);
  bool is_confirmed(const GarbageShard& shard) const { return confirmed_.contains(shard); }
  bool has_confirmed() const { return !confirmed_.empty(); }
  // At most `limit` confirmations; they stay here until forget_confirmed().
  std::vector<GarbageShard> confirmed(size_t limit) const;
  void forget_confirmed(const std::vector<GarbageShard>& shards);

 private:
  Duration deafness_;
  MonoTime listening_since_;
  MonoTime last_heard_;
  std::map<ServerId, Server> servers_;
  std::set<GarbageShard> confirmed_;
};

}  // namespace dogfs
