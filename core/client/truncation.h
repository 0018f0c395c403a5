// Cuts a closed file to a shorter length: takes its lease, cuts, and ends the lease.
#pragma once

#include <cstdint>
#include <string>

#include "core/client/context.h"
#include "core/client/lease_keeper.h"

namespace dogfs {

// As Client::truncate. A long cut takes several commands; one that fails leaves the file somewhere between the lengths.
Task<Status> truncate_file(ClientContext& context, LeaseKeeper& leases, std::string path, uint64_t length);

}  // namespace dogfs
