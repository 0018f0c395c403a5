// The rows that are derived from those of committed blocks, so that no background job ever scans all blocks: the blocks
// that need work by risk, the blocks of each server, the blocks with reservations, and how many there are of each kind.
// They change in the same command as the block's row, always by the pair of calls below.
#pragma once

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

// Writes the row of a committed block and all that is derived from it. Precondition: nothing derived from an earlier
// form of it is there (it was unindexed, or has just been committed).
void put_indexed(ApplyContext& context, const wire::BlockRow& block);

// Takes back what is derived from `block`, which is the row as it lies in the table. Precondition: it is committed.
void unindex(ApplyContext& context, const wire::BlockRow& block);

// For tests and the invariants: the rows that put_indexed derives.
wire::ListedShardRow listed_row(const wire::Shard& shard, uint64_t log_index);

}  // namespace dogfs
