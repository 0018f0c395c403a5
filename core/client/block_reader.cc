#include "core/client/block_reader.h"

#include "core/client/damage.h"
#include "core/client/stripe_read.h"

namespace dogfs {
namespace {

// A report that is lost is no loss: the scrubber of the server will find the damage too.
Task<void> tell_of_damage(ClientContext& context, BlockId block, Shard shard) {
  const Status reported = co_await report_damage(context, block, shard);
  if (!reported) context.env.log.info("client", "damage was not reported: {}", reported.error().to_string());
}

}  // namespace

Task<Result<BytesChain>> BlockReader::read(BlockRange range) {
  const auto stripe = std::make_shared<StripeRead>(shared_from_this(), range);
  co_return co_await stripe->run();
}

Task<Status> BlockReader::refresh(std::shared_ptr<const FileBlock> seen) {
  if (block_ != seen) co_return ok();
  DOGFS_CO_TRY(std::shared_ptr<const FileBlock> fresh, co_await map_->refresh(seen));
  block_ = std::move(fresh);
  co_return ok();
}

const Error* BlockReader::damage(const Shard& shard) const {
  const auto it = damage_.find(shard.generation);
  return it == damage_.end() ? nullptr : &it->second;
}

void BlockReader::set_damaged(const Shard& shard, Error error) {
  context_.env.log.warning("client", "block {}: shard {} (generation {}) on server {} is damaged: {}", block_->block,
                           shard.index, shard.generation, shard.server, error.to_string());
  damage_.emplace(shard.generation, std::move(error));
  context_.tasks.spawn(tell_of_damage(context_, block_->block, shard));
}

void BlockReader::suspect(const Shard& shard) {
  if (suspected_.insert(shard.generation).second) {
    context_.tasks.spawn(tell_of_damage(context_, block_->block, shard));
  }
}

PieceSums BlockReader::sums(const Shard& shard) const {
  const auto it = sums_.find(shard.generation);
  return it == sums_.end() ? nullptr : it->second;
}

}  // namespace dogfs
