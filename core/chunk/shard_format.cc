#include "core/chunk/shard_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/endian.h"
#include "core/chunk/piece_sums.h"

namespace dogfs {
namespace {

constexpr uint64_t kHeaderMagic = 0x4452414853464744;   // "DGFSHARD"
constexpr uint64_t kTrailerMagic = 0x4C41455353464744;  // "DGFSSEAL"
constexpr uint32_t kFormatVersion = 1;

// Fields of the header.
constexpr size_t kHeaderVersionAt = 8;
constexpr size_t kHeaderIndexAt = 12;
constexpr size_t kHeaderBlockAt = 16;
constexpr size_t kHeaderGenerationAt = 24;
constexpr size_t kHeaderDataShardsAt = 32;
constexpr size_t kHeaderParityShardsAt = 36;
constexpr size_t kHeaderCellAt = 40;
constexpr size_t kHeaderBlockBytesAt = 48;
constexpr size_t kHeaderUuidAt = 56;
constexpr size_t kHeaderCrcAt = kShardHeaderBytes - 4;
static_assert(kHeaderUuidAt + kUuidBytes <= kHeaderCrcAt);

// Fields of the trailer, the end of the footer.
constexpr size_t kTrailerBytes = 64;
constexpr size_t kTrailerVersionAt = 8;
constexpr size_t kTrailerIndexAt = 12;
constexpr size_t kTrailerBlockAt = 16;
constexpr size_t kTrailerGenerationAt = 24;
constexpr size_t kTrailerLengthAt = 32;
constexpr size_t kTrailerShardCrcAt = 40;
constexpr size_t kTrailerCrcAt = kTrailerBytes - 4;

Error corrupt(const char* what) {
  return Error(ErrorCode::kCorrupt, what);
}

}  // namespace

Bytes encode_shard_header(const ShardHeader& header) {
  DOGFS_CHECK(header.cluster_uuid.size() == kUuidBytes);
  MutableBuffer buffer(kShardHeaderBytes);
  const std::span<std::byte> out = buffer.span();
  std::memset(out.data(), 0, out.size());
  store_little<uint64_t>(out, 0, kHeaderMagic);
  store_little<uint32_t>(out, kHeaderVersionAt, kFormatVersion);
  store_little<uint32_t>(out, kHeaderIndexAt, header.key.index.value());
  store_little<uint64_t>(out, kHeaderBlockAt, header.key.block.value());
  store_little<uint64_t>(out, kHeaderGenerationAt, header.key.generation.value());
  store_little<uint32_t>(out, kHeaderDataShardsAt, header.geometry.data_shards);
  store_little<uint32_t>(out, kHeaderParityShardsAt, header.geometry.parity_shards);
  store_little<uint64_t>(out, kHeaderCellAt, header.geometry.cell_bytes);
  store_little<uint64_t>(out, kHeaderBlockBytesAt, header.geometry.block_bytes);
  std::memcpy(out.data() + kHeaderUuidAt, header.cluster_uuid.data(), kUuidBytes);
  store_little<uint32_t>(out, kHeaderCrcAt, crc32c(out.first(kHeaderCrcAt)));
  return buffer.freeze();
}

Result<ShardHeader> decode_shard_header(std::span<const std::byte> bytes) {
  if (bytes.size() != kShardHeaderBytes) return corrupt("shard header: size");
  if (load_little<uint64_t>(bytes, 0) != kHeaderMagic) return corrupt("shard header: magic");
  if (load_little<uint32_t>(bytes, kHeaderCrcAt) != crc32c(bytes.first(kHeaderCrcAt))) {
    return corrupt("shard header: checksum");
  }
  if (load_little<uint32_t>(bytes, kHeaderVersionAt) != kFormatVersion) return corrupt("shard header: version");
  ShardHeader header;
  header.key = ShardKey{BlockId(load_little<uint64_t>(bytes, kHeaderBlockAt)),
                        ShardIndex(load_little<uint32_t>(bytes, kHeaderIndexAt)),
                        ShardGeneration(load_little<uint64_t>(bytes, kHeaderGenerationAt))};
  header.geometry = Geometry{.data_shards = load_little<uint32_t>(bytes, kHeaderDataShardsAt),
                             .parity_shards = load_little<uint32_t>(bytes, kHeaderParityShardsAt),
                             .cell_bytes = load_little<uint64_t>(bytes, kHeaderCellAt),
                             .block_bytes = load_little<uint64_t>(bytes, kHeaderBlockBytesAt)};
  header.cluster_uuid.assign(reinterpret_cast<const char*>(bytes.data()) + kHeaderUuidAt, kUuidBytes);
  if (!validate(header.geometry).has_value()) return corrupt("shard header: geometry");
  return header;
}

uint64_t shard_footer_offset(uint64_t length) {
  DOGFS_CHECK(length <= kMaxShardBytes);
  return kShardHeaderBytes + shard_align_up(length);
}

size_t shard_footer_bytes(uint64_t length) {
  DOGFS_CHECK(length <= kMaxShardBytes);
  return shard_align_up(piece_count(length) * sizeof(uint32_t) + kTrailerBytes);
}

uint64_t shard_file_bytes(uint64_t length) {
  return shard_footer_offset(length) + shard_footer_bytes(length);
}

void encode_shard_footer(const ShardFooter& footer, std::span<std::byte> out) {
  DOGFS_CHECK(out.size() == shard_footer_bytes(footer.length));
  DOGFS_CHECK(footer.piece_crcs.size() == piece_count(footer.length));
  std::memset(out.data(), 0, out.size());
  size_t at = 0;
  for (const uint32_t crc : footer.piece_crcs) {
    store_little<uint32_t>(out, at, crc);
    at += sizeof(crc);
  }
  const std::span<std::byte> trailer = out.last(kTrailerBytes);
  store_little<uint64_t>(trailer, 0, kTrailerMagic);
  store_little<uint32_t>(trailer, kTrailerVersionAt, kFormatVersion);
  store_little<uint32_t>(trailer, kTrailerIndexAt, footer.key.index.value());
  store_little<uint64_t>(trailer, kTrailerBlockAt, footer.key.block.value());
  store_little<uint64_t>(trailer, kTrailerGenerationAt, footer.key.generation.value());
  store_little<uint64_t>(trailer, kTrailerLengthAt, footer.length);
  store_little<uint32_t>(trailer, kTrailerShardCrcAt, footer.crc);
  store_little<uint32_t>(trailer, kTrailerCrcAt, crc32c(out.first(out.size() - sizeof(uint32_t))));
}

Result<ShardFooter> decode_shard_footer(std::span<const std::byte> bytes) {
  if (bytes.size() < kTrailerBytes) return corrupt("shard footer: size");
  const std::span<const std::byte> trailer = bytes.last(kTrailerBytes);
  if (load_little<uint64_t>(trailer, 0) != kTrailerMagic) return corrupt("shard footer: magic");
  if (load_little<uint32_t>(trailer, kTrailerCrcAt) != crc32c(bytes.first(bytes.size() - sizeof(uint32_t)))) {
    return corrupt("shard footer: checksum");
  }
  if (load_little<uint32_t>(trailer, kTrailerVersionAt) != kFormatVersion) return corrupt("shard footer: version");
  ShardFooter footer;
  footer.key = ShardKey{BlockId(load_little<uint64_t>(trailer, kTrailerBlockAt)),
                        ShardIndex(load_little<uint32_t>(trailer, kTrailerIndexAt)),
                        ShardGeneration(load_little<uint64_t>(trailer, kTrailerGenerationAt))};
  footer.length = load_little<uint64_t>(trailer, kTrailerLengthAt);
  footer.crc = load_little<uint32_t>(trailer, kTrailerShardCrcAt);
  if (footer.length > kMaxShardBytes || shard_footer_bytes(footer.length) != bytes.size()) {
    return corrupt("shard footer: length");
  }
  footer.piece_crcs.resize(piece_count(footer.length));
  for (size_t i = 0; i < footer.piece_crcs.size(); ++i) {
    footer.piece_crcs[i] = load_little<uint32_t>(bytes, i * sizeof(uint32_t));
  }
  if (combine_piece_crcs(footer.piece_crcs, footer.length) != footer.crc) {
    return corrupt("shard footer: the pieces' checksums do not combine to the shard's");
  }
  return footer;
}

std::optional<uint64_t> find_shard_footer(std::span<const std::byte> end, uint64_t file_bytes) {
  if (end.size() < kTrailerBytes) return std::nullopt;
  const std::span<const std::byte> trailer = end.last(kTrailerBytes);
  if (load_little<uint64_t>(trailer, 0) != kTrailerMagic) return std::nullopt;
  const auto length = load_little<uint64_t>(trailer, kTrailerLengthAt);
  if (length > kMaxShardBytes || shard_file_bytes(length) != file_bytes) return std::nullopt;
  return length;
}

}  // namespace dogfs
