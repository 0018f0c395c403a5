// The trash: what was deleted and can still be restored.
//
// Deleting is one write whatever the size of the tree: its top is cut off, and nothing in it has a path any more. What
// distinguishes a tree in the trash from one that is being reclaimed is only the row that keeps it: a TrashRow instead
// of a DetachedRow. So to restore is one command as well, of the same kind as a rename; and when a tree's time is over,
// its top gets the DetachedRow, and reclaim.h does the rest.
//
// Until then everything in it is as it was: its blocks are repaired, who has a file open reads on, and it counts as
// existing. Writers get kGone, as of any deleted file. Only what Delete names goes into the trash: a file or empty
// directory that is replaced by another does not, since whoever replaces it says so.
//
// When a tree goes is fixed when it is deleted, in log time. A cluster that nobody could reach for a week has not aged
// by a week, and no clock can make the trash go early.
#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "core/meta/apply_context.h"
#include "core/meta/path.h"
#include "core/meta/resolve.h"

namespace dogfs {

inline constexpr int64_t kMaxTrashPeriodMs = int64_t{3650} * 86'400 * 1000;
// Trees that one command takes out of the trash.
inline constexpr uint32_t kMaxTrashRows = 1000;
// A page of ListTrash ends at the first of these that it passes.
inline constexpr uint32_t kMaxTrashPageEntries = 1000;
inline constexpr size_t kMaxTrashPageBytes = 1 << 20;
static_assert(kMaxTrashPeriodMs < kMaxLogTimeMs, "an end in log time does not overflow");

// A tree in the trash.
struct Trashed {
  wire::InodeRow top;
  wire::TrashRow row;
};
// kNotFound where the inode is not the top of one (any more).
Result<Trashed> find_trashed(const MetaTables& tables, InodeId id);

// kInvalidArgument for a negative period, or one above kMaxTrashPeriodMs. What is in the trash stays as long as it was
// to stay.
Status set_trash_period(ApplyContext& context, const wire::SetTrashPeriod& operation);

// Cuts off what `resolution` found at `path`, and keeps it. Precondition: the cluster has a trash period.
Result<wire::DeleteResult> put_into_trash(ApplyContext& context, const Resolution& resolution, const Path& path);

// kNotFound where the inode is not the top of a tree in the trash (any more), or the target's directory is missing and
// is not to be made; kAlreadyExists where the target is there; kPathTooDeep, kLimitExceeded, kQuotaExceeded as of
// rename and mkdir.
Status restore_trash(ApplyContext& context, const wire::RestoreTrash& operation);

// kNotFound as restore_trash. kInvalidArgument unless exactly one of inode and all is given.
Result<wire::PurgeTrashResult> purge_trash(ApplyContext& context, const wire::PurgeTrash& operation);

// Gives up to `operation.max_rows` trees whose time is over to reclaiming. kInvalidArgument for 0 or above
// kMaxTrashRows.
Status expire_trash(ApplyContext& context, const wire::ExpireTrash& operation);

// The log time at which the first tree in the trash goes; nullopt while there is none.
Result<std::optional<int64_t>> next_trash_expiry(const MetaTables& tables);

}  // namespace dogfs
