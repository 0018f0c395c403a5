#include "core/client/block_content.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/limits.h"

namespace dogfs {

BlockContent::BlockContent(Geometry geometry, std::shared_ptr<const Codec> codec)
    : geometry_(geometry), codec_(std::move(codec)), shards_(geometry.total_shards()) {}

void BlockContent::add(Bytes cell) {
  DOGFS_CHECK(!finished_ && !cell.empty());
  DOGFS_CHECK(cell.size() <= geometry_.cell_bytes && length_ + cell.size() <= geometry_.block_bytes);
  length_ += cell.size();
  if (cell.size() < geometry_.cell_bytes) finished_ = true;
  unencoded_.push_back(std::move(cell));
}

bool BlockContent::has_work() const {
  if (unencoded_.empty() || released_) return false;
  return finished_ || unencoded_.size() >= stripes_per_batch(geometry_) * geometry_.data_shards;
}

Task<void> BlockContent::encode(Compute& compute) {
  DOGFS_CHECK(has_work() && !encoding_);
  const size_t batch = stripes_per_batch(geometry_) * geometry_.data_shards;
  const auto end = unencoded_.begin() + static_cast<ptrdiff_t>(std::min(batch, unencoded_.size()));
  const std::vector<Bytes> cells(unencoded_.begin(), end);
  unencoded_.erase(unencoded_.begin(), end);
  encoding_ = true;
  std::vector<ShardPart> parts;
  const std::shared_ptr<const Codec> codec = codec_;
  co_await compute.run(
      [&parts, &cells, &codec, geometry = geometry_] { parts = encode_stripes(geometry, *codec, cells); });
  encoding_ = false;
  if (!released_) take(std::move(parts));
}

void BlockContent::take(std::vector<ShardPart> parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    ShardContent& shard = shards_[i];
    uint64_t left = parts[i].bytes.size();
    for (const uint32_t crc : parts[i].piece_crc32c) {
      const uint64_t length = std::min<uint64_t>(left, kChecksumPieceBytes);
      shard.crc32c = crc32c_combine(shard.crc32c, crc, length);
      shard.piece_crc32c.push_back(crc);
      left -= length;
    }
    for (const Bytes& piece : parts[i].bytes.pieces()) shard.bytes.append(piece);
  }
}

void BlockContent::release() {
  released_ = true;
  unencoded_.clear();
  shards_.assign(shards_.size(), ShardContent());
}

}  // namespace dogfs
