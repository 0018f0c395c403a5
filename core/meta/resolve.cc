#include "core/meta/resolve.h"

#include "core/base/printable.h"

namespace dogfs {

Error path_error(ErrorCode code, std::string_view path) {
  return Error(code, printable(path));
}

Result<Resolution> resolve(const MetaTables& tables, const Path& path) {
  Resolution resolution;
  wire::DirectoryEntryRow current;
  current.set_inode(kRootInode.value());
  current.set_type(wire::InodeRow::DIRECTORY);
  current.set_own_policy(true);
  resolution.directories.reserve(path.components().size());
  for (const std::string_view name : path.components()) {
    if (current.type() != wire::InodeRow::DIRECTORY) {
      return path_error(ErrorCode::kNotADirectory, path.prefix(resolution.found));
    }
    const InodeId directory(current.inode());
    resolution.directories.push_back(directory);
    if (current.own_policy()) resolution.policy_directory = directory;
    DOGFS_TRY(std::optional<wire::DirectoryEntryRow> next, tables.entry(directory, name));
    if (!next) return resolution;
    current = *std::move(next);
    ++resolution.found;
  }
  resolution.entry = std::move(current);
  return resolution;
}

Result<Resolution> resolve_existing(const MetaTables& tables, const Path& path) {
  DOGFS_TRY(Resolution resolution, resolve(tables, path));
  if (!resolution.entry) return path_error(ErrorCode::kNotFound, path.prefix(resolution.found + 1));
  return resolution;
}

Result<wire::EcPolicy> effective_policy(const MetaTables& tables, const Resolution& resolution) {
  const InodeId holder = resolution.entry->own_policy() ? resolution.inode() : resolution.policy_directory;
  DOGFS_TRY(const wire::InodeRow row, tables.required_inode(holder));
  return row.policy();
}

Result<bool> is_attached(const MetaTables& tables, const wire::InodeRow& inode) {
  InodeId at(inode.inode());
  InodeId parent(inode.parent());
  while (at != kRootInode) {
    if (parent.is_none()) return false;
    DOGFS_TRY(const wire::InodeRow row, tables.required_inode(parent));
    at = parent;
    parent = InodeId(row.parent());
  }
  return true;
}

}  // namespace dogfs
