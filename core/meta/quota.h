// Quotas: how many names and how many stored bytes there may be in a directory and below it.
//
// A quota is a row of limits and of what is charged to them, kept at the directory. Whatever is made, written, moved or
// reclaimed is charged to, or released from, the quotas of all directories on its way to the root, in the command that
// does it: so a quota is exact, also between two writers of one directory. A cluster without quotas does not look.
//
// Names are inodes: the directory itself, and all that is below it. Bytes are what erasure coding makes of a file: all
// d + m shards of its blocks by their geometry, whether they are stored at the moment or are yet to be repaired. They
// are reserved when a block is allocated (for as much as the writer says that it will hold), settled by its commit, and
// released when the block goes. An inline tail counts for its own bytes. A file keeps the sum of its own (InodeRow::stored_bytes), so that to count a tree is to
// visit its inodes and not its blocks.
//
// What was deleted goes on being charged until it is reclaimed, for until then it takes the space. Its top is cut off
// from the directories that are charged for it, and so its TrashRow or DetachedRow names them, and reclaiming hands
// that down. A quota may be cleared, and another set, before that: each has an id of its own, and what was charged to
// one is never released from another.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <cstdint>

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

// The highest limit. Sums of two such do not overflow.
inline constexpr uint64_t kMaxQuota = uint64_t{1} << 60;
// Inodes that one command counts: for the first quota of a directory that has content, or to move a tree from under
// some quotas to under others. It takes about half a second, in which no other command is applied.
inline constexpr uint64_t kMaxCountedInodes = 50'000;

struct Usage {
  uint64_t names = 0;
  uint64_t bytes = 0;
};

using Charges = google::protobuf::RepeatedPtrField<wire::QuotaCharge>;

// The quotas that `inode` counts against: of itself and of what is above it, or was when it was cut off.
Result<Charges> charges_of(const ApplyContext& context, const wire::InodeRow& inode);
Result<Charges> charges_of(const ApplyContext& context, InodeId inode);

// kQuotaExceeded, with the directory, its limit and what is used of it, where one has no room. Quotas that are gone are
// passed over.
Status charge(ApplyContext& context, const Charges& charges, Usage usage);
// As charge, of what takes the place of something that is about to be reclaimed: there may be too many for so long.
Status charge_unchecked(ApplyContext& context, const Charges& charges, Usage usage);
Status release(ApplyContext& context, const Charges& charges, Usage usage);

// The tree of `top`, which was charged to `from`, comes to be charged to `to`. What is in both is left as it is, and
// where that is all, nothing is counted. kQuotaExceeded; kLimitExceeded for more than kMaxCountedInodes.
Status recharge(ApplyContext& context, const wire::InodeRow& top, const Charges& from, const Charges& to);

// From now on the blocks of `file` count for `bytes`. The row is the caller's to put. kQuotaExceeded where that is more
// than before, and more than some quota has room for.
Status set_stored_bytes(ApplyContext& context, wire::InodeRow& file, uint64_t bytes);
// Likewise, so many fewer.
Status drop_stored_bytes(ApplyContext& context, wire::InodeRow& file, uint64_t bytes);

// Sets, changes or clears. kNotADirectory for a file. kInvalidArgument for limits above kMaxQuota, and unless something
// is asked. kLimitExceeded where more than kMaxCountedInodes would have to be counted. A limit below what is used is no
// error: nothing can be added then.
Status set_quota(ApplyContext& context, const wire::SetQuota& operation);

}  // namespace dogfs
