// Repair as the log knows it: a right to publish one shard anew is reserved, then used or given up.
//
//   StartRepairs    reserves (block, index, target, new generation) until a log time. Nothing else changes: the block is
//                   read from, and repaired otherwise, as before.
//   FinishRepair    the target has sealed the shard. A compare-and-set: the reservation must be there, the index must
//                   still be as the planner saw it and in need, the target must still be one that takes shards, and
//                   length and checksum must be those of the commit. Then the new shard is listed in place of the old,
//                   which becomes garbage, due only after a grace. Otherwise the new shard is garbage.
//   CancelRepairs   reservations that expired, or whose targets failed.
//
// A block's shards are on different servers, and reservations count for that. The one exception is the shard that is
// rebuilt on its own server, under another generation: one that is damaged, because in a cluster of exactly d + m servers
// there is no other, and one that is moved, to another of the server's disks.
#pragma once

#include <vector>

#include "core/base/result.h"
#include "core/meta/apply_context.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

inline constexpr int kMaxRepairsPerCommand = 1'000;
// The longest that a reservation is valid, by log time; longer ones are cut to it.
inline constexpr int64_t kMaxReservationMs = 86'400'000;
// How long a shard that was replaced stays. Its successor was sealed before that, but who knows for how long.
inline constexpr int64_t kReplacedGraceMs = 60'000;

// Whether `target` may get the shard `index` of `block`, by the block's row alone. `move`: of a whole shard.
bool may_host(const wire::BlockRow& block, uint32_t index, uint64_t target, bool move = false);

// Whether the shard `index` is being rebuilt, or moved.
bool is_reserved(const wire::BlockRow& block, uint32_t index);

// The shard of `index`, or nullptr: the row of a committed block has each stored index once.
const wire::Shard* find_shard(const wire::BlockRow& block, uint32_t index);

// Lists another shard in place of `shard`, the listed one of its index. What was there becomes garbage, after the grace.
struct Replacement {
  uint64_t server = 0;
  uint64_t generation = 0;
  wire::Shard::Condition condition = wire::Shard::INTACT;
};
void replace_shard(ApplyContext& context, BlockId block, wire::Shard& shard, const Replacement& replacement);

// kInvalidArgument for too many.
Result<wire::StartRepairsReply> start_repairs(ApplyContext& context, const wire::StartRepairs& operation);
Result<wire::FinishRepairReply> finish_repair(ApplyContext& context, const wire::FinishRepair& operation);
Status cancel_repairs(ApplyContext& context, const wire::CancelRepairs& operation);

}  // namespace dogfs
