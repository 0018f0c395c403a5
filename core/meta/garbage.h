// Shards that are to be deleted. Naming one here is the only way in which a sealed shard ever goes: its server deletes
// it and says so, and then the row goes too. One that another took the place of may be taken back before that, if the
// other turns out to be damaged (AdoptShards).
#pragma once

#include "core/meta/apply_context.h"

namespace dogfs {

// Turns every shard that was or may have been written for `block` into garbage.
void discard_shards(ApplyContext& context, const wire::BlockRow& block);

// Marks one shard for deletion from its server. Each is marked once, since generations are.
void add_garbage(ApplyContext& context, BlockId block, const wire::Shard& shard);
void add_garbage(ApplyContext& context, const GarbageShard& shard, const wire::GarbageRow& row);
// Precondition: it is marked.
void erase_garbage(ApplyContext& context, const GarbageShard& shard);

// What a reservation's target may have written.
GarbageShard reserved_shard(BlockId block, const wire::RepairReservation& reservation);

}  // namespace dogfs
