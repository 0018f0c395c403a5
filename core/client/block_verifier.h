// Reads every stored shard of a block to its end, and holds each against the length and checksum that Raft has for it.
//
// A reader of files stops at the first d shards that decode; whether the spares are worth anything shows only when they
// are needed. Here each is read by itself, so that what is damaged is found while there are others to rebuild it from.
//
// Three things that can be wrong are kept apart, since different people have to act on them. Damage is said only of
// what was seen twice, as the scrubber does it: a disk may read the wrong place, for once. A shard is missing when its
// server says so and the metadata, asked again, still lists it there. Everything else (nobody answers, a disk does not
// read) says nothing of the bytes: the shard is unreachable. Belongs to the node's executor.
#pragma once

#include "core/client/client.h"
#include "core/client/context.h"

namespace dogfs {

// As Client::verify_block. `context` must outlive the call.
Task<Result<std::vector<ShardFinding>>> verify_block(ClientContext& context, VerifyRequest request);

}  // namespace dogfs
