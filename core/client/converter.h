// Writes a file's blocks anew where they are not as they would be written today: by the policy that the file is to have,
// and none shorter than need be.
//
// The file's lease is held meanwhile, so nobody else writes it; readers go on, and find the old or the new blocks
// (core/meta/replace_blocks.h). A run of neighbours that fit into one block becomes one; a block of another policy is
// written anew by itself, as several where it is larger than blocks are to be. What lies in the inode stays there.
// One block is in memory at a time.
#pragma once

#include <string>

#include "core/client/client.h"
#include "core/client/context.h"
#include "core/client/lease_keeper.h"

namespace dogfs {

// `policy`: absent where the file's own stays. kLeaseHeld while somebody writes the file; kLimitExceeded where a block
// would become more than kMaxPendingBlocks. After any other error what was done stays, and may be gone on with.
Task<Result<ConvertOutcome>> convert_file(ClientContext& context, LeaseKeeper& leases, std::string path,
                                          std::optional<wire::EcPolicy> policy);

}  // namespace dogfs
