// The inline tail: the last bytes of a file, kept in the metadata itself.
//
// A block of a few hundred bytes costs as much as a large one: d + m shards, a row for each, a repair for each when
// their servers die. So where a file ends with less than is worth that, its end stays with its inode: it is in the log
// of Raft, hence as durable and as consistent as the file's name, and a small file is read with the answer that says
// where it is. HDFS and Ceph's small files are where the price of not doing so shows; ext4's inline data is the idea.
//
// A tail always lies behind the last block. Blocks begin where the tail begins: a writer that goes on fills its next
// block from the bytes of the tail on, and the commit of that block takes the tail's place in the same command, so that
// what was acknowledged is in the file at every moment, once.
#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

// Where the blocks of a file end and the next one begins.
inline uint64_t blocks_end(const wire::InodeRow& file) {
  return file.length() - file.tail_bytes();
}

// Errors of leased_file, and of put_tail.
Result<wire::CommitTailResult> commit_tail(ApplyContext& context, const wire::CommitTail& operation);

// Makes `data` what lies behind the blocks of `file`. The row of the file is the caller's to write. kInvalidArgument:
// no bytes, or more than kMaxInlineTailBytes; kConflict: `offset` is not where the blocks end, or the tail that is there
// is longer; kQuotaExceeded.
Status put_tail(ApplyContext& context, wire::InodeRow& file, uint64_t offset, const std::string& data);

// The same for what the tail loses: it keeps its first `kept` bytes. Precondition: it has as many.
Status cut_tail(ApplyContext& context, wire::InodeRow& file, uint32_t kept);

}  // namespace dogfs
