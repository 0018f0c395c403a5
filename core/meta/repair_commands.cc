#include "core/meta/repair_commands.h"

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "core/base/mutant.h"
#include "core/meta/block_index.h"
#include "core/meta/garbage.h"
#include "core/meta/risk.h"

namespace dogfs {
namespace {

Status check_count(int count) {
  if (count <= kMaxRepairsPerCommand) return ok();
  return Error(ErrorCode::kInvalidArgument, fmt::format("at most {} repairs in one command", kMaxRepairsPerCommand));
}

Result<std::optional<wire::BlockRow>> committed_block(const MetaTables& tables, BlockId id) {
  DOGFS_TRY(std::optional<wire::BlockRow> block, tables.block(id));
  if (!block || block->state() != wire::BlockRow::COMMITTED) return std::optional<wire::BlockRow>();
  return block;
}

Result<bool> takes_shards(const MetaTables& tables, uint64_t server) {
  DOGFS_TRY(const std::optional<wire::ChunkServerRow> row, tables.server(ServerId(server)));
  return row && row->state() == wire::LIVE;
}

bool needs_replacement(const wire::Shard& shard) {
  return !is_intact(shard) || shard.condition() == wire::Shard::LEAVING;
}

// A shard that is whole, and is moved: it stays until its successor is published.
bool is_wanted(const wire::Shard& shard, bool move) {
  return move ? is_intact(shard) : needs_replacement(shard);
}

bool is_as_planned(const wire::Shard& shard, uint64_t server, uint64_t generation) {
  return shard.server() == server && (server == 0 || shard.generation() == generation);
}

auto find_reservation(wire::BlockRow& block, uint32_t index) {
  return std::ranges::find(*block.mutable_reservations(), index, &wire::RepairReservation::index);
}

wire::RepairReservation make_reservation(ApplyContext& context, const wire::StartRepairs::Repair& repair) {
  wire::RepairReservation reservation;
  reservation.set_index(repair.index());
  reservation.set_target(repair.target());
  reservation.set_generation(context.new_generation().value());
  reservation.set_replaced_server(repair.replaced_server());
  reservation.set_replaced_generation(repair.replaced_generation());
  reservation.set_move(repair.move());
  const int64_t valid_ms = std::clamp<int64_t>(context.command.start_repairs().valid_ms(), 0, kMaxReservationMs);
  reservation.set_expires_ms(context.log_time_ms() + valid_ms);
  return reservation;
}

// Whether it was started.
Result<bool> start_repair(ApplyContext& context, const wire::StartRepairs::Repair& repair) {
  DOGFS_TRY(std::optional<wire::BlockRow> block, committed_block(context.tables, BlockId(repair.block())));
  if (!block) return false;
  const wire::Shard* shard = find_shard(*block, repair.index());
  if (shard == nullptr || !is_wanted(*shard, repair.move()) || intact_shards(*block) < needed_shards(*block) ||
      !is_as_planned(*shard, repair.replaced_server(), repair.replaced_generation())) {
    return false;
  }
  DOGFS_TRY(const bool takes, takes_shards(context.tables, repair.target()));
  if (!takes || !may_host(*block, repair.index(), repair.target(), repair.move())) return false;
  if (is_reserved(*block, repair.index())) return false;
  unindex(context, *block);
  *block->add_reservations() = make_reservation(context, repair);
  put_indexed(context, *block);
  return true;
}

bool is_reserved_for(const wire::RepairReservation& reservation, const wire::FinishRepair& operation) {
  if (mutant_active(Mutant::kFinishStaleRepair)) return true;
  return reservation.target() == operation.target() && reservation.generation() == operation.generation();
}

bool has_committed_bytes(const wire::Shard& shard, const wire::FinishRepair& operation) {
  if (mutant_active(Mutant::kPublishUnchecked) || mutant_active(Mutant::kDecodeStaleGeneration)) return true;
  return shard.length() == operation.length() && shard.crc32c() == operation.crc32c();
}

}  // namespace

void replace_shard(ApplyContext& context, BlockId block, wire::Shard& shard, const Replacement& replacement) {
  if (shard.server() != 0) {
    wire::GarbageRow row;
    row.set_replaced(true);
    row.set_due_ms(context.log_time_ms() + kReplacedGraceMs);
    add_garbage(context,
                {.server = ServerId(shard.server()),
                 .block = block,
                 .index = ShardIndex(shard.index()),
                 .generation = ShardGeneration(shard.generation())},
                row);
  }
  shard.set_server(replacement.server);
  shard.set_generation(replacement.generation);
  shard.set_condition(replacement.condition);
  shard.set_listed_at(context.log_index.value());
}

const wire::Shard* find_shard(const wire::BlockRow& block, uint32_t index) {
  const auto shard = std::ranges::find(block.shards(), index, &wire::Shard::index);
  return shard == block.shards().end() ? nullptr : &*shard;
}

bool is_reserved(const wire::BlockRow& block, uint32_t index) {
  return std::ranges::find(block.reservations(), index, &wire::RepairReservation::index) != block.reservations().end();
}

bool may_host(const wire::BlockRow& block, uint32_t index, uint64_t target, bool move) {
  const bool listed = std::ranges::any_of(block.shards(), [&](const wire::Shard& shard) {
    const bool rebuilt_in_place = shard.index() == index && (move || shard.condition() == wire::Shard::DAMAGED);
    return shard.server() == target && !rebuilt_in_place;
  });
  const bool reserved = std::ranges::any_of(block.reservations(), [&](const wire::RepairReservation& other) {
    return other.target() == target && other.index() != index;
  });
  return !listed && !reserved;
}

Result<wire::StartRepairsReply> start_repairs(ApplyContext& context, const wire::StartRepairs& operation) {
  DOGFS_TRYV(check_count(operation.repairs_size()));
  wire::StartRepairsReply reply;
  for (const wire::StartRepairs::Repair& repair : operation.repairs()) {
    DOGFS_TRY(const bool started, start_repair(context, repair));
    if (started) reply.set_started(reply.started() + 1);
  }
  return reply;
}

Result<wire::FinishRepairReply> finish_repair(ApplyContext& context, const wire::FinishRepair& operation) {
  wire::FinishRepairReply reply;
  const BlockId id(operation.block());
  DOGFS_TRY(std::optional<wire::BlockRow> block, committed_block(context.tables, id));
  if (!block) return reply;
  const auto found = find_reservation(*block, operation.index());
  if (found == block->mutable_reservations()->end() || !is_reserved_for(*found, operation)) {
    DOGFS_COVERAGE_MARK("meta: a repair ended that is not reserved any more");
    return reply;
  }
  wire::RepairReservation reservation = *found;
  reservation.set_target(operation.target());
  reservation.set_generation(operation.generation());
  unindex(context, *block);
  block->mutable_reservations()->erase(found);
  const auto shard = std::ranges::find(*block->mutable_shards(), operation.index(), &wire::Shard::index);
  DOGFS_TRY(const bool takes, takes_shards(context.tables, operation.target()));
  const bool wanted = needs_replacement(*shard) || is_wanted(*shard, reservation.move());
  if (takes && wanted && has_committed_bytes(*shard, operation) &&
      is_as_planned(*shard, reservation.replaced_server(), reservation.replaced_generation()) &&
      may_host(*block, operation.index(), operation.target(), reservation.move())) {
    if (reservation.move() && shard->server() == reservation.target()) {
      DOGFS_COVERAGE_MARK("meta: a shard has moved to another disk of its server");
    }
    replace_shard(context, id, *shard, {.server = reservation.target(), .generation = reservation.generation()});
    reply.set_published(true);
  } else {
    DOGFS_COVERAGE_MARK("meta: a repair ended that is not wanted any more");
    add_garbage(context, reserved_shard(id, reservation), {});
  }
  put_indexed(context, *block);
  return reply;
}

Status cancel_repairs(ApplyContext& context, const wire::CancelRepairs& operation) {
  DOGFS_TRYV(check_count(operation.repairs_size()));
  for (const wire::CancelRepairs::Repair& repair : operation.repairs()) {
    const BlockId id(repair.block());
    DOGFS_TRY(std::optional<wire::BlockRow> block, committed_block(context.tables, id));
    if (!block) continue;
    const auto found = find_reservation(*block, repair.index());
    if (found == block->mutable_reservations()->end() || found->generation() != repair.generation()) continue;
    DOGFS_COVERAGE_MARK("meta: a reservation cancelled");
    unindex(context, *block);
    add_garbage(context, reserved_shard(id, *found), {});
    block->mutable_reservations()->erase(found);
    put_indexed(context, *block);
  }
  return ok();
}

}  // namespace dogfs
