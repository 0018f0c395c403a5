// What a chunk server is to the cluster (wire::ServerState), and how its shards follow.
//
// Declaring a server dead changes one row, whatever it holds. The conditions of its shards, and with them the risk of
// their blocks, follow in bounded steps: each passes over some of the server's blocks in the order of their ids and
// moves a cursor, until a step finds no more. A state that changes again meanwhile starts the sweep anew, and what a
// sweep has not reached yet gets the new condition too when it is committed or repaired (condition_of).
#pragma once

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

inline constexpr uint32_t kMaxSweptRows = 10'000;

// Puts `state` into `row`, and has the server's shards follow. The caller writes the row.
void enter_state(ApplyContext& context, wire::ChunkServerRow& row, wire::ServerState state);

// kConflict when the server has registered again since; kNotFound for one that never did; kInvalidArgument for a
// change that cannot be: REMOVED is for ever, and only for a server that has no shards any more.
Status set_server_state(ApplyContext& context, const wire::SetServerState& operation);

// kInvalidArgument for 0 rows or above kMaxSweptRows.
Status sweep_server(ApplyContext& context, const wire::SweepServer& operation);

}  // namespace dogfs
