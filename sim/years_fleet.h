// The chunk servers of a run over years, as the metadata sees them: they register, say with heartbeats what they have
// rebuilt, deleted and found damaged, and do as the replies say. Their shards have no bytes: each is there, spoilt, or
// gone with its disk.
//
// A slot is a place in a rack with one server at a time; when that is lost for good, another takes its place.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/chunk/shard_key.h"
#include "core/wire/meta.pb.h"
#include "sim/executor.h"
#include "sim/years_ledger.h"
#include "sim/years_meta.h"
#include "sim/years_options.h"

namespace dogfs::sim {

using SlotIndex = uint32_t;

struct HeldShard {
  uint32_t disk = 0;
  bool spoilt = false;
};

struct YearsServer {
  ServerId id;  // none until it has registered for the first time
  uint64_t incarnation = 0;
  uint32_t replacement = 0;  // which server of its slot this is
  uint32_t life = 0;         // counts starts of its process, over all servers of the slot
  bool exists = true;        // false: lost, and not replaced yet
  bool up = true;
  bool registered = false;  // in this life
  std::map<ShardKey, HeldShard> shards;
  // Known to be damaged or gone here, until the metadata has no use for them any more; and those to be said next.
  std::set<ShardKey> damaged;
  std::set<ShardKey> unsaid;
  std::vector<ShardKey> deleted;     // to be confirmed
  std::vector<ShardKey> to_confirm;  // that they are there, as far as is known
  std::map<ShardKey, wire::RepairOutcome> outcomes;
};

struct FleetCounts {
  uint64_t disks_lost = 0;
  uint64_t servers_lost = 0;
  uint64_t outages = 0;
  uint64_t spoilt = 0;
};

class YearsFleet {
 public:
  // Who carries orders of repair out (years_rebuilds.h), drops one whose shard is to be deleted, and forgets all of a
  // server when its process has ended.
  struct Workers {
    std::function<void(SlotIndex, const wire::RepairOrder&)> rebuild;
    std::function<void(SlotIndex, const ShardKey&)> drop;
    std::function<void(SlotIndex)> forget;
  };
  // What is passed must outlive the fleet.
  YearsFleet(LoneMeta& meta, const YearsOptions& options, StreamKey key);
  void employ(Workers workers) { workers_ = std::move(workers); }
  void keep_books(YearsLedger& ledger) { ledger_ = &ledger; }

  // Every server that is up registers, or sends its heartbeat. What the messages say is what is so now.
  void beat();
  // Every server that is up says that it is, and nothing else: as it did all along while nothing was simulated.
  void greet();
  // Whether all that exist are up and registered.
  bool is_complete() const;
  // Whether no server has anything to tell or is something else than the metadata thinks.
  bool is_settled() const;

  // --- What happens to it ---
  void stop(SlotIndex slot);
  // No effect on one that is lost.
  void start(SlotIndex slot);
  // With all it has. No effect on one that is lost already.
  void lose_server(SlotIndex slot);
  void replace_server(SlotIndex slot);
  // An empty one takes its place.
  void lose_disk(SlotIndex slot, uint32_t disk);
  // The bytes of one of its shards, drawn, change unnoticed. None if it has none.
  std::optional<ShardKey> spoil_one(SlotIndex slot);
  // Its server has read the shard, by scrubbing or for a repair. No effect unless it is there, and spoilt.
  void find_damage(SlotIndex slot, const ShardKey& key);

  // --- Its shards ---
  SlotIndex slots() const { return static_cast<SlotIndex>(servers_.size()); }
  YearsServer& server(SlotIndex slot) { return servers_.at(slot); }
  const YearsServer& server(SlotIndex slot) const { return servers_.at(slot); }
  // Nullopt for a server that is gone.
  std::optional<SlotIndex> slot_of(ServerId server) const;
  std::string rack_of(SlotIndex slot) const;
  void put(SlotIndex slot, const ShardKey& key);
  // Null where it is not, whether its server is up or not.
  const HeldShard* find(ServerId server, const ShardKey& key) const;
  bool is_whole(const ListedShard& shard) const;

  const FleetCounts& counts() const { return counts_; }
  // What must never happen, and did.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  void send_registration(SlotIndex slot);
  void take_registration(SlotIndex slot, const Reply& reply);
  void say_all(SlotIndex slot);
  void send_heartbeat(SlotIndex slot, const wire::HeartbeatRequest& message);
  void take_heartbeat_reply(SlotIndex slot, const Reply& reply);
  wire::HeartbeatRequest make_heartbeat(const YearsServer& server) const;
  void remove(SlotIndex slot, const ShardKey& key);
  void remove_retired();

  LoneMeta& meta_;
  const YearsOptions& options_;
  StreamKey key_;
  RandomStream draws_;
  Workers workers_;
  YearsLedger* ledger_ = nullptr;
  std::vector<YearsServer> servers_;
  std::map<ServerId, SlotIndex> slots_;
  std::set<ServerId> retired_;  // lost, and not yet taken off the metadata's list
  std::string cluster_uuid_;
  uint64_t beats_ = 0;
  FleetCounts counts_;
  std::vector<std::string> problems_;
};

}  // namespace dogfs::sim
