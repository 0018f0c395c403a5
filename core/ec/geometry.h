// Stripe geometry: where each byte of a block lies in its shards. Pure arithmetic, all of it 64-bit.
//
// A block's bytes are cut into cells that are dealt round-robin to k data shards; a row of k cells is a stripe, and
// each stripe yields m parity cells:
//
//            shard 0   shard 1   shard 2 | parity 3  parity 4          k = 3, m = 2
//   stripe 0  cell 0    cell 1    cell 2 |  p(0)      q(0)
//   stripe 1  cell 3    cell 4 (short)   |  p(1)      q(1)
//
// A shard is its column, one file. A block of length L has d = min(k, ceil(L / cell)) data shards; columns d..k-1 are
// zeros, always intact, and never stored, sent or placed. Within a stripe a column that ends before column 0 is
// continued by zeros for the arithmetic alone, so parity is exactly as long as shard 0. Decoding works byte by byte:
// byte x of any shard follows from byte x of any d stored others.
//
// (The striped layout is that of HDFS, HDFS-7285; the fixed geometry of a block is that of QFS.)
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/result.h"

namespace dogfs {

// What a policy prescribes and each block keeps. The generator matrix is always Jerasure's Vandermonde for (k, m).
struct Geometry {
  uint32_t data_shards = 0;    // k
  uint32_t parity_shards = 0;  // m
  uint64_t cell_bytes = 0;
  uint64_t block_bytes = 0;  // most user data of a block

  uint32_t total_shards() const { return data_shards + parity_shards; }
  uint64_t stripe_bytes() const { return data_shards * cell_bytes; }
  uint64_t shard_bytes() const { return block_bytes / data_shards; }  // of a full block
  bool operator==(const Geometry&) const = default;
};

// RS(6,3), cells of 256 KiB, and the most whole stripes that fit 64 MiB.
inline constexpr Geometry kDefaultGeometry{
    .data_shards = 6,
    .parity_shards = 3,
    .cell_bytes = 256 * kKiB,
    .block_bytes = 64 * kMiB / (6 * 256 * kKiB) * (6 * 256 * kKiB),
};

// kInvalidArgument, saying which rule is broken, unless:
//   - 1 <= k <= kMaxDataShards and 1 <= m <= kMaxParityShards
//   - the cell divides kChecksumPieceBytes or is a multiple of it, so that no checksum piece ends inside one cell and
//     begins inside another; kMinCellBytes <= cell <= kMaxCellBytes
//   - the block is a whole number of stripes, at least one, and at most kMaxBlockBytes.
// Everything else here takes a valid geometry, except that it bears any block_bytes.
Status validate(const Geometry& geometry);

// Bytes [offset, offset + length) of a block.
struct BlockRange {
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t end() const { return offset + length; }
  bool operator==(const BlockRange&) const = default;
};

// Bytes [offset, offset + length) of one shard.
struct ShardRange {
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t end() const { return offset + length; }
  bool operator==(const ShardRange&) const = default;
};

// A stretch of a block that lies in one cell, in both coordinates.
struct CellPiece {
  ShardIndex index;
  uint64_t shard_offset = 0;
  uint64_t block_offset = 0;
  uint64_t length = 0;
  bool operator==(const CellPiece&) const = default;
};

// A block of a given length in a geometry.
class BlockLayout {
 public:
  // Precondition: length <= geometry.block_bytes.
  BlockLayout(const Geometry& geometry, uint64_t length);

  const Geometry& geometry() const { return geometry_; }
  uint64_t length() const { return length_; }
  uint64_t stripes() const;

  // d: how many data shards exist, which is also how many stored shards decode the block.
  uint32_t stored_data_shards() const { return stored_data_; }
  // d + m, in ascending order; none for an empty block.
  uint32_t stored_shards() const;
  std::vector<ShardIndex> stored_indices() const;
  bool is_stored(ShardIndex index) const;
  bool is_parity(ShardIndex index) const { return index.value() >= geometry_.data_shards; }

  // Bytes of shard `index`: zero for one that is not stored. Precondition: index < k + m.
  uint64_t shard_length(ShardIndex index) const;
  // Bytes of shard `index` in one stripe: a full cell but in the last stripe, where it may be shorter, or zero.
  uint64_t cell_length(uint64_t stripe, ShardIndex index) const;

  // The pieces of the block that `range` touches, in the order of the block. Precondition: range lies in the block.
  std::vector<CellPiece> pieces(BlockRange range) const;
  // The one stretch of data shard `index` that holds all its bytes of `range`; length zero if it has none. For a
  // parity shard: the union of the data shards' stretches, which is what any decoding of the range needs of it.
  ShardRange shard_range(BlockRange range, ShardIndex index) const;
  // Where byte `shard_offset` of data shard `index` lies in the block. Precondition: it is within the shard.
  uint64_t block_offset(ShardIndex index, uint64_t shard_offset) const;

 private:
  Geometry geometry_;
  uint64_t length_;
  uint32_t stored_data_;
};

}  // namespace dogfs
