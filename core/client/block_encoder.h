// Turns the cells of a block into its shards, a batch of stripes at a time: parity and checksums in one pass over
// memory that is still warm. A plain function, run in Compute jobs.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/bytes.h"
#include "core/ec/codec.h"
#include "core/ec/geometry.h"

namespace dogfs {

// What a batch of stripes adds to one shard.
struct ShardPart {
  BytesChain bytes;
  // Of each 64 KiB of `bytes`; the last may be shorter.
  std::vector<uint32_t> piece_crc32c;
};

// How many stripes are encoded at once: so many that each shard gets about 1 MiB, and whole checksum pieces.
uint64_t stripes_per_batch(const Geometry& geometry);

// The parts of shards 0..k+m-1, data shards as slices of `cells`. Preconditions: `cells` are row by row, from the start
// of a stripe; each is full, but for the last one of the block.
std::vector<ShardPart> encode_stripes(const Geometry& geometry, const Codec& codec, const std::vector<Bytes>& cells);

}  // namespace dogfs
