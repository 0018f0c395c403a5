// Other blocks in the place of those that a file has: how it gets another erasure code, or fewer and longer blocks.
//
// Blocks are immutable, so nothing is re-encoded in place. Whoever holds the file's lease reads a stretch of it, writes
// the same bytes to new blocks, and exchanges old for new in one command, which is a compare-and-set: it names the
// blocks that it takes the place of. Readers see the one or the other. What is half-way when the writer dies is a file
// with blocks of two codes, each of which says how it is coded: nothing is lost, and another try goes on from there.
#pragma once

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

// Errors of leased_file and, for the new blocks, of commit_block. kConflict unless `replaced` are neighbours in the
// file and the new blocks are exactly as long as what the file has of them. kInvalidArgument: none, or too many.
Status replace_blocks(ApplyContext& context, const wire::ReplaceBlocks& operation);

}  // namespace dogfs
