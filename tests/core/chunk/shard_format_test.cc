#include "core/chunk/shard_format.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>

#include "core/base/checksum.h"
#include "core/base/hash.h"
#include "core/base/limits.h"
#include "core/chunk/piece_sums.h"

namespace dogfs {
namespace {

ShardKey key(uint64_t block, uint32_t index, uint64_t generation) {
  return ShardKey{BlockId(block), ShardIndex(index), ShardGeneration(generation)};
}

ShardHeader some_header() {
  return ShardHeader{.cluster_uuid = "0123456789abcdef", .key = key(18, 3, 7), .geometry = kDefaultGeometry};
}

ShardFooter footer_of_length(uint64_t length) {
  ShardFooter footer{.key = key(18, 3, 7), .length = length, .crc = 0, .piece_crcs = {}};
  for (uint64_t i = 0; i < piece_count(length); ++i) footer.piece_crcs.push_back(static_cast<uint32_t>(mix64(i)));
  footer.crc = combine_piece_crcs(footer.piece_crcs, length);
  return footer;
}

std::vector<std::byte> encode(const ShardFooter& footer) {
  std::vector<std::byte> out(shard_footer_bytes(footer.length), std::byte{0xEE});
  encode_shard_footer(footer, out);
  return out;
}

std::vector<std::byte> copy(const Bytes& bytes) {
  return {bytes.span().begin(), bytes.span().end()};
}

void flip(std::vector<std::byte>& bytes, size_t bit) {
  bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
}

TEST(ShardFormat, HeaderComesBackAndIsAligned) {
  const Bytes bytes = encode_shard_header(some_header());
  EXPECT_EQ(bytes.size(), kShardHeaderBytes);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % kShardAlignment, 0U);
  const Result<ShardHeader> back = decode_shard_header(bytes.span());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back.value(), some_header());
}

TEST(ShardFormat, FooterComesBackAtEveryBoundaryOfLength) {
  for (const uint64_t length :
       {uint64_t{0}, uint64_t{1}, uint64_t{4095}, uint64_t{4096}, uint64_t{65535}, uint64_t{65536}, uint64_t{65537},
        10 * kMiB + 512 * kKiB, uint64_t{kMaxShardBytes - 1}, uint64_t{kMaxShardBytes}}) {
    const ShardFooter footer = footer_of_length(length);
    const std::vector<std::byte> bytes = encode(footer);
    EXPECT_EQ(bytes.size() % kShardAlignment, 0U);
    EXPECT_EQ(shard_footer_offset(length) % kShardAlignment, 0U);
    EXPECT_GE(shard_footer_offset(length), kShardHeaderBytes + length);
    EXPECT_EQ(shard_file_bytes(length), shard_footer_offset(length) + bytes.size());
    EXPECT_LE(shard_file_bytes(length), shard_file_bound(length));
    const Result<ShardFooter> back = decode_shard_footer(bytes);
    ASSERT_TRUE(back.has_value()) << length;
    EXPECT_EQ(back.value(), footer);
    EXPECT_EQ(find_shard_footer(std::span(bytes).last(kShardAlignment), shard_file_bytes(length)), length);
  }
}

TEST(ShardFormat, FooterOfAFileOfAnotherSizeIsNotFound) {
  const std::vector<std::byte> bytes = encode(footer_of_length(70000));
  EXPECT_FALSE(find_shard_footer(bytes, shard_file_bytes(70000) + 4096));
  EXPECT_FALSE(find_shard_footer(bytes, shard_file_bytes(70000) - 1));
  EXPECT_FALSE(find_shard_footer(std::vector<std::byte>(4096), shard_file_bytes(70000)));
  EXPECT_FALSE(find_shard_footer({}, 0));
}

RC_GTEST_PROP(ShardFormat, EveryFlippedBitOfAHeaderIsFound, ()) {
  std::vector<std::byte> bytes = copy(encode_shard_header(some_header()));
  flip(bytes, *rc::gen::inRange<size_t>(0, bytes.size() * 8));
  RC_ASSERT(code_of(decode_shard_header(bytes)) == ErrorCode::kCorrupt);
}

RC_GTEST_PROP(ShardFormat, EveryFlippedBitOfAFooterIsFound, ()) {
  std::vector<std::byte> bytes = encode(footer_of_length(*rc::gen::inRange<uint64_t>(0, 1 << 20)));
  flip(bytes, *rc::gen::inRange<size_t>(0, bytes.size() * 8));
  RC_ASSERT(code_of(decode_shard_footer(bytes)) == ErrorCode::kCorrupt);
}

RC_GTEST_PROP(ShardFormat, AnyBytesDecodeToAnError, (std::vector<uint8_t> bytes)) {
  const std::span<const std::byte> span = std::as_bytes(std::span(bytes));
  RC_ASSERT(code_of(decode_shard_header(span)) == ErrorCode::kCorrupt);
  RC_ASSERT(code_of(decode_shard_footer(span)) == ErrorCode::kCorrupt);
  RC_ASSERT(!find_shard_footer(span, bytes.size()));
}

// A checksum that is right over fields that are not: what a buggy writer would leave.
TEST(ShardFormat, FooterWhosePiecesDoNotCombineIsCorrupt) {
  ShardFooter footer = footer_of_length(200000);
  footer.crc ^= 1;
  EXPECT_EQ(code_of(decode_shard_footer(encode(footer))), ErrorCode::kCorrupt);
}

TEST(ShardFormat, HeaderWithAGeometryThatCannotBeIsCorrupt) {
  ShardHeader header = some_header();
  header.geometry.data_shards = 0;
  EXPECT_EQ(code_of(decode_shard_header(encode_shard_header(header).span())), ErrorCode::kCorrupt);
}

TEST(ShardKey, FileNamesAreInTheOrderOfTheKeysAndComeBack) {
  const std::vector<ShardKey> keys = {key(1, 0, 1), key(1, 0, 2), key(1, 11, 1), key(2, 0, 1), key(~0ULL, 47, ~0ULL)};
  std::vector<std::string> names;
  std::vector<std::string> records;
  for (const ShardKey& one : keys) {
    names.push_back(shard_file_name(one));
    records.push_back(shard_record_key(one));
    EXPECT_EQ(parse_shard_file_name(names.back()), one);
    EXPECT_EQ(parse_shard_record_key(records.back()), one);
    EXPECT_TRUE(records.back() >= kShardRecords && records.back() < kShardRecordsEnd);
  }
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_TRUE(std::is_sorted(records.begin(), records.end()));
}

TEST(ShardKey, OtherNamesAreNotShards) {
  const std::string good = shard_file_name(key(18, 3, 7));
  std::vector<std::string> names = {"", "lost+found", "identity", good + "~", good.substr(1), "." + good.substr(1)};
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'X';
    names.push_back(bad);
  }
  names.push_back(shard_file_name(key(0, 3, 7)));
  names.push_back(shard_file_name(key(18, 3, 0)));
  names.push_back(shard_file_name(key(18, kMaxShards, 7)));
  for (const std::string& name : names) EXPECT_FALSE(parse_shard_file_name(name)) << name;
}

TEST(ShardKey, WireKeysAreChecked) {
  EXPECT_EQ(shard_key_from_wire(shard_key_to_wire(key(18, 3, 7))).value(), key(18, 3, 7));
  EXPECT_EQ(shard_key_from_wire(shard_name_to_wire(key(18, 3, 7))).value(), key(18, 3, 7));
  for (const ShardKey& bad : {key(0, 3, 7), key(18, 3, 0), key(18, kMaxShards, 7), key(18, ~0U, 7)}) {
    EXPECT_EQ(code_of(shard_key_from_wire(shard_key_to_wire(bad))), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace dogfs
