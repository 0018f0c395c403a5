#include "core/client/block_encoder.h"

#include <algorithm>
#include <span>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/limits.h"

namespace dogfs {
namespace {

constexpr uint64_t kBatchShardBytes = 1 * kMiB;

// The CRC of each 64 KiB of `bytes`.
std::vector<uint32_t> piece_checksums(const BytesChain& bytes) {
  std::vector<uint32_t> out;
  out.reserve(bytes.size() / kChecksumPieceBytes + 1);
  uint32_t crc = 0;
  size_t in_piece = 0;
  for (const Bytes& part : bytes.pieces()) {
    std::span<const std::byte> rest = part.span();
    while (!rest.empty()) {
      const size_t take = std::min(rest.size(), kChecksumPieceBytes - in_piece);
      crc = crc32c(rest.first(take), crc);
      rest = rest.subspan(take);
      in_piece += take;
      if (in_piece < kChecksumPieceBytes) continue;
      out.push_back(crc);
      crc = 0;
      in_piece = 0;
    }
  }
  if (in_piece > 0) out.push_back(crc);
  return out;
}

// Parity shard by parity shard, for all stripes of `cells`.
std::vector<Bytes> encode_parity(const Geometry& geometry, const Codec& codec, const std::vector<Bytes>& cells) {
  const size_t k = geometry.data_shards;
  size_t length = 0;
  for (size_t first = 0; first < cells.size(); first += k) length += cells[first].size();
  std::vector<MutableBuffer> buffers;
  for (uint32_t i = 0; i < geometry.parity_shards; ++i) buffers.emplace_back(length);

  size_t at = 0;
  for (size_t first = 0; first < cells.size(); first += k) {
    const size_t stripe_length = cells[first].size();
    std::vector<std::span<const std::byte>> data;
    for (size_t i = first; i < std::min(first + k, cells.size()); ++i) data.push_back(cells[i].span());
    std::vector<std::span<std::byte>> parity;
    for (MutableBuffer& buffer : buffers) parity.push_back(buffer.span().subspan(at, stripe_length));
    codec.encode(data, parity);
    at += stripe_length;
  }
  std::vector<Bytes> out;
  for (MutableBuffer& buffer : buffers) out.push_back(buffer.freeze());
  return out;
}

}  // namespace

uint64_t stripes_per_batch(const Geometry& geometry) {
  // A cell divides the checksum piece or is a multiple of it, so every batch but the last ends with a piece.
  return std::max<uint64_t>(1, kBatchShardBytes / geometry.cell_bytes);
}

std::vector<ShardPart> encode_stripes(const Geometry& geometry, const Codec& codec, const std::vector<Bytes>& cells) {
  std::vector<ShardPart> parts(geometry.total_shards());
  for (size_t i = 0; i < cells.size(); ++i) parts[i % geometry.data_shards].bytes.append(cells[i]);
  std::vector<Bytes> parity = encode_parity(geometry, codec, cells);
  for (size_t i = 0; i < parity.size(); ++i) parts[geometry.data_shards + i].bytes.append(std::move(parity[i]));
  for (ShardPart& part : parts) part.piece_crc32c = piece_checksums(part.bytes);
  return parts;
}

}  // namespace dogfs
