// The layout of a shard file.
//
//   offset                     content
//        0                     header, 4096 bytes: which shard this is, in which geometry
//     4096                     the shard's data
//     4096 + data, rounded up  footer, a multiple of 4096 bytes: the CRC-32C of each 64 KiB of data, the length, the
//                              CRC-32C of the whole; its last 64 bytes are the trailer, so the end of a file tells
//                              whether it was sealed
//
// A file without a footer is a shard that was not sealed: nobody was told that it is durable. Everything starts and
// ends at a multiple of 4096, so that all of a file can be read and written with O_DIRECT; what lies between the data's
// end and the footer is zero. Header and footer name the shard and are checksummed, so that a misdirected write or a
// file under a wrong name is found. Numbers are little endian. All decoders are total: any bytes give a value or
// kCorrupt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/chunk/shard_key.h"
#include "core/ec/geometry.h"

namespace dogfs {

inline constexpr size_t kShardAlignment = 4096;
inline constexpr size_t kShardHeaderBytes = kShardAlignment;
inline constexpr uint64_t kMaxShardBytes = kMaxBlockBytes;
static_assert(kChecksumPieceBytes % kShardAlignment == 0);

// How many checksum pieces `length` bytes of data have.
constexpr uint64_t piece_count(uint64_t length) {
  return length / kChecksumPieceBytes + (length % kChecksumPieceBytes != 0);
}

// `length` rounded up to the alignment. Precondition: length <= kMaxShardBytes and a file's overhead.
constexpr uint64_t shard_align_up(uint64_t length) {
  return (length + kShardAlignment - 1) / kShardAlignment * kShardAlignment;
}

struct ShardHeader {
  std::string cluster_uuid;  // kUuidBytes
  ShardKey key;
  Geometry geometry;
  bool operator==(const ShardHeader&) const = default;
};

struct ShardFooter {
  ShardKey key;
  uint64_t length = 0;  // of the data
  uint32_t crc = 0;     // of the data
  std::vector<uint32_t> piece_crcs;
  bool operator==(const ShardFooter&) const = default;
};

// kShardHeaderBytes, aligned.
Bytes encode_shard_header(const ShardHeader& header);
Result<ShardHeader> decode_shard_header(std::span<const std::byte> bytes);

// Where a shard of `length` bytes has its footer, how long that is, and how long the file. Precondition: length <=
// kMaxShardBytes.
uint64_t shard_footer_offset(uint64_t length);
size_t shard_footer_bytes(uint64_t length);
uint64_t shard_file_bytes(uint64_t length);

// Precondition: out.size() == shard_footer_bytes(footer.length), one CRC a piece.
void encode_shard_footer(const ShardFooter& footer, std::span<std::byte> out);
// Also checks that the pieces' CRCs combine to the CRC of the whole.
Result<ShardFooter> decode_shard_footer(std::span<const std::byte> bytes);

// From the last kShardAlignment bytes of a file of `file_bytes`: the length of its data if it ends with a footer,
// nullopt if it does not. The footer itself is not verified yet.
std::optional<uint64_t> find_shard_footer(std::span<const std::byte> end, uint64_t file_bytes);

}  // namespace dogfs
