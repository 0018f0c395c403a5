#include "core/client/block_verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/limits.h"
#include "core/client/backoff.h"
#include "core/client/damage.h"
#include "core/client/file_block.h"
#include "core/client/shard_reader.h"

namespace dogfs {
namespace {

// What is held of one shard at a time.
constexpr uint64_t kVerifyBytes = 1 * kMiB;
static_assert(kVerifyBytes % kChecksumPieceBytes == 0, "no piece is read twice");
// How often a shard is read before it is called damaged.
constexpr int kLooksAtDamage = 2;
// How often a shard is tried in all: its server may be busy, or it may be moved under the reader.
constexpr int kMaxLooks = 5;
static_assert(kMaxLooks > kLooksAtDamage);
constexpr BackoffOptions kLookBackoff{.first = milliseconds(100), .most = seconds(1)};

// One shard of the block, while it is looked at.
class ShardLook {
 public:
  // What is passed must outlive this object.
  ShardLook(ClientContext& context, const VerifyRequest& request, wire::Shard shard)
      : context_(context), request_(request), backoff_(context.env.random, kLookBackoff) {
    finding_.shard = std::move(shard);
  }

  // kGone where the file does not have the block any more; then nothing is wrong.
  Task<Result<ShardFinding>> run();

 private:
  Task<Status> read_to_end();
  // Takes in where the shard lies now. Whether that is elsewhere than before.
  Task<Result<bool>> relocate();
  bool is_worth_another_try(ErrorCode code) const;
  Shard shard() const { return shard_from_wire(finding_.shard); }

  ClientContext& context_;
  const VerifyRequest& request_;
  Backoff backoff_;
  ShardFinding finding_;
  uint64_t counted_ = 0;  // bytes that were told to the caller
};

Task<Status> ShardLook::read_to_end() {
  const Shard shard = this->shard();
  PieceSums sums;
  for (uint64_t offset = 0; offset < shard.length;) {
    const ShardRange part{.offset = offset, .length = std::min(kVerifyBytes, shard.length - offset)};
    DOGFS_CO_TRY(const ShardBytes read,
                 co_await read_shard(context_, BlockId(request_.block.block()), shard, part,
                                     {.sums = sums, .background = true, .from_disk = offset == 0}));
    sums = read.sums;
    offset = part.end();
    if (offset > counted_) request_.on_bytes(offset - counted_);
    counted_ = std::max(counted_, offset);
  }
  co_return ok();
}

Task<Result<bool>> ShardLook::relocate() {
  wire::GetBlocksRequest ask;
  ask.set_inode(request_.inode);
  ask.set_offset(request_.block.offset());
  ask.set_length(1);
  const Result<wire::GetBlocksReply> page =
      co_await context_.channel.ask<wire::GetBlocksReply>(MessageType::kGetBlocks, std::move(ask));
  if (!page && page.error().code != ErrorCode::kNotFound) co_return page.error();
  if (page && page.value().blocks_size() > 0 && page.value().blocks(0).block() == request_.block.block()) {
    DOGFS_CO_TRYV(file_block_from_wire(page.value().blocks(0)));
    for (const wire::Shard& fresh : page.value().blocks(0).shards()) {
      if (fresh.index() != finding_.shard.index()) continue;
      const bool moved = shard_from_wire(fresh) != shard();
      finding_.shard = fresh;
      co_return moved;
    }
  }
  co_return Error(ErrorCode::kGone, "the block is not part of the file any more");
}

// A server that failed others a moment ago is not waited for once more by each of its shards.
bool ShardLook::is_worth_another_try(ErrorCode code) const {
  const bool busy = code == ErrorCode::kBusy || code == ErrorCode::kOverloaded || code == ErrorCode::kUnavailable;
  return busy || !context_.health.is_suspect(shard().server);
}

Task<Result<ShardFinding>> ShardLook::run() {
  int damaged = 0;
  for (int look = 1; shard().is_stored(); ++look) {
    const Status read = co_await read_to_end();
    if (read) {
      finding_.kind = ShardFinding::Kind::kIntact;
      co_return finding_;
    }
    finding_.error = read.error();
    const ErrorCode code = read.error().code;
    const bool again = is_damage(code) || is_stale(code) || is_worth_another_try(code);
    const Result<bool> moved = co_await relocate();
    if (!moved && moved.error().code == ErrorCode::kGone) co_return moved.error();
    const bool elsewhere = moved && moved.value();
    if (elsewhere) damaged = 0;
    if (!elsewhere && is_damage(code) && ++damaged == kLooksAtDamage) {
      finding_.kind = ShardFinding::Kind::kDamaged;
      finding_.reported = co_await report_damage(context_, BlockId(request_.block.block()), shard());
      co_return finding_;
    }
    if (moved && !elsewhere && is_stale(code)) {
      finding_.kind = ShardFinding::Kind::kMissing;
      co_return finding_;
    }
    if (!is_damage(code) && !is_stale(code)) context_.health.failed(shard().server);
    if (look == kMaxLooks || (!elsewhere && !again)) {
      if (moved && !elsewhere && is_unreadable(code)) {
        finding_.reported = co_await report_damage(context_, BlockId(request_.block.block()), shard());
      }
      break;
    }
    if (!elsewhere && !is_damage(code)) co_await sleep_for(context_.env.clock, backoff_.next());
  }
  finding_.kind = shard().is_stored() ? ShardFinding::Kind::kUnreachable : ShardFinding::Kind::kNotStored;
  co_return finding_;
}

struct Findings {
  std::vector<ShardFinding> shards;
  std::optional<Error> gone;
};

Task<void> look_at(ClientContext& context, const VerifyRequest& request, size_t position, Findings& out) {
  ShardLook look(context, request, request.block.shards(static_cast<int>(position)));
  Result<ShardFinding> found = co_await look.run();
  if (!found) {
    out.gone = found.error();
  } else {
    out.shards[position] = std::move(found).value();
  }
}

}  // namespace

Task<Result<std::vector<ShardFinding>>> verify_block(ClientContext& context, VerifyRequest request) {
  DOGFS_CO_TRYV(file_block_from_wire(request.block));
  Findings findings;
  findings.shards.resize(static_cast<size_t>(request.block.shards_size()));
  TaskGroup tasks(context.env.executor, context.env.clock);
  for (size_t i = 0; i < findings.shards.size(); ++i) tasks.spawn(look_at(context, request, i, findings));
  co_await tasks.join();
  if (findings.gone) co_return *findings.gone;
  co_return std::move(findings.shards);
}

}  // namespace dogfs
