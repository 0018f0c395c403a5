#include "core/ec/geometry.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/check.h"

namespace dogfs {
namespace {

uint64_t divide_up(uint64_t dividend, uint64_t divisor) {
  return dividend / divisor + (dividend % divisor != 0);
}

Error invalid(std::string detail) {
  return Error(ErrorCode::kInvalidArgument, "erasure coding: " + std::move(detail));
}

Status validate_cell(uint64_t cell) {
  if (cell < kMinCellBytes || cell > kMaxCellBytes) {
    return invalid(fmt::format("a cell of {} bytes; {} to {} are allowed", cell, kMinCellBytes, kMaxCellBytes));
  }
  if (kChecksumPieceBytes % cell != 0 && cell % kChecksumPieceBytes != 0) {
    return invalid(
        fmt::format("a cell of {} bytes neither divides {} nor is a multiple of it", cell, kChecksumPieceBytes));
  }
  return ok();
}

// How many bytes of column `index` come before byte `offset` of the block.
uint64_t column_bytes_before(const Geometry& geometry, uint64_t offset, uint32_t index) {
  const uint64_t in_stripe = offset % geometry.stripe_bytes();
  const uint64_t column_start = index * geometry.cell_bytes;
  const uint64_t in_cell = in_stripe <= column_start ? 0 : std::min(in_stripe - column_start, geometry.cell_bytes);
  return offset / geometry.stripe_bytes() * geometry.cell_bytes + in_cell;
}

}  // namespace

Status validate(const Geometry& geometry) {
  if (geometry.data_shards < 1 || geometry.data_shards > kMaxDataShards) {
    return invalid(fmt::format("{} data shards; 1 to {} are allowed", geometry.data_shards, kMaxDataShards));
  }
  if (geometry.parity_shards < 1 || geometry.parity_shards > kMaxParityShards) {
    return invalid(fmt::format("{} parity shards; 1 to {} are allowed", geometry.parity_shards, kMaxParityShards));
  }
  DOGFS_TRYV(validate_cell(geometry.cell_bytes));
  if (geometry.block_bytes == 0 || geometry.block_bytes > kMaxBlockBytes) {
    return invalid(fmt::format("a block of {} bytes; 1 to {} are allowed", geometry.block_bytes, kMaxBlockBytes));
  }
  if (geometry.block_bytes % geometry.stripe_bytes() != 0) {
    return invalid(fmt::format("a block of {} bytes is no multiple of the stripe of {}", geometry.block_bytes,
                               geometry.stripe_bytes()));
  }
  return ok();
}

BlockLayout::BlockLayout(const Geometry& geometry, uint64_t length)
    : geometry_(geometry),
      length_(length),
      stored_data_(
          static_cast<uint32_t>(std::min<uint64_t>(geometry.data_shards, divide_up(length, geometry.cell_bytes)))) {
  DOGFS_CHECK(length <= geometry.block_bytes);
}

uint64_t BlockLayout::stripes() const {
  return divide_up(length_, geometry_.stripe_bytes());
}

uint32_t BlockLayout::stored_shards() const {
  return length_ == 0 ? 0 : stored_data_ + geometry_.parity_shards;
}

std::vector<ShardIndex> BlockLayout::stored_indices() const {
  std::vector<ShardIndex> indices;
  for (uint32_t index = 0; index < geometry_.total_shards(); ++index) {
    if (is_stored(ShardIndex(index))) indices.push_back(ShardIndex(index));
  }
  return indices;
}

bool BlockLayout::is_stored(ShardIndex index) const {
  if (length_ == 0 || index.value() >= geometry_.total_shards()) return false;
  return is_parity(index) || index.value() < stored_data_;
}

uint64_t BlockLayout::shard_length(ShardIndex index) const {
  DOGFS_CHECK(index.value() < geometry_.total_shards());
  return column_bytes_before(geometry_, length_, is_parity(index) ? 0 : index.value());
}

uint64_t BlockLayout::cell_length(uint64_t stripe, ShardIndex index) const {
  DOGFS_CHECK(stripe < stripes());
  return std::min(shard_length(index) - std::min(shard_length(index), stripe * geometry_.cell_bytes),
                  geometry_.cell_bytes);
}

std::vector<CellPiece> BlockLayout::pieces(BlockRange range) const {
  DOGFS_CHECK(range.offset <= length_ && range.length <= length_ - range.offset);
  std::vector<CellPiece> out;
  const uint64_t cell = geometry_.cell_bytes;
  for (uint64_t at = range.offset; at < range.end();) {
    const uint64_t number = at / cell;
    const uint64_t take = std::min(cell - at % cell, range.end() - at);
    out.push_back(CellPiece{.index = ShardIndex(static_cast<uint32_t>(number % geometry_.data_shards)),
                            .shard_offset = number / geometry_.data_shards * cell + at % cell,
                            .block_offset = at,
                            .length = take});
    at += take;
  }
  return out;
}

ShardRange BlockLayout::shard_range(BlockRange range, ShardIndex index) const {
  DOGFS_CHECK(range.offset <= length_ && range.length <= length_ - range.offset);
  DOGFS_CHECK(index.value() < geometry_.total_shards());
  if (!is_parity(index)) {
    const uint64_t begin = column_bytes_before(geometry_, range.offset, index.value());
    return ShardRange{begin, column_bytes_before(geometry_, range.end(), index.value()) - begin};
  }
  ShardRange all;
  for (uint32_t data = 0; data < stored_data_; ++data) {
    const ShardRange one = shard_range(range, ShardIndex(data));
    if (one.length == 0) continue;
    const uint64_t begin = all.length == 0 ? one.offset : std::min(all.offset, one.offset);
    all = ShardRange{begin, std::max(all.end(), one.end()) - begin};
  }
  return all;
}

uint64_t BlockLayout::block_offset(ShardIndex index, uint64_t shard_offset) const {
  DOGFS_CHECK(!is_parity(index) && shard_offset < shard_length(index));
  return shard_offset / geometry_.cell_bytes * geometry_.stripe_bytes() + index.value() * geometry_.cell_bytes +
         shard_offset % geometry_.cell_bytes;
}

}  // namespace dogfs
