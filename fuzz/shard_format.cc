// The layout of shard files, and the names of shards: all decoders are total, and what they accept encodes to the same.
#include "core/chunk/shard_format.h"

#include <cstring>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/endian.h"
#include "fuzz/input.h"

namespace dogfs::fuzz {
namespace {

void check_header(std::string_view bytes) {
  const Result<ShardHeader> header = decode_shard_header(as_bytes(bytes));
  if (!header) return;
  const Bytes again = encode_shard_header(header.value());
  DOGFS_CHECK(decode_shard_header(again.span()).value() == header.value());
}

void check_footer(std::string_view bytes) {
  const Result<ShardFooter> footer = decode_shard_footer(as_bytes(bytes));
  if (footer) {
    DOGFS_CHECK(footer.value().length <= kMaxShardBytes);
    DOGFS_CHECK(footer.value().piece_crcs.size() == piece_count(footer.value().length));
    std::string again(shard_footer_bytes(footer.value().length), '\0');
    encode_shard_footer(footer.value(), std::as_writable_bytes(std::span(again.data(), again.size())));
    DOGFS_CHECK(decode_shard_footer(as_bytes(again)).value() == footer.value());
  }
  if (bytes.size() < kShardAlignment) return;
  const std::string_view end = bytes.substr(bytes.size() - kShardAlignment);
  const std::optional<uint64_t> length = find_shard_footer(as_bytes(end), bytes.size());
  if (length) DOGFS_CHECK(shard_file_bytes(*length) == bytes.size(), "a footer is found where its length puts it");
}

void check_names(std::string_view text) {
  if (const std::optional<ShardKey> key = parse_shard_file_name(text)) DOGFS_CHECK(shard_file_name(*key) == text);
  if (const std::optional<ShardKey> key = parse_shard_record_key(text)) DOGFS_CHECK(shard_record_key(*key) == text);
}

// The bytes at the end of so much zero that the whole is aligned, as the last block of a file; or at its beginning.
// Where asked, with the checksum that a header (at its end) or a trailer has.
std::string as_block(std::string_view bytes, bool at_end, bool mend) {
  const size_t size = std::max<size_t>(shard_align_up(bytes.size()), kShardAlignment);
  std::string block(size, '\0');
  std::memcpy(block.data() + (at_end ? size - bytes.size() : 0), bytes.data(), bytes.size());
  if (!mend) return block;
  const size_t covered_from = at_end && size > kShardAlignment ? 0 : 0;
  const uint32_t crc = crc32c(std::string_view(block).substr(covered_from, size - sizeof(uint32_t)));
  store_little<uint32_t>(std::as_writable_bytes(std::span(block.data(), size)), size - sizeof(uint32_t), crc);
  return block;
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dogfs;
  fuzz::Input input(data, size);
  const bool at_end = input.flag();
  const bool mend = input.flag();
  fuzz::check_names(input.rest());
  const std::string block = fuzz::as_block(input.rest(), at_end, mend);
  fuzz::check_header(block);
  fuzz::check_footer(block);
  return 0;
}
