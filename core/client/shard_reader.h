// Reads stretches of one shard and believes nothing: every byte is held against the checksum of its piece, and what
// the server says of the shard against what Raft says of it. The first read of a shard also fetches the checksums of all
// its pieces (4 bytes for each 64 KiB): they must combine to the checksum that Raft holds, and every piece is held
// against them from then on. So even a read of one piece is checked end to end: a server whose footer is consistent but
// belongs to other bytes is found out. Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/client/context.h"
#include "core/client/shard.h"
#include "core/ec/geometry.h"
#include "core/wire/chunk.pb.h"

namespace dogfs {

// The checksums of all pieces of one shard, which combine to the shard's own. Null: not known.
using PieceSums = std::shared_ptr<const std::vector<uint32_t>>;

// Holds what a server says are the checksums of all pieces against the shard's own. kProtocolError when they are not as
// many as there are pieces, kChecksumMismatch when they do not combine to it.
Result<PieceSums> check_sums(const Shard& shard, std::span<const uint32_t> checksums);

// Checks a reply's shape and what it says of the shard, and its bytes against `sums`. For Compute jobs.
// kChecksumMismatch for damaged bytes, kCorrupt for a shard that is not the one Raft knows, kProtocolError otherwise.
Status check_read(const Shard& shard, ShardRange range, const wire::ReadShardReply& reply, const BytesChain& payload,
                  std::span<const uint32_t> sums);

// What a read of a shard gave.
struct ShardBytes {
  BytesChain bytes;  // exactly the range
  PieceSums sums;
};

struct ShardReadOptions {
  PieceSums sums;           // fetched where they are null
  bool background = false;  // the server may hold it back while others are at work: nobody waits for it
  bool from_disk = false;   // what the disk has is to be known, not what was read from it before
};

// Reads `range` from the server of `shard`, in requests of about 1 MiB. Precondition: the range is not empty and lies
// in the shard, which is stored. `context` must outlive the call.
Task<Result<ShardBytes>> read_shard(ClientContext& context, BlockId block, Shard shard, ShardRange range,
                                    ShardReadOptions options);

}  // namespace dogfs
