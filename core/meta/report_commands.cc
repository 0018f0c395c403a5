#include "core/meta/report_commands.h"

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "core/meta/block_index.h"
#include "core/meta/garbage.h"
#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

Status check_count(int count) {
  if (count <= kMaxReportedPerCommand) return ok();
  return Error(ErrorCode::kInvalidArgument, fmt::format("at most {} shards in one command", kMaxReportedPerCommand));
}

bool is_listed_as(const wire::Shard& listed, const wire::ServerShard& shard) {
  return listed.index() == shard.index() && listed.server() == shard.server() &&
         listed.generation() == shard.generation();
}

bool is_attempt(const wire::BlockRow& block, const wire::ServerShard& shard) {
  return std::ranges::any_of(block.shards(), [&](const wire::Shard& each) { return is_listed_as(each, shard); }) ||
         std::ranges::any_of(block.reservations(), [&](const wire::RepairReservation& each) {
           return each.index() == shard.index() && each.target() == shard.server() &&
                  each.generation() == shard.generation();
         });
}

bool has_committed_bytes(const wire::Shard& listed, const wire::ServerShard& shard) {
  return listed.length() == shard.length() && listed.crc32c() == shard.crc32c();
}

bool is_adoptable(const wire::BlockRow& block, const wire::Shard& missing, const wire::ServerShard& shard) {
  return !is_intact(missing) && has_committed_bytes(missing, shard) && may_host(block, shard.index(), shard.server());
}

ReportedShard classify_committed(const wire::BlockRow& block, const wire::ServerShard& shard) {
  const wire::Shard* listed = find_shard(block, shard.index());
  // Beyond the block's end: an attempt at a shard that turned out to hold nothing.
  if (listed == nullptr) return ReportedShard::kAbandoned;
  if (is_listed_as(*listed, shard)) {
    // Its server had called it damaged or gone, and now has it.
    const bool back = listed->condition() == wire::Shard::DAMAGED && has_committed_bytes(*listed, shard);
    return back ? ReportedShard::kAdoptable : ReportedShard::kListed;
  }
  if (is_attempt(block, shard)) return ReportedShard::kReserved;
  if (is_adoptable(block, *listed, shard)) return ReportedShard::kAdoptable;
  // The index is in need, and this may yet be what mends it: when the server of another shard of the block has gone.
  if (!is_intact(*listed) && has_committed_bytes(*listed, shard)) return ReportedShard::kReserved;
  return ReportedShard::kSuperseded;
}

template <class Change>
Status change_block(ApplyContext& context, uint64_t id, Change change) {
  DOGFS_TRY(std::optional<wire::BlockRow> block, context.tables.block(BlockId(id)));
  if (!block || block->state() != wire::BlockRow::COMMITTED) return ok();
  unindex(context, *block);
  change(*block);
  put_indexed(context, *block);
  return ok();
}

}  // namespace

Result<ReportedShard> classify(const MetaTables& tables, const wire::CountersRow& counters,
                               const wire::ServerShard& shard) {
  if (shard.block() >= counters.next_block() || shard.generation() >= counters.next_generation()) {
    return ReportedShard::kImpossible;
  }
  DOGFS_TRY(const std::optional<wire::GarbageRow> garbage, tables.garbage(placed_shard(shard)));
  DOGFS_TRY(const std::optional<wire::BlockRow> block, tables.block(BlockId(shard.block())));
  if (garbage) {
    // What took its place may have been damaged since. As long as that is so, its server is not told to delete it.
    const bool needed = garbage->replaced() && block && block->state() == wire::BlockRow::COMMITTED &&
                        classify_committed(*block, shard) == ReportedShard::kAdoptable;
    return needed ? ReportedShard::kAdoptable : ReportedShard::kGarbage;
  }
  if (!block) return ReportedShard::kAbandoned;
  if (block->state() == wire::BlockRow::COMMITTED) return classify_committed(*block, shard);
  return is_attempt(*block, shard) ? ReportedShard::kReserved : ReportedShard::kAbandoned;
}

Status mark_damaged(ApplyContext& context, const wire::MarkDamaged& operation) {
  DOGFS_TRYV(check_count(operation.shards_size()));
  for (const wire::ServerShard& damaged : operation.shards()) {
    DOGFS_TRYV(change_block(context, damaged.block(), [&](wire::BlockRow& block) {
      for (wire::Shard& shard : *block.mutable_shards()) {
        if (!is_listed_as(shard, damaged)) continue;
        DOGFS_COVERAGE_MARK("meta: a listed shard marked as damaged");
        shard.set_condition(wire::Shard::DAMAGED);
      }
    }));
  }
  return ok();
}

Status adopt_shards(ApplyContext& context, const wire::AdoptShards& operation) {
  DOGFS_TRYV(check_count(operation.shards_size()));
  for (const wire::ServerShard& reported : operation.shards()) {
    DOGFS_TRY(const ReportedShard kind, classify(context.tables, context.counters, reported));
    DOGFS_TRY(const std::optional<wire::ChunkServerRow> server, context.tables.server(ServerId(reported.server())));
    if (kind != ReportedShard::kAdoptable || !server || server->state() == wire::REMOVED) continue;
    DOGFS_COVERAGE_MARK("meta: a reported shard adopted");
    DOGFS_TRY(const auto garbage, context.tables.garbage(placed_shard(reported)));
    if (garbage) {
      DOGFS_COVERAGE_MARK("meta: a shard adopted from among the garbage");
      erase_garbage(context, placed_shard(reported));
    }
    DOGFS_TRYV(change_block(context, reported.block(), [&](wire::BlockRow& block) {
      const auto shard = std::ranges::find(*block.mutable_shards(), reported.index(), &wire::Shard::index);
      if (is_listed_as(*shard, reported)) {
        DOGFS_COVERAGE_MARK("meta: a listed shard that was called damaged is whole after all");
        shard->set_condition(condition_of(server->state()));
        return;
      }
      replace_shard(context, BlockId(block.block()), *shard,
                    {.server = reported.server(),
                     .generation = reported.generation(),
                     .condition = condition_of(server->state())});
    }));
  }
  return ok();
}

Status discard_reported(ApplyContext& context, const wire::DiscardShards& operation) {
  DOGFS_TRYV(check_count(operation.shards_size()));
  for (const wire::ServerShard& shard : operation.shards()) {
    DOGFS_TRY(const ReportedShard kind, classify(context.tables, context.counters, shard));
    if (kind != ReportedShard::kSuperseded && kind != ReportedShard::kAbandoned) continue;
    // Who was removed confirms nothing any more.
    DOGFS_TRY(const std::optional<wire::ChunkServerRow> server, context.tables.server(ServerId(shard.server())));
    if (!server || server->state() == wire::REMOVED) continue;
    DOGFS_COVERAGE_MARK("meta: a reported shard that nobody needs discarded");
    wire::GarbageRow row;
    row.set_due_ms(context.log_time_ms() + kUnknownGraceMs);
    row.set_replaced(kind == ReportedShard::kSuperseded);
    add_garbage(context, placed_shard(shard), row);
  }
  return ok();
}

}  // namespace dogfs
