#include "core/meta/trash.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "core/meta/namespace_commands.h"
#include "core/meta/quota.h"

namespace dogfs {
namespace {

constexpr uint32_t kParentMode = 0755;

// Its row goes; the top is the caller's to put.
void take_out(ApplyContext& context, wire::InodeRow& top) {
  context.tables.erase(context.tables.keys().trash(top.trash_expires_ms(), InodeId(top.inode())));
  context.counters.set_trash_entries(context.counters.trash_entries() - 1);
  top.clear_trash_expires_ms();
}

void give_to_reclaim(ApplyContext& context, Trashed trashed) {
  take_out(context, trashed.top);
  context.tables.put(trashed.top);
  wire::DetachedRow detached;
  *detached.mutable_charges() = std::move(*trashed.row.mutable_charges());
  context.tables.put_detached(InodeId(trashed.top.inode()), detached);
}

// Those in `range` that go first, up to `limit`.
Result<std::vector<InodeId>> first_in(const MetaTables& tables, const KeyRange& range, size_t limit) {
  std::vector<InodeId> found;
  DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    found.emplace_back(last_id(key));
    return found.size() < limit;
  }));
  return found;
}

Status give_all_to_reclaim(ApplyContext& context, const std::vector<InodeId>& tops) {
  for (const InodeId id : tops) {
    DOGFS_TRY(Trashed trashed, find_trashed(context.tables, id));
    give_to_reclaim(context, std::move(trashed));
  }
  return ok();
}

}  // namespace

Result<Trashed> find_trashed(const MetaTables& tables, InodeId id) {
  DOGFS_TRY(std::optional<wire::InodeRow> top, tables.inode(id));
  if (!top || top->trash_expires_ms() == 0) {
    return Error(ErrorCode::kNotFound, fmt::format("inode {} is not in the trash", id));
  }
  DOGFS_TRY(wire::TrashRow row, tables.required_trash(*top));
  return Trashed{*std::move(top), std::move(row)};
}

Status set_trash_period(ApplyContext& context, const wire::SetTrashPeriod& operation) {
  if (operation.period_ms() < 0 || operation.period_ms() > kMaxTrashPeriodMs) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("the trash keeps what was deleted for 0 to {} ms", kMaxTrashPeriodMs));
  }
  context.counters.set_trash_ms(operation.period_ms());
  return ok();
}

Result<wire::DeleteResult> put_into_trash(ApplyContext& context, const Resolution& resolution, const Path& path) {
  DOGFS_TRY(wire::InodeRow top, cut_off(context, resolution, path.name()));
  top.set_trash_expires_ms(context.log_time_ms() + context.counters.trash_ms());
  context.tables.put(top);
  wire::TrashRow row;
  row.set_path(std::string(path.text()));
  row.set_deleted_by(context.command.principal());
  row.set_deleted_ms(context.log_time_ms());
  row.set_deleted_wall_ms(context.wall_ms());
  DOGFS_TRY(*row.mutable_charges(), charges_of(context, resolution.parent()));
  context.tables.put_trash(top.trash_expires_ms(), resolution.inode(), row);
  context.counters.set_trash_entries(context.counters.trash_entries() + 1);
  wire::DeleteResult result;
  result.set_trashed_inode(top.inode());
  result.set_kept_ms(context.counters.trash_ms());
  return result;
}

Status restore_trash(ApplyContext& context, const wire::RestoreTrash& operation) {
  DOGFS_TRY(Trashed trashed, find_trashed(context.tables, InodeId(operation.inode())));
  Result<Path> original = Path::parse(trashed.row.path());
  if (!original) {
    return corrupt_row(context.tables.keys().trash(trashed.top.trash_expires_ms(), InodeId(operation.inode())),
                       original.error().detail);
  }
  DOGFS_TRY(const Path path, operation.target().empty() ? original : Path::parse(operation.target()));
  DOGFS_TRY(const Resolution resolution, resolve(context.tables, path));
  if (resolution.entry) return path_error(ErrorCode::kAlreadyExists, path.text());
  if (resolution.found + 1 < path.components().size() && !operation.parents()) {
    return path_error(ErrorCode::kNotFound, path.prefix(resolution.found + 1));
  }
  DOGFS_TRYV(check_depth(trashed.top, original.value(), path));
  DOGFS_TRY(const InodeId parent, make_missing_directories(context, path, resolution, kParentMode));
  DOGFS_TRY(const Charges charges, charges_of(context, parent));
  DOGFS_TRYV(recharge(context, trashed.top, trashed.row.charges(), charges));
  take_out(context, trashed.top);
  return attach(context, std::move(trashed.top), parent, path.name());
}

Result<wire::PurgeTrashResult> purge_trash(ApplyContext& context, const wire::PurgeTrash& operation) {
  if (operation.all() == (operation.inode() != 0)) {
    return Error(ErrorCode::kInvalidArgument, "either one tree in the trash is purged or all are");
  }
  std::vector<InodeId> tops{InodeId(operation.inode())};
  if (operation.all()) {
    DOGFS_TRY(tops, first_in(context.tables, context.tables.keys().all_trash(), kMaxTrashRows));
  }
  DOGFS_TRYV(give_all_to_reclaim(context, tops));
  wire::PurgeTrashResult result;
  result.set_purged(tops.size());
  result.set_more(operation.all() && context.counters.trash_entries() > 0);
  return result;
}

Status expire_trash(ApplyContext& context, const wire::ExpireTrash& operation) {
  if (operation.max_rows() == 0 || operation.max_rows() > kMaxTrashRows) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("1 to {} trees expire at a time", kMaxTrashRows));
  }
  const KeyRange due = context.tables.keys().trash_due(context.log_time_ms());
  DOGFS_TRY(const std::vector<InodeId> tops, first_in(context.tables, due, operation.max_rows()));
  return give_all_to_reclaim(context, tops);
}

Result<std::optional<int64_t>> next_trash_expiry(const MetaTables& tables) {
  std::optional<int64_t> next;
  const KeyRange range = tables.keys().all_trash();
  DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    next = trash_expiry(key);
    return false;
  }));
  return next;
}

}  // namespace dogfs
