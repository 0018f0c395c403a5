#include "core/chunk/shard_verifier.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/chunk/piece_sums.h"
#include "core/chunk/shard_format.h"

namespace dogfs {
namespace {

// Small, so that a reader that comes meanwhile is not held up by much.
constexpr uint64_t kVerifyBytes = 1 * kMiB;
static_assert(kVerifyBytes % kChecksumPieceBytes == 0);

Error gone(const ShardKey& key) {
  return Error(ErrorCode::kCorrupt, "the file of " + to_string(key) + " is gone");
}

}  // namespace

Task<Status> verify_shard(Env& env, ShardDisk* disk, ShardKey key, ShardEntry entry) {
  const Result<std::shared_ptr<ShardFile>> file = co_await disk->files().open(shard_file_name(key));
  if (!file.has_value()) co_return file.error().code == ErrorCode::kNotFound ? gone(key) : file.error();
  DOGFS_CO_TRYV(co_await file.value()->drop_cache());
  DOGFS_CO_TRY(const Bytes head, co_await file.value()->read(0, kShardHeaderBytes));
  DOGFS_CO_TRY(const ShardHeader header, decode_shard_header(head.span()));
  const uint64_t footer_at = shard_footer_offset(entry.length);
  DOGFS_CO_TRY(const Bytes end, co_await file.value()->read(footer_at, shard_footer_bytes(entry.length)));
  DOGFS_CO_TRY(const ShardFooter footer, decode_shard_footer(end.span()));
  if (header.key != key || footer.key != key || footer.length != entry.length || footer.crc != entry.crc) {
    co_return Error(ErrorCode::kCorrupt, "the file of " + to_string(key) + " is another shard's");
  }
  for (uint64_t at = 0; at < footer.length; at += kVerifyBytes) {
    const uint64_t take = std::min(kVerifyBytes, footer.length - at);
    DOGFS_CO_TRY(const Bytes bytes, co_await file.value()->read(kShardHeaderBytes + at, shard_align_up(take)));
    const std::span<const uint32_t> crcs =
        std::span(footer.piece_crcs).subspan(at / kChecksumPieceBytes, piece_count(take));
    Status status = ok();
    co_await env.compute.run([&] { status = verify_pieces(BytesChain(bytes.slice(0, take)), crcs); });
    DOGFS_CO_TRYV(status);
  }
  co_return ok();
}

}  // namespace dogfs
