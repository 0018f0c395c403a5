// Reads stretches of one shard and believes nothing: every byte is held against the checksum of its piece, and what
// the server says of the shard against what Raft says of it. Once all pieces of a shard have been seen, their checksums
// must combine to the shard's own: a server whose footer is consistent but belongs to other bytes is found out.
// Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/client/context.h"
#include "core/client/shard.h"
#include "core/ec/geometry.h"
#include "core/wire/chunk.pb.h"

namespace dogfs {

// The piece checksums of one shard that were seen so far.
class PieceLedger {
 public:
  // Takes the checksums of the pieces from number `first` on. kChecksumMismatch when one is not what it was before, or
  // when all are known and do not combine to `shard`'s.
  Status record(const Shard& shard, uint64_t first, const std::vector<uint32_t>& checksums);

 private:
  std::vector<std::optional<uint32_t>> pieces_;
  uint64_t known_ = 0;
};

// Checks a reply's shape and what it says of the shard, and its bytes against `piece_crc32c`. For Compute jobs.
// kChecksumMismatch for damaged bytes, kCorrupt for a shard that is not the one Raft knows, kProtocolError otherwise.
Status check_read(const Shard& shard, ShardRange range, const wire::ReadShardReply& reply, const BytesChain& payload);

// What a read of a shard gave.
struct ShardBytes {
  BytesChain bytes;  // exactly the range
  uint64_t first_piece = 0;
  std::vector<uint32_t> piece_crc32c;  // of the pieces that the range touches
};

// Reads `range` from the server of `shard`, in requests of about 1 MiB. Precondition: the range is not empty and lies
// in the shard, which is stored. `context` must outlive the call.
Task<Result<ShardBytes>> read_shard(ClientContext& context, BlockId block, Shard shard, ShardRange range);

}  // namespace dogfs
