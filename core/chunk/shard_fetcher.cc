#include "core/chunk/shard_fetcher.h"

#include <fmt/format.h>

#include "core/base/mutant.h"
#include "core/chunk/piece_sums.h"
#include "core/chunk/shard_format.h"
#include "core/wire/rpc.h"

namespace dogfs {

Status check_fetched(const wire::Shard& shard, ShardRange range, const wire::ReadShardReply& reply,
                     const BytesChain& payload) {
  if (mutant_active(Mutant::kDecodeStaleGeneration) && payload.size() == range.length) return ok();
  if (reply.shard_length() != shard.length() || reply.shard_crc32c() != shard.crc32c()) {
    return Error(ErrorCode::kCorrupt, "the server has other bytes than were committed");
  }
  if (reply.payload_offset() != range.offset || payload.size() != range.length ||
      static_cast<uint64_t>(reply.piece_crc32c_size()) != piece_count(range.length)) {
    return Error(ErrorCode::kProtocolError, "the reply to a read has another shape than was asked for");
  }
  const std::vector<uint32_t> crcs(reply.piece_crc32c().begin(), reply.piece_crc32c().end());
  return verify_pieces(payload, crcs);
}

Task<Result<Bytes>> fetch_shard(Env& env, BlockId block, wire::Shard shard, ShardRange range, MonoTime deadline) {
  wire::ReadShardRequest message;
  *message.mutable_key() = shard_key_to_wire(
      ShardKey{.block = block, .index = ShardIndex(shard.index()), .generation = ShardGeneration(shard.generation())});
  message.set_offset(range.offset);
  message.set_length(range.length);
  message.set_background(true);
  Request request = make_request(MessageType::kReadShard, GroupId(0), message);
  DOGFS_CO_TRY(Reply raw, co_await env.transport.call(Address{shard.server_address()}, std::move(request), deadline));
  DOGFS_CO_TRY(const TypedReply<wire::ReadShardReply> reply, parse_reply<wire::ReadShardReply>(std::move(raw)));
  Status checked = ok();
  co_await env.compute.run([&] { checked = check_fetched(shard, range, reply.message, reply.payload); });
  DOGFS_CO_TRYV(checked);
  co_return reply.payload.flatten();
}

}  // namespace dogfs
