#include "core/client/shard_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/base/mutant.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr uint64_t kReadBytes = 1 * kMiB;
static_assert(kReadBytes % kChecksumPieceBytes == 0 && kReadBytes + 2 * kChecksumPieceBytes <= kMaxTransferBytes);

constexpr uint64_t piece_count(uint64_t bytes) {
  return (bytes + kChecksumPieceBytes - 1) / kChecksumPieceBytes;
}

// The whole pieces that `range` touches.
ShardRange whole_pieces(const Shard& shard, ShardRange range) {
  const uint64_t begin = range.offset / kChecksumPieceBytes * kChecksumPieceBytes;
  const uint64_t end = std::min(shard.length, piece_count(range.end()) * kChecksumPieceBytes);
  return {.offset = begin, .length = end - begin};
}

Request make_read(const ClientContext& context, BlockId block, const Shard& shard, ShardRange range,
                  const ShardReadOptions& options) {
  wire::ReadShardRequest message;
  message.mutable_key()->set_block(block.value());
  message.mutable_key()->set_index(shard.index.value());
  message.mutable_key()->set_generation(shard.generation.value());
  message.set_offset(range.offset);
  message.set_length(range.length);
  message.set_background(options.background);
  message.set_all_checksums(options.sums == nullptr);
  message.set_from_disk(options.from_disk);
  Request request = make_request(MessageType::kReadShard, GroupId(), message);
  request.principal = context.options.principal;
  return request;
}

// Takes the shard's checksums from the reply unless they are known, then checks its bytes.
Status check(const Shard& shard, ShardRange range, const TypedReply<wire::ReadShardReply>& reply, PieceSums& sums) {
  if (!sums) {
    const auto& all = reply.message.all_piece_crc32c();
    DOGFS_TRY(sums, check_sums(shard, {all.data(), static_cast<size_t>(all.size())}));
  }
  return check_read(shard, range, reply.message, reply.payload, *sums);
}

// One request: appends to `out`.
Task<Status> read_part(ClientContext& context, BlockId block, const Shard& shard, ShardRange range,
                       ShardReadOptions options, ShardBytes& out) {
  const MonoTime start = context.env.clock.now();
  options.sums = out.sums;
  Request request = make_read(context, block, shard, range, options);
  DOGFS_CO_TRY(Reply reply, co_await context.env.transport.call(shard.address, std::move(request),
                                                                start + context.options.shard_timeout));
  DOGFS_CO_TRY(const TypedReply<wire::ReadShardReply> typed, parse_reply<wire::ReadShardReply>(std::move(reply)));
  // Here, not on a thread of Compute: a megabyte that has just come is summed in less time than it takes to hand it over.
  DOGFS_CO_TRYV(check(shard, range, typed, out.sums));
  context.health.answered(shard.server, context.env.clock.now() - start);
  const BytesChain exact = typed.payload.slice(range.offset - typed.message.payload_offset(), range.length);
  for (const Bytes& piece : exact.pieces()) out.bytes.append(piece);
  co_return ok();
}

}  // namespace

Result<PieceSums> check_sums(const Shard& shard, std::span<const uint32_t> checksums) {
  if (checksums.size() != piece_count(shard.length)) {
    return Error(ErrorCode::kProtocolError, "the checksums are not as many as the shard has pieces");
  }
  uint32_t crc = 0;
  uint64_t left = shard.length;
  for (const uint32_t piece : checksums) {
    const uint64_t length = std::min<uint64_t>(left, kChecksumPieceBytes);
    crc = crc32c_combine(crc, piece, length);
    left -= length;
  }
  if (crc != shard.crc32c) {
    return Error(ErrorCode::kChecksumMismatch, "the pieces' checksums are not those of the committed shard");
  }
  return PieceSums(std::make_shared<const std::vector<uint32_t>>(checksums.begin(), checksums.end()));
}

Status check_read(const Shard& shard, ShardRange range, const wire::ReadShardReply& reply, const BytesChain& payload,
                  std::span<const uint32_t> sums) {
  if (reply.shard_length() != shard.length || reply.shard_crc32c() != shard.crc32c) {
    return Error(ErrorCode::kCorrupt, "the server has other bytes than were committed");
  }
  const ShardRange expected = whole_pieces(shard, range);
  const uint64_t pieces = piece_count(expected.length);
  if (reply.payload_offset() != expected.offset || payload.size() != expected.length) {
    return Error(ErrorCode::kProtocolError, "the reply to a read has another shape than was asked for");
  }
  const std::span<const uint32_t> expected_sums = sums.subspan(expected.offset / kChecksumPieceBytes, pieces);
  for (uint64_t i = 0; i < pieces; ++i) {
    const uint64_t begin = i * kChecksumPieceBytes;
    const uint64_t length = std::min<uint64_t>(payload.size() - begin, kChecksumPieceBytes);
    const bool intact = crc32c(payload.slice(begin, length)) == expected_sums[i];
    if (!intact && !mutant_active(Mutant::kReadUnchecked)) {
      DOGFS_COVERAGE_MARK("client: bytes read with a wrong checksum");
      return Error(ErrorCode::kChecksumMismatch, fmt::format("bytes {}+{}", expected.offset + begin, length));
    }
  }
  return ok();
}

Task<Result<ShardBytes>> read_shard(ClientContext& context, BlockId block, Shard shard, ShardRange range,
                                    ShardReadOptions options) {
  DOGFS_CHECK(shard.is_stored() && range.length > 0 && range.end() <= shard.length);
  ShardBytes out{.bytes = {}, .sums = std::move(options.sums)};
  uint64_t at = range.offset;
  while (at < range.end()) {
    // Requests end where pieces end, so that no piece is read twice.
    const uint64_t limit = (at / kChecksumPieceBytes * kChecksumPieceBytes) + kReadBytes;
    const ShardRange part{.offset = at, .length = std::min(limit, range.end()) - at};
    DOGFS_CO_TRYV(co_await read_part(context, block, shard, part, options, out));
    options.from_disk = false;  // what was cached before is gone now
    at = part.end();
  }
  co_return out;
}

}  // namespace dogfs
