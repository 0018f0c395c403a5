// The life of a block: allocated (a writer may put shards on these servers), then committed (it is part of the file,
// for good and unchanged) or abandoned.
//
// Several blocks of a file may be pending at once, and are committed in the order of their offsets: a commit names where
// the file's blocks end at present, so pipelined blocks become visible in order and never with a hole. A block may be shorter
// than its policy allows anywhere in a file, since readers go by the recorded offsets: a synced or an appended file has such.
//
// Every (index, server, generation) that a writer was ever told of stays in the row of the allocated block. On commit
// those that are durable become the block's shards and the others garbage, so that a shard that is sealed late, after
// the writer had given it up, does not stay for ever.
#pragma once

#include "core/base/mutant.h"
#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

// (index, server, generation) attempts at one block, replacements included.
inline constexpr int kMaxShardAttempts = 256;

// Errors of leased_file, and kLimitExceeded, kInvalidArgument (length), kConflict (placement by the leader does not
// fit: it is proposed again), kQuotaExceeded: its bytes are reserved.
Result<wire::AllocateBlockResult> allocate_block(ApplyContext& context, const wire::AllocateBlock& operation);

// One more attempt at a shard of a pending block, on a server that holds none of its present targets. The earlier
// attempt may still be committed. Errors as allocate_block.
Result<wire::ReplaceTargetResult> replace_target(ApplyContext& context, const wire::ReplaceTarget& operation);

// The block takes the place of an inline tail, whose bytes it begins with. kConflict unless the block is pending in this
// file, `offset` is where its blocks end, and the tail is not longer; kInvalidArgument unless the shards are exactly
// those of the geometry, each durable one on a server of its own and an attempt that was issued for this very index;
// kInsufficientServers with fewer than d + 1 durable; kQuotaExceeded for a block that came out longer than it was said
// to be, and has no room.
Result<wire::CommitBlockResult> commit_block(ApplyContext& context, const wire::CommitBlock& operation);

// The part of a commit that is about the block itself: a pending block becomes one of the file's, at its offset. The
// row of the file is the caller's to write. Errors as commit_block.
Status publish_block(ApplyContext& context, wire::InodeRow& file, const wire::CommitBlock& operation);

// kConflict unless the block is pending in this file.
Status abandon_block(ApplyContext& context, const wire::AbandonBlock& operation);

// The shards that must be durable for a block that has `stored_data` data shards: one can be lost at once, and the
// block is still there.
inline uint32_t durable_minimum(uint32_t stored_data) {
  return stored_data + (mutant_active(Mutant::kCommitAtExactlyK) ? 0 : 1);
}

// The targets of an allocated block: the last attempt of each index, ascending.
std::vector<wire::Shard> current_targets(const wire::BlockRow& block);

// The block's shards become garbage, and its rows go, whether it is committed or pending. What lists it is the
// caller's, and to release the bytes that it counted for, which are the result.
Result<uint64_t> forget_block(ApplyContext& context, BlockId id);

}  // namespace dogfs
