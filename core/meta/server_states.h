// What a chunk server is to the cluster (wire::ServerState), and how its shards follow.
//
// Declaring a server dead changes one row, whatever it holds. The conditions of its shards, and with them the risk of
// their blocks, follow in bounded steps: each passes over some of the server's blocks in the order of their ids and
// moves a cursor, until a step finds no more. A state that changes again meanwhile starts the sweep anew, and what a
// sweep has not reached yet gets the new condition too when it is committed or repaired (condition_of).
//
// What the operator wants of a server and whether it is dead are two things: a server that dies while it is drained is
// drained on when it comes back.
#pragma once

#include <map>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

inline constexpr uint32_t kMaxSweptRows = 10'000;
inline constexpr int64_t kMaxMaintenanceMs = 30LL * 24 * 3600 * 1000;

// Puts `state` into `row`, and has the server's shards follow. The caller writes the row.
void enter_state(ApplyContext& context, wire::ChunkServerRow& row, wire::ServerState state);

// What the leader has found by rows that it read before: LIVE ends a maintenance too, but only one that is over.
// kConflict when the server has registered again since, or is away by intent; kNotFound for one that never registered;
// kInvalidArgument for another state than DEAD or LIVE, and for a server that was removed.
Status set_server_state(ApplyContext& context, const wire::SetServerState& operation);

// kNotFound for a server that never registered; kConflict for one that is to be REMOVED and has shards, or may get some
// yet (of blocks that are being written, HDFS-17658, or repaired), and for MAINTENANCE of one that is dead;
// kInvalidArgument for a wish that is none, a bad time, and for a server that was removed: that is for ever.
Status administer_server(ApplyContext& context, const wire::AdministerServer& operation);

// The blocks of which a server may yet get a shard, and has none listed.
struct BlocksUnderWay {
  std::vector<BlockId> blocks;
  uint64_t open = 0;  // of these, pending ones of files that are being written; the others are being repaired
};

// By server. One is empty that has no shards and is not among these. Reads a row for each lease, and for each block that is
// being written or repaired.
Result<std::map<ServerId, BlocksUnderWay>> blocks_under_way(const MetaTables& tables);

// kInvalidArgument for 0 rows or above kMaxSweptRows.
Status sweep_server(ApplyContext& context, const wire::SweepServer& operation);

}  // namespace dogfs
