// Reads stretches of shards from other chunk servers and believes nothing: what a server says of the shard must be what
// Raft says of it, and every byte is held against the checksum of its piece.
#pragma once

#include "core/base/bytes.h"
#include "core/chunk/shard_key.h"
#include "core/ec/geometry.h"
#include "core/env/env.h"
#include "core/wire/chunk.pb.h"
#include "core/wire/common.pb.h"

namespace dogfs {

// kChecksumMismatch for damaged bytes, kCorrupt for a shard that is not the one that was committed, kProtocolError for
// another shape than was asked for. For Compute jobs.
Status check_fetched(const wire::Shard& shard, ShardRange range, const wire::ReadShardReply& reply,
                     const BytesChain& payload);

// The bytes of `range`, which begins at a piece and ends at one or at the shard's end. Fails as the call does, and as
// check_fetched.
Task<Result<Bytes>> fetch_shard(Env& env, BlockId block, wire::Shard shard, ShardRange range, MonoTime deadline);

}  // namespace dogfs
