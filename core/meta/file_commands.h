// Opening and ending the writing of a file: one writer at a time, under a lease whose epoch all its commands carry.
//
// The lease's epoch is a fencing token: it rises whenever the lease changes hands, so that a writer that was believed
// dead and is not gets kLeaseLost, whatever it sends and however late.
#pragma once

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

// As HDFS has it: what exists is kAlreadyExists, or kLeaseHeld while somebody writes it. With `overwrite` the file is
// replaced in one step whether it is being written or not, and a writer of the old one gets kGone. A directory is
// kIsADirectory. The file has the policy that its directory has now, whatever becomes of that.
Result<wire::CreateFileResult> create_file(ApplyContext& context, const wire::CreateFile& operation);

// Takes the lease of a closed file, for a writer that begins at its end. With a policy, the file's blocks are coded by
// that from now on; kInvalidArgument if it is none. kLeaseHeld while somebody writes the file.
Result<wire::AppendFileResult> append_file(ApplyContext& context, const wire::AppendFile& operation);

// Ends the lease, after it has put the inline tail that comes with it. kConflict while blocks are pending, or when the
// length is not what the writer says.
Status close_file(ApplyContext& context, const wire::CloseFile& operation);

// Takes the lease from whoever has it and closes the file at what was committed. It asks no chunk server, so it always
// ends. A file that nobody writes is left as it is.
Status recover_lease(ApplyContext& context, const wire::RecoverLease& operation);

// The same for a writer that fell silent. Nothing happens unless the lease is still that one.
Status expire_lease(ApplyContext& context, const wire::ExpireLease& operation);

// --- What other commands on files share ------------------------------------------------------------------------------

// The file, if `epoch` is its present lease and it can be reached from the root. kGone if it was deleted, kLeaseLost
// if the lease is not that one.
Result<wire::InodeRow> leased_file(const MetaTables& tables, InodeId inode, LeaseEpoch epoch);

}  // namespace dogfs
