// From a path to inodes, one directory entry at a time from the root.
#pragma once

#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/meta/path.h"
#include "core/meta/tables.h"

namespace dogfs {

// How far a path leads.
struct Resolution {
  // The directories on the way, the root first, without what the last component names. Empty for the root itself.
  std::vector<InodeId> directories;
  // How many components exist.
  size_t found = 0;
  // What the whole path names; nullopt where it does not exist.
  std::optional<wire::DirectoryEntryRow> entry;
  // The nearest of `directories` with a policy of its own, which is what a new file there inherits.
  InodeId policy_directory = kRootInode;

  InodeId inode() const { return InodeId(entry->inode()); }
  bool is_directory() const { return entry->type() == wire::InodeRow::DIRECTORY; }
  // Where the first component that is missing would go, or the last one is. Precondition: not the root's path.
  InodeId parent() const { return directories.back(); }
};

// Follows `path` as far as it exists. kNotADirectory where a component before the last is a file.
Result<Resolution> resolve(const MetaTables& tables, const Path& path);

// As resolve, but kNotFound unless all of it exists.
Result<Resolution> resolve_existing(const MetaTables& tables, const Path& path);

// The policy that holds in `directory`: its own, or what `path` inherits. Precondition: path leads to directory.
Result<wire::EcPolicy> effective_policy(const MetaTables& tables, const Resolution& resolution);

// Whether the root is reached from `inode` by parents: false once it, or a directory above it, was deleted.
Result<bool> is_attached(const MetaTables& tables, const wire::InodeRow& inode);

// "path ..." errors, with the path made printable.
Error path_error(ErrorCode code, std::string_view path);

}  // namespace dogfs
