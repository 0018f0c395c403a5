#include "core/meta/file_commands.h"

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "core/ec/policy_wire.h"
#include "core/meta/garbage.h"
#include "core/meta/inline_tail.h"
#include "core/meta/namespace_commands.h"
#include "core/meta/quota.h"
#include "core/meta/resolve.h"

namespace dogfs {
namespace {

constexpr uint32_t kParentMode = 0755;

void open_lease(ApplyContext& context, wire::InodeRow& file) {
  file.set_lease_epoch(file.lease_epoch() + 1);
  file.set_writer_session(context.session().value());
  wire::LeaseRow lease;
  lease.set_lease_epoch(file.lease_epoch());
  lease.set_session(file.writer_session());
  context.tables.put_lease(InodeId(file.inode()), lease);
}

void end_lease(ApplyContext& context, wire::InodeRow& file) {
  file.clear_writer_session();
  context.tables.erase(context.tables.keys().lease(InodeId(file.inode())));
}

// Raises the epoch, so that the writer is fenced off, and gives up what it did not commit.
Status revoke_lease(ApplyContext& context, wire::InodeRow file) {
  for (const uint64_t block : file.pending_blocks()) {
    DOGFS_TRY(const wire::BlockRow row, context.tables.required_block(BlockId(block)));
    discard_shards(context, row);
    context.tables.erase(context.tables.keys().block(BlockId(block)));
    DOGFS_TRYV(drop_stored_bytes(context, file, row.reserved_bytes()));
  }
  file.clear_pending_blocks();
  file.set_lease_epoch(file.lease_epoch() + 1);
  end_lease(context, file);
  context.tables.put(file);
  return ok();
}

// Makes room for a file at `path`: refuses, or detaches what is there.
Status clear_target(ApplyContext& context, const Path& path, const Resolution& resolution, bool overwrite) {
  if (resolution.is_directory()) return path_error(ErrorCode::kIsADirectory, path.text());
  if (overwrite) return detach(context, resolution, path.name());
  DOGFS_TRY(const wire::InodeRow file, context.tables.required_inode(resolution.inode()));
  return path_error(file.writer_session() != 0 ? ErrorCode::kLeaseHeld : ErrorCode::kAlreadyExists, path.text());
}

}  // namespace

Result<wire::CreateFileResult> create_file(ApplyContext& context, const wire::CreateFile& operation) {
  DOGFS_TRY(const Path path, Path::parse(operation.path()));
  DOGFS_TRY(const Resolution resolution, resolve(context.tables, path));
  if (resolution.entry) {
    DOGFS_TRYV(clear_target(context, path, resolution, operation.overwrite()));
  } else if (resolution.found + 1 < path.components().size() && !operation.parents()) {
    return path_error(ErrorCode::kNotFound, path.prefix(resolution.found + 1));
  }
  DOGFS_TRY(const InodeId parent, make_missing_directories(context, path, resolution, kParentMode));
  DOGFS_TRY(const wire::InodeRow policy_holder, context.tables.required_inode(resolution.policy_directory));
  wire::InodeRow file = make_inode(context, wire::InodeRow::FILE, operation.mode());
  *file.mutable_file_policy() = policy_holder.policy();
  open_lease(context, file);
  wire::CreateFileResult result;
  result.set_inode(file.inode());
  result.set_lease_epoch(file.lease_epoch());
  *result.mutable_policy() = file.file_policy();
  DOGFS_TRYV(add_entry(context, parent, path.name(), std::move(file), {.replaces = resolution.entry.has_value()}));
  return result;
}

Result<wire::AppendFileResult> append_file(ApplyContext& context, const wire::AppendFile& operation) {
  DOGFS_TRY(const Path path, Path::parse(operation.path()));
  DOGFS_TRY(const Resolution resolution, resolve_existing(context.tables, path));
  if (resolution.is_directory()) return path_error(ErrorCode::kIsADirectory, path.text());
  DOGFS_TRY(wire::InodeRow file, context.tables.required_inode(resolution.inode()));
  if (file.writer_session() != 0) return path_error(ErrorCode::kLeaseHeld, path.text());
  if (operation.has_policy()) {
    DOGFS_TRYV(geometry_from_wire(operation.policy()));
    *file.mutable_file_policy() = operation.policy();
  }
  open_lease(context, file);
  context.tables.put(file);
  wire::AppendFileResult result;
  result.set_inode(file.inode());
  result.set_lease_epoch(file.lease_epoch());
  *result.mutable_policy() = file.file_policy();
  result.set_length(file.length());
  result.set_tail_bytes(file.tail_bytes());
  return result;
}

Status close_file(ApplyContext& context, const wire::CloseFile& operation) {
  DOGFS_TRY(wire::InodeRow file,
            leased_file(context.tables, InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())));
  if (file.pending_blocks_size() > 0) {
    return Error(ErrorCode::kConflict, fmt::format("{} blocks of inode {} are neither committed nor abandoned",
                                                   file.pending_blocks_size(), file.inode()));
  }
  if (operation.has_tail()) {
    const uint64_t offset = operation.length() - std::min<uint64_t>(operation.tail().size(), operation.length());
    DOGFS_TRYV(put_tail(context, file, offset, operation.tail()));
  }
  if (operation.length() != file.length()) {
    return Error(ErrorCode::kConflict,
                 fmt::format("inode {} has {} bytes and not {}", file.inode(), file.length(), operation.length()));
  }
  end_lease(context, file);
  file.set_mtime_ms(context.wall_ms());
  context.tables.put(file);
  return ok();
}

Status recover_lease(ApplyContext& context, const wire::RecoverLease& operation) {
  DOGFS_TRY(const Path path, Path::parse(operation.path()));
  DOGFS_TRY(const Resolution resolution, resolve_existing(context.tables, path));
  if (resolution.is_directory()) return path_error(ErrorCode::kIsADirectory, path.text());
  DOGFS_TRY(wire::InodeRow file, context.tables.required_inode(resolution.inode()));
  if (file.writer_session() == 0) return ok();
  return revoke_lease(context, std::move(file));
}

Status expire_lease(ApplyContext& context, const wire::ExpireLease& operation) {
  DOGFS_TRY(std::optional<wire::InodeRow> file, context.tables.inode(InodeId(operation.inode())));
  if (!file || file->writer_session() == 0 || file->lease_epoch() != operation.lease_epoch()) return ok();
  DOGFS_COVERAGE_MARK("meta: a lease expired");
  return revoke_lease(context, *std::move(file));
}

Result<wire::InodeRow> leased_file(const MetaTables& tables, InodeId inode, LeaseEpoch epoch) {
  DOGFS_TRY(std::optional<wire::InodeRow> file, tables.inode(inode));
  if (!file) return Error(ErrorCode::kGone, fmt::format("inode {}", inode));
  if (file->type() != wire::InodeRow::FILE) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("inode {} is not a file", inode));
  }
  if (file->writer_session() == 0 || file->lease_epoch() != epoch.value()) {
    DOGFS_COVERAGE_MARK("meta: a stale lease epoch refused");
    return Error(ErrorCode::kLeaseLost, fmt::format("inode {}: lease epoch {} is not the present one", inode, epoch));
  }
  DOGFS_TRY(const bool attached, is_attached(tables, *file));
  if (!attached) return Error(ErrorCode::kGone, fmt::format("inode {}", inode));
  return *std::move(file);
}

}  // namespace dogfs
