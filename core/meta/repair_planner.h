// Which shards to rebuild next, and where: a pure function of the map's rows and of what the leader knows of the
// servers at this moment.
//
// Blocks come in the order of their risk and are taken in that order, as far as the limits allow:
//   - so many repairs for the whole cluster, for each target, and for each server that is read from. A server at its
//     limit is busy, which is not missing: its shards count as intact, and a block that needs it waits (HDFS-16566).
//   - a server that fell silent may come back: what is unreachable is left alone for a grace, unless the block is at its
//     last spare
//   - when many servers vanish at once, they are more likely cut off than dead: only blocks without any spare are
//     repaired until it is clear that they are gone
//   - a block whose sources cannot be reached now waits: unknown is not absent.
//   - what a disk is to be rid of goes to servers with so much room that it is not moved on from there, or to another disk
//     of its own server
//   - what leaves a rack that has too many shards of its block goes to such servers too, in racks that have fewer.
// Each missing shard gets one target, and nothing else does (HDFS-14768). Of each that gets none, the plan says why.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/wire/command.pb.h"
#include "core/wire/common.pb.h"
#include "core/wire/state.pb.h"

namespace dogfs {

struct RepairLimits {
  uint32_t cluster = 256;
  uint32_t per_target = 8;
  uint32_t per_source = 32;
  milliseconds grace = std::chrono::minutes(5);
  // Many: more than this part of the servers, and at least two, died within `mass_wait`.
  uint32_t many_percent = 34;
  milliseconds mass_wait = std::chrono::minutes(15);
};

// A server as the planner sees it.
struct RepairServer {
  std::string rack;
  wire::ServerState state = wire::LIVE;
  int64_t state_since_ms = 0;  // log time
  bool reachable = false;      // heard of lately
  uint64_t free_bytes = 0;     // on all disks that take shards
  uint64_t room = free_bytes;  // the most on one of them
  bool roomy = true;           // may get what another disk is to be rid of
  uint32_t rebuilding = 0;     // repairs that it is the target of
  uint32_t reading = 0;        // repairs that may read from it
};

struct PlannedRepair {
  BlockId block;
  ShardIndex index;
  ServerId target;
  ServerId replaced_server;
  ShardGeneration replaced_generation;
  bool operator==(const PlannedRepair&) const = default;
};

// As the command that starts it says it. `move`: the shard is whole, and leaves its place.
wire::StartRepairs::Repair repair_to_wire(const PlannedRepair& repair, bool move);

struct RepairSituation {
  std::vector<wire::BlockRow> blocks;  // committed, by risk
  // Those that are whole, and of which one shard is marked LEAVING because its rack has too many.
  std::set<BlockId> crowded;
  std::map<ServerId, RepairServer> servers;
  // Targets that failed a repair of a block lately.
  std::map<BlockId, std::vector<ServerId>> failed_targets;
  uint32_t under_way = 0;
  int64_t now_ms = 0;  // log time
  uint64_t seed = 0;
};

// A shard that is to be rebuilt or moved.
struct RepairOutlook {
  size_t position = 0;  // of its block in the situation
  BlockId block;
  ServerId server;  // that has it, or had it
  // NONE: it is under way, or planned now.
  wire::RepairHindrance::Reason hindrance = wire::RepairHindrance::NONE;
};

struct RepairPlan {
  std::vector<PlannedRepair> repairs;
  std::vector<RepairOutlook> outlook;  // in the order of the blocks
};

// Changes nothing but its own copy.
RepairPlan plan_repairs(RepairSituation situation, const RepairLimits& limits);

// Whether so many servers died of late that this is taken for a fault of the network.
bool many_vanished(const std::map<ServerId, RepairServer>& servers, int64_t now_ms, const RepairLimits& limits);

// Whether a repair that is under way is to be given up: its time is over, or its target takes no shards any more and so
// could not publish it. One that waited for its time would keep its block short for as long.
bool is_fruitless(const wire::RepairReservation& reservation, const std::map<ServerId, RepairServer>& servers,
                  int64_t now_ms);

// The shards that a repair of `index` can read, least busy server first.
std::vector<wire::Shard> repair_sources(const wire::BlockRow& block, ShardIndex index,
                                        const std::map<ServerId, RepairServer>& servers);

}  // namespace dogfs
