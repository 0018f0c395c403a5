// Cutting a file to a shorter length.
//
// A block is immutable, so nothing of its shards changes: the blocks behind the new end go, and of the one that the end
// lies in the file shows less from then on. Its own length and checksums stay what its shards hold, for repair. What
// is appended later begins a block of its own at the new end.
//
// A file may have a million blocks and a command is bounded, so a long cut takes several commands, each from the end of
// the file backwards. In between the file is merely longer than asked for: it never has a hole, and a client that dies
// half-way leaves it so (docs/decisions/0009-append-begins-a-block.md).
#pragma once

#include <cstddef>

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

// Blocks that one command takes away, or shortens.
inline constexpr size_t kMaxTruncatedBlocks = 1000;

// Errors of leased_file; kInvalidArgument where the file is shorter already, kConflict while blocks are pending. The
// result says how long the file is now.
Result<wire::TruncateFileResult> truncate_file(ApplyContext& context, const wire::TruncateFile& operation);

}  // namespace dogfs
