#include "core/client/shard_sender.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/client/backoff.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr uint64_t kAppendBytes = 1 * kMiB;
static_assert(kAppendBytes <= kMaxTransferBytes && kAppendBytes <= kAppendWindowBytes);
static_assert(kAppendBytes % kChecksumPieceBytes == 0);
constexpr int kConnectionAttempts = 3;
// An abort is a courtesy, and nobody is to wait for a server that hangs because of it.
constexpr Duration kAbortTimeout = seconds(1);

wire::ShardKey make_key(BlockId block, const Shard& shard) {
  wire::ShardKey key;
  key.set_block(block.value());
  key.set_index(shard.index.value());
  key.set_generation(shard.generation.value());
  return key;
}

// One request to the server of a shard. A connection that breaks is tried again, a busy server asked later.
Task<Status> call_server(ClientContext& context, Address server, Request request, MonoTime deadline) {
  request.principal = context.options.principal;
  Backoff backoff(context.env.random);
  int broken = 0;
  while (true) {
    Result<Reply> reply = co_await context.env.transport.call(server, request, deadline);
    if (reply && reply.value().error.code == ErrorCode::kOk) co_return ok();
    const Error error = reply ? reply.value().error : reply.error();
    const bool is_broken = error.code == ErrorCode::kConnectionLost && ++broken < kConnectionAttempts;
    const bool is_busy = error.code == ErrorCode::kBusy && context.env.clock.now() < deadline;
    if (!is_broken && !is_busy) co_return error;
    co_await sleep_for(context.env.clock, backoff.next());
  }
}

Task<Status> call_server(ClientContext& context, Address server, Request request) {
  const MonoTime deadline = context.env.clock.now() + context.options.stall_timeout;
  return call_server(context, std::move(server), std::move(request), deadline);
}

// The appends of one shard on their way. They may outlive the sender that gave up on one of them.
struct AppendWindow {
  AppendWindow(Clock& clock, TakenBytes on_taken)
      : bytes(clock, kAppendWindowBytes), taken_at(clock.now()), report(std::move(on_taken)) {}
  Semaphore bytes;
  uint64_t in_flight = 0;
  uint64_t taken = 0;
  MonoTime taken_at;  // when the server took some last
  TakenBytes report;
  Status failure = ok();
};

// One append waits behind others at a slow server: it has failed only when none of them was answered for a while, or
// when nobody wants it any more.
Task<Status> call_append(ClientContext& context, std::shared_ptr<ShardSending> sending,
                         std::shared_ptr<AppendWindow> window, Address server, Request request) {
  Clock& clock = context.env.clock;
  const MonoTime begun = clock.now();
  while (true) {
    const MonoTime deadline = std::max(begun, window->taken_at) + context.options.stall_timeout;
    Status status = co_await call_server(context, server, request, deadline);
    const bool others_went_on = window->failure && window->taken_at + context.options.stall_timeout > clock.now();
    const bool waited = code_of(status) == ErrorCode::kTimeout || code_of(status) == ErrorCode::kBusy;
    if (!waited || !others_went_on || sending->ended()) co_return status;
  }
}

Task<void> append(ClientContext& context, std::shared_ptr<ShardSending> sending, std::shared_ptr<AppendWindow> window,
                  Address server, Request request) {
  const uint64_t length = request.payload.size();
  const Status status = co_await call_append(context, sending, window, std::move(server), std::move(request));
  if (!status && window->failure) window->failure = status.error();
  if (status) {
    window->taken += length;
    window->taken_at = context.env.clock.now();
    if (window->failure && !sending->ended()) window->report(window->taken);
  }
  --window->in_flight;
  window->bytes.release(length);
  sending->source->changed->notify_all();
}

// Appends bytes [offset, offset + length) of what `content` has.
Request make_append(const wire::ShardKey& key, const ShardContent& content, uint64_t offset, uint64_t length) {
  wire::AppendShardRequest message;
  *message.mutable_key() = key;
  message.set_offset(offset);
  const uint64_t first = offset / kChecksumPieceBytes;
  const uint64_t count = (length + kChecksumPieceBytes - 1) / kChecksumPieceBytes;
  for (uint64_t i = first; i < first + count; ++i) message.add_piece_crc32c(content.piece_crc32c[i]);
  return make_request(MessageType::kAppendShard, GroupId(), message, content.bytes.slice(offset, length));
}

Task<Status> seal_shard(ClientContext& context, wire::ShardKey key, uint64_t length, uint32_t crc, Address server) {
  wire::SealShardRequest message;
  *message.mutable_key() = std::move(key);
  message.set_length(length);
  message.set_crc32c(crc);
  Request request = make_request(MessageType::kSealShard, GroupId(), message);
  co_return co_await call_server(context, std::move(server), std::move(request));
}

// Appends all of the shard as it comes. Returns early when an append failed.
Task<Status> append_all(ClientContext& context, std::shared_ptr<ShardSending> sending, wire::ShardKey key, Shard target,
                        TakenBytes on_taken) {
  const auto window = std::make_shared<AppendWindow>(context.env.clock, std::move(on_taken));
  uint64_t offset = 0;
  while (!sending->ended() && window->failure) {
    const uint64_t ready = sending->source->content->shard(target.index).bytes.size();
    if (offset == ready) {
      if (sending->source->content->complete()) break;
      co_await sending->source->changed->wait();
      continue;
    }
    const uint64_t length = std::min(ready - offset, kAppendBytes);
    co_await window->bytes.acquire(length);
    if (sending->ended() || !window->failure) break;
    Request request = make_append(key, sending->source->content->shard(target.index), offset, length);
    ++window->in_flight;
    context.tasks.spawn(append(context, sending, window, target.address, std::move(request)));
    offset += length;
  }
  while (window->in_flight > 0 && window->failure && !sending->ended()) co_await sending->source->changed->wait();
  if (sending->ended()) co_return Error(ErrorCode::kCancelled);
  co_return window->failure;
}

Task<void> send_abort(ClientContext& context, Address server, Request request) {
  // The server gives the shard up by itself when nobody goes on with it; this only spares it the wait.
  const MonoTime deadline = context.env.clock.now() + std::min(kAbortTimeout, context.options.stall_timeout);
  const Status sent = co_await call_server(context, std::move(server), std::move(request), deadline);
  static_cast<void>(sent);
}

}  // namespace

Task<Status> open_shard(ClientContext& context, BlockId block, wire::EcPolicy policy, Shard target, uint64_t length) {
  wire::OpenShardRequest message;
  *message.mutable_key() = make_key(block, target);
  *message.mutable_policy() = std::move(policy);
  message.set_cluster_uuid(context.session.cluster_uuid());
  message.set_server(target.server.value());
  message.set_length(length);
  Request request = make_request(MessageType::kOpenShard, GroupId(), message);
  co_return co_await call_server(context, target.address, std::move(request));
}

Task<Status> send_shard(ClientContext& context, std::shared_ptr<ShardSending> sending, Shard target,
                        TakenBytes on_taken) {
  const wire::ShardKey key = make_key(sending->source->block, target);
  DOGFS_CO_TRYV(co_await append_all(context, sending, key, target, std::move(on_taken)));
  co_return co_await seal_sent_shard(context, sending, target);
}

Task<Status> seal_sent_shard(ClientContext& context, std::shared_ptr<ShardSending> sending, Shard target) {
  if (sending->ended()) co_return Error(ErrorCode::kCancelled);
  if (!sending->source->content->complete())
    co_return Error(ErrorCode::kInternal, "sealed before the block was complete");
  const wire::ShardKey key = make_key(sending->source->block, target);
  const ShardContent& content = sending->source->content->shard(target.index);
  const uint64_t length = content.bytes.size();
  const uint32_t crc = content.crc32c;
  co_return co_await seal_shard(context, key, length, crc, target.address);
}

void abort_shard(ClientContext& context, BlockId block, const Shard& target) {
  wire::AbortShardRequest message;
  *message.mutable_key() = make_key(block, target);
  Request request = make_request(MessageType::kAbortShard, GroupId(), message);
  context.tasks.spawn(send_abort(context, target.address, std::move(request)));
}

}  // namespace dogfs
