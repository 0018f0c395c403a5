// The commands on the tree of directories. Each resolves its path from the root inside apply, so that nothing is done
// to a tree that was deleted just before, checks everything, and only then writes.
//
// Errors beside those of Path::parse and resolve are named at each. What is_store_error or is_missing_row is no answer.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/meta/apply_context.h"
#include "core/meta/path.h"
#include "core/meta/resolve.h"

namespace dogfs {

// kAlreadyExists; with `parents`, an existing directory is as good (its mode and policy stay). kLimitExceeded for a
// full directory. kInvalidArgument for a bad policy.
Result<wire::MakeDirectoryResult> make_directory(ApplyContext& context, const wire::MakeDirectory& operation);

// kNotADirectory for a file. The root cannot go without a policy: kInvalidArgument.
Status set_policy(ApplyContext& context, const wire::SetPolicy& operation);

// POSIX with `replace`: a file replaces a file, a directory an empty directory; else kIsADirectory, kNotADirectory,
// kDirectoryNotEmpty. Without: kAlreadyExists. Onto itself: nothing happens. Of or onto the root, or into itself:
// kInvalidArgument. kPathTooDeep when something in a subtree that moves down could come to lie deeper than kMaxPathDepth
// (InodeRow::height is a bound, so a subtree from which its deepest part was taken away may be refused as well). Under
// other quotas than it was: kQuotaExceeded, kLimitExceeded as of recharge (quota.h).
Status rename(ApplyContext& context, const wire::Rename& operation);

// kDirectoryNotEmpty without `recursive`. The root: kInvalidArgument. What was deleted is in the trash (trash.h), where
// the cluster keeps one and `skip_trash` is not set, or is reclaimed in the background (reclaim.h); a writer of it gets
// kGone either way.
Result<wire::DeleteResult> remove(ApplyContext& context, const wire::Delete& operation);

// --- What other commands on the tree share -------------------------------------------------------------------------

// A row of a new inode: id, times, owner. The group is the parent's, as in BSD and HDFS.
wire::InodeRow make_inode(ApplyContext& context, wire::InodeRow::Type type, uint32_t mode);

struct NewEntry {
  bool replaces =
      false;  // what was detached just before, and is charged to the quotas for a moment yet: they let it pass
};
// Puts `child` under `parent` and counts it. kLimitExceeded when the directory is full, kQuotaExceeded.
Status add_entry(ApplyContext& context, InodeId parent, std::string_view name, wire::InodeRow child,
                 NewEntry entry = {});

// Makes the directories of `path` that `resolution` found missing, less the last `spare` components; returns the
// deepest directory then.
Result<InodeId> make_missing_directories(ApplyContext& context, const Path& path, const Resolution& resolution,
                                         uint32_t mode);

// Hangs `inode`, which has no parent, in at a name that is free, and lets the heights above allow for it.
// kLimitExceeded when the directory is full.
Status attach(ApplyContext& context, wire::InodeRow inode, InodeId parent, std::string_view name);

// kPathTooDeep where something in `moved`, which was at `source`, could come to lie too deep at `target`.
Status check_depth(const wire::InodeRow& moved, const Path& source, const Path& target);

// Takes the entry that `resolution` found out of the tree. Its inode has no parent then, and is the caller's to put,
// and to keep or have reclaimed.
Result<wire::InodeRow> cut_off(ApplyContext& context, const Resolution& resolution, std::string_view name);

// Takes the entry that `resolution` found out of the tree and leaves its inode to be reclaimed.
Status detach(ApplyContext& context, const Resolution& resolution, std::string_view name);

}  // namespace dogfs
