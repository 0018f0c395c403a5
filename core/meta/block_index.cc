#include "core/meta/block_index.h"

#include "core/meta/risk.h"

namespace dogfs {
namespace {

enum class Count : int8_t { kAdd = 1, kTake = -1 };

uint64_t moved(uint64_t value, Count count) {
  return count == Count::kAdd ? value + 1 : value - 1;
}

void count_risk(wire::CountersRow& counters, Risk risk, Count count) {
  switch (risk) {
    case Risk::kWhole:
      return;
    case Risk::kLeaving:
      return counters.set_blocks_leaving(moved(counters.blocks_leaving(), count));
    case Risk::kLost:
      return counters.set_blocks_lost(moved(counters.blocks_lost(), count));
    default:
      break;
  }
  const int spares = static_cast<int>(risk);
  while (counters.blocks_with_spares_size() <= spares) counters.add_blocks_with_spares(0);
  counters.set_blocks_with_spares(spares, moved(counters.blocks_with_spares(spares), count));
}

}  // namespace

wire::ListedShardRow listed_row(const wire::Shard& shard, uint64_t log_index) {
  wire::ListedShardRow row;
  row.set_index(shard.index());
  row.set_generation(shard.generation());
  row.set_crc32c(shard.crc32c());
  row.set_listed_at(log_index);
  row.set_damaged(shard.condition() == wire::Shard::DAMAGED);
  return row;
}

void put_indexed(ApplyContext& context, const wire::BlockRow& block) {
  const BlockId id(block.block());
  context.tables.put(block);
  for (const wire::Shard& shard : block.shards()) {
    if (shard.server() == 0) continue;
    context.tables.put_listed(ServerId(shard.server()), id, listed_row(shard, shard.listed_at()));
  }
  const Risk risk = risk_of(block);
  if (risk != Risk::kWhole) context.tables.put_at_risk(risk, id);
  count_risk(context.counters, risk, Count::kAdd);
  if (block.reservations_size() > 0) context.tables.put_reserved(id);
  context.counters.set_reservations(context.counters.reservations() + static_cast<uint64_t>(block.reservations_size()));
}

void unindex(ApplyContext& context, const wire::BlockRow& block) {
  const BlockId id(block.block());
  for (const wire::Shard& shard : block.shards()) {
    if (shard.server() != 0) context.tables.erase(context.tables.keys().listed(ServerId(shard.server()), id));
  }
  const Risk risk = risk_of(block);
  if (risk != Risk::kWhole) context.tables.erase(context.tables.keys().at_risk(risk, id));
  count_risk(context.counters, risk, Count::kTake);
  if (block.reservations_size() > 0) context.tables.erase(context.tables.keys().reserved(id));
  context.counters.set_reservations(context.counters.reservations() - static_cast<uint64_t>(block.reservations_size()));
}

}  // namespace dogfs
