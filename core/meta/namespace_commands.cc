#include "core/meta/namespace_commands.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/base/printable.h"
#include "core/ec/policy_wire.h"
#include "core/meta/quota.h"
#include "core/meta/trash.h"

namespace dogfs {
namespace {

constexpr uint32_t kModeBits = 07777;

wire::DirectoryEntryRow entry_of(const wire::InodeRow& inode) {
  wire::DirectoryEntryRow entry;
  entry.set_inode(inode.inode());
  entry.set_type(inode.type());
  entry.set_own_policy(inode.has_policy());
  return entry;
}

// Takes one from the entries of `parent`.
Status remove_entry(ApplyContext& context, InodeId parent_id, std::string_view name) {
  DOGFS_TRY(wire::InodeRow parent, context.tables.required_inode(parent_id));
  parent.set_entries(parent.entries() - 1);
  if (parent.entries() == 0) parent.set_height(0);
  parent.set_mtime_ms(context.wall_ms());
  context.tables.put(parent);
  context.tables.erase(context.tables.keys().entry(parent_id, name));
  return ok();
}

// The heights above are the caller's to raise.
Status hang_in(ApplyContext& context, InodeId parent_id, std::string_view name, wire::InodeRow child,
               NewEntry entry = {}) {
  DOGFS_TRY(wire::InodeRow parent, context.tables.required_inode(parent_id));
  if (parent.entries() >= kMaxDirectoryEntries) {
    return Error(ErrorCode::kLimitExceeded,
                 fmt::format("the directory of \"{}\" has {} entries already", printable(name), parent.entries()));
  }
  DOGFS_TRY(const Charges charges, charges_of(context, parent));
  DOGFS_TRYV(entry.replaces ? charge_unchecked(context, charges, {.names = 1})
                            : charge(context, charges, {.names = 1}));
  parent.set_entries(parent.entries() + 1);
  parent.set_mtime_ms(context.wall_ms());
  context.tables.put(parent);
  child.set_parent(parent_id.value());
  child.set_entry_name(std::string(name));
  child.set_group(parent.group());
  context.tables.put(child);
  context.tables.put_entry(parent_id, name, entry_of(child));
  if (child.type() == wire::InodeRow::DIRECTORY) {
    context.counters.set_directories(context.counters.directories() + 1);
  } else {
    context.counters.set_files(context.counters.files() + 1);
  }
  return ok();
}

Status check_replaceable(const MetaTables& tables, const Resolution& source, const Resolution& target,
                         std::string_view path) {
  if (!target.is_directory()) {
    return source.is_directory() ? Status(path_error(ErrorCode::kNotADirectory, path)) : ok();
  }
  if (!source.is_directory()) return path_error(ErrorCode::kIsADirectory, path);
  DOGFS_TRY(const wire::InodeRow row, tables.required_inode(target.inode()));
  if (row.entries() > 0) return path_error(ErrorCode::kDirectoryNotEmpty, path);
  return ok();
}

// Lets the heights of `directory` and of those above it allow for an entry that makes it `height` levels high.
Status raise_heights(ApplyContext& context, InodeId directory, uint32_t height) {
  while (true) {
    DOGFS_TRY(wire::InodeRow row, context.tables.required_inode(directory));
    // Then it is so for all that are above as well.
    if (row.height() >= height) return ok();
    row.set_height(height++);
    context.tables.put(row);
    if (directory == kRootInode) return ok();
    directory = InodeId(row.parent());
  }
}

}  // namespace

wire::InodeRow make_inode(ApplyContext& context, wire::InodeRow::Type type, uint32_t mode) {
  wire::InodeRow row;
  row.set_inode(context.new_inode().value());
  row.set_type(type);
  row.set_mode(mode & kModeBits);
  row.set_owner(context.command.principal());
  row.set_mtime_ms(context.wall_ms());
  row.set_ctime_ms(context.wall_ms());
  return row;
}

Status add_entry(ApplyContext& context, InodeId parent, std::string_view name, wire::InodeRow child, NewEntry entry) {
  DOGFS_TRYV(hang_in(context, parent, name, std::move(child), entry));
  return raise_heights(context, parent, 1);
}

Status attach(ApplyContext& context, wire::InodeRow inode, InodeId parent_id, std::string_view name) {
  DOGFS_TRY(wire::InodeRow parent, context.tables.required_inode(parent_id));
  if (parent.entries() >= kMaxDirectoryEntries) return path_error(ErrorCode::kLimitExceeded, "the directory is full");
  parent.set_entries(parent.entries() + 1);
  parent.set_mtime_ms(context.wall_ms());
  context.tables.put(parent);
  inode.set_parent(parent_id.value());
  inode.set_entry_name(std::string(name));
  inode.set_ctime_ms(context.wall_ms());
  context.tables.put(inode);
  context.tables.put_entry(parent_id, name, entry_of(inode));
  return raise_heights(context, parent_id, inode.height() + 1);
}

// No path may become longer than kMaxPathDepth, or what it leads to could not be named any more. Where a subtree does
// not move down, none does.
Status check_depth(const wire::InodeRow& moved, const Path& source, const Path& target) {
  const size_t depth = target.components().size();
  if (depth <= source.components().size() || depth + moved.height() <= kMaxPathDepth) return ok();
  return Error(ErrorCode::kPathTooDeep,
               fmt::format("\"{}\" would be {} levels deep, and may have {} more below it; the limit is {}",
                           printable(target.text()), depth, moved.height(), kMaxPathDepth));
}

Result<InodeId> make_missing_directories(ApplyContext& context, const Path& path, const Resolution& resolution,
                                         uint32_t mode) {
  InodeId directory = resolution.parent();
  const auto parents = path.components().first(path.components().size() - 1);
  for (const std::string_view name : parents.subspan(std::min(resolution.found, parents.size()))) {
    const wire::InodeRow made = make_inode(context, wire::InodeRow::DIRECTORY, mode);
    DOGFS_TRYV(hang_in(context, directory, name, made));
    directory = InodeId(made.inode());
  }
  return directory;
}

Result<wire::MakeDirectoryResult> make_directory(ApplyContext& context, const wire::MakeDirectory& operation) {
  DOGFS_TRY(const Path path, Path::parse(operation.path()));
  if (operation.has_policy()) {
    DOGFS_TRYV(geometry_from_wire(operation.policy()));
  }
  DOGFS_TRY(const Resolution resolution, resolve(context.tables, path));
  wire::MakeDirectoryResult result;
  if (resolution.entry) {
    if (!operation.parents()) return path_error(ErrorCode::kAlreadyExists, path.text());
    if (!resolution.is_directory()) return path_error(ErrorCode::kNotADirectory, path.text());
    result.set_inode(resolution.inode().value());
    return result;
  }
  const size_t missing = path.components().size() - resolution.found;
  if (missing > 1 && !operation.parents()) {
    return path_error(ErrorCode::kNotFound, path.prefix(resolution.found + 1));
  }
  DOGFS_TRY(const InodeId parent, make_missing_directories(context, path, resolution, operation.mode()));
  wire::InodeRow made = make_inode(context, wire::InodeRow::DIRECTORY, operation.mode());
  if (operation.has_policy()) *made.mutable_policy() = operation.policy();
  DOGFS_TRYV(add_entry(context, parent, path.name(), made));
  result.set_inode(made.inode());
  return result;
}

Status set_policy(ApplyContext& context, const wire::SetPolicy& operation) {
  DOGFS_TRY(const Path path, Path::parse(operation.path()));
  if (operation.has_policy()) {
    DOGFS_TRYV(geometry_from_wire(operation.policy()));
  }
  DOGFS_TRY(const Resolution resolution, resolve_existing(context.tables, path));
  if (!resolution.is_directory()) return path_error(ErrorCode::kNotADirectory, path.text());
  if (path.is_root() && !operation.has_policy()) {
    return Error(ErrorCode::kInvalidArgument, "the root directory has nothing to inherit a policy from");
  }
  DOGFS_TRY(wire::InodeRow directory, context.tables.required_inode(resolution.inode()));
  directory.clear_policy();
  if (operation.has_policy()) *directory.mutable_policy() = operation.policy();
  directory.set_ctime_ms(context.wall_ms());
  context.tables.put(directory);
  if (!path.is_root()) context.tables.put_entry(resolution.parent(), path.name(), entry_of(directory));
  return ok();
}

Status rename(ApplyContext& context, const wire::Rename& operation) {
  DOGFS_TRY(const Path source_path, Path::parse(operation.source()));
  DOGFS_TRY(const Path target_path, Path::parse(operation.target()));
  if (source_path.is_root() || target_path.is_root()) {
    return Error(ErrorCode::kInvalidArgument, "the root directory cannot be renamed or replaced");
  }
  DOGFS_TRY(const Resolution source, resolve_existing(context.tables, source_path));
  if (source_path.text() == target_path.text()) return ok();
  DOGFS_TRY(const Resolution target, resolve(context.tables, target_path));
  if (std::ranges::find(target.directories, source.inode()) != target.directories.end()) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("\"{}\" cannot be moved into itself, to \"{}\"", printable(source_path.text()),
                             printable(target_path.text())));
  }
  if (target.found + 1 < target_path.components().size()) {
    return path_error(ErrorCode::kNotFound, target_path.prefix(target.found + 1));
  }
  DOGFS_TRY(const wire::InodeRow moved, context.tables.required_inode(source.inode()));
  DOGFS_TRYV(check_depth(moved, source_path, target_path));
  if (target.entry) {
    if (!operation.replace()) return path_error(ErrorCode::kAlreadyExists, target_path.text());
    DOGFS_TRYV(check_replaceable(context.tables, source, target, target_path.text()));
    DOGFS_TRYV(detach(context, target, target_path.name()));
  }
  DOGFS_TRY(const Charges from, charges_of(context, source.parent()));
  DOGFS_TRY(const Charges to, charges_of(context, target.parent()));
  DOGFS_TRYV(recharge(context, moved, from, to));
  DOGFS_TRY(wire::InodeRow cut, cut_off(context, source, source_path.name()));
  return attach(context, std::move(cut), target.parent(), target_path.name());
}

namespace {

// Between a writer's failure and its word that what it has left can go, another may have put a file of its own there, or
// gone on with this one.
Status check_left_by_writer(const MetaTables& tables, const Resolution& resolution, const wire::Delete& operation) {
  if (operation.inode() == 0) return ok();
  if (resolution.inode().value() != operation.inode()) return path_error(ErrorCode::kGone, operation.path());
  DOGFS_TRY(const wire::InodeRow file, tables.required_inode(resolution.inode()));
  if (file.lease_epoch() != operation.lease_epoch()) return path_error(ErrorCode::kLeaseLost, operation.path());
  return ok();
}

}  // namespace

Result<wire::DeleteResult> remove(ApplyContext& context, const wire::Delete& operation) {
  DOGFS_TRY(const Path path, Path::parse(operation.path()));
  if (path.is_root()) return Error(ErrorCode::kInvalidArgument, "the root directory cannot be deleted");
  DOGFS_TRY(const Resolution resolution, resolve_existing(context.tables, path));
  DOGFS_TRYV(check_left_by_writer(context.tables, resolution, operation));
  if (resolution.is_directory() && !operation.recursive()) {
    DOGFS_TRY(const wire::InodeRow directory, context.tables.required_inode(resolution.inode()));
    if (directory.entries() > 0) return path_error(ErrorCode::kDirectoryNotEmpty, path.text());
  }
  if (context.counters.trash_ms() > 0 && !operation.skip_trash()) return put_into_trash(context, resolution, path);
  DOGFS_TRYV(detach(context, resolution, path.name()));
  return wire::DeleteResult();
}

Result<wire::InodeRow> cut_off(ApplyContext& context, const Resolution& resolution, std::string_view name) {
  DOGFS_TRYV(remove_entry(context, resolution.parent(), name));
  DOGFS_TRY(wire::InodeRow inode, context.tables.required_inode(resolution.inode()));
  inode.set_parent(0);
  inode.clear_entry_name();
  return inode;
}

Status detach(ApplyContext& context, const Resolution& resolution, std::string_view name) {
  DOGFS_TRY(const wire::InodeRow inode, cut_off(context, resolution, name));
  context.tables.put(inode);
  wire::DetachedRow row;
  DOGFS_TRY(*row.mutable_charges(), charges_of(context, resolution.parent()));
  context.tables.put_detached(resolution.inode(), row);
  return ok();
}

}  // namespace dogfs
