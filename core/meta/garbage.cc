#include "core/meta/garbage.h"

namespace dogfs {

void discard_shards(ApplyContext& context, const wire::BlockRow& block) {
  const BlockId id(block.block());
  for (const wire::Shard& shard : block.shards()) {
    if (shard.server() != 0) add_garbage(context, id, shard);
  }
  for (const wire::RepairReservation& reservation : block.reservations()) {
    add_garbage(context, reserved_shard(id, reservation), {});
  }
}

GarbageShard reserved_shard(BlockId block, const wire::RepairReservation& reservation) {
  return {.server = ServerId(reservation.target()),
          .block = block,
          .index = ShardIndex(reservation.index()),
          .generation = ShardGeneration(reservation.generation())};
}

void add_garbage(ApplyContext& context, BlockId block, const wire::Shard& shard) {
  add_garbage(context, placed_shard(block, shard), {});
}

void add_garbage(ApplyContext& context, const GarbageShard& shard, const wire::GarbageRow& row) {
  context.tables.put_garbage(shard, row);
  context.counters.set_garbage_shards(context.counters.garbage_shards() + 1);
}

void erase_garbage(ApplyContext& context, const GarbageShard& shard) {
  context.tables.erase(context.tables.keys().garbage(shard));
  context.counters.set_garbage_shards(context.counters.garbage_shards() - 1);
}

}  // namespace dogfs
