// Taking apart what was deleted, in steps that are each bounded, whatever the size of the tree.
//
// Deleting is one command that cuts a tree off and notes its top as detached. The leader then proposes steps until
// nothing is detached any more. A step turns the first detached directory's entries into detached inodes of their own
// (so the depth of a tree never matters, there is no recursion), or the first detached file's blocks into garbage
// shards, a bounded number of rows at a time. A cursor in the detached row keeps a step from passing again over all
// that earlier ones erased, which in a log-structured store would make the whole quadratic. What is taken apart is
// released from the quotas that it is charged to, and until then its parts inherit these.
#pragma once

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

inline constexpr uint32_t kMaxReclaimRows = 10'000;

// Reclaims at most `operation.max_rows` entries, blocks and inodes. kInvalidArgument for 0 or above kMaxReclaimRows.
Status reclaim_step(ApplyContext& context, const wire::ReclaimStep& operation);

}  // namespace dogfs
