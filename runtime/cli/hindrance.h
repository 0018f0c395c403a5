// What an operator is told of shards that are to be rebuilt or moved: how long that will take, and why some are not.
#pragma once

#include <cstdint>
#include <string>

#include "core/wire/common.pb.h"
#include "core/wire/meta.pb.h"

namespace dogfs::cli {

// "12 shards, as of block 7: every server that takes shards has one of the block already: add servers"
std::string describe_hindrance(const wire::RepairHindrance& hindrance);

// "about 1:20 at the rate of late"
std::string describe_estimate(int64_t estimate_ms);

// "3 shards are moving to other racks, 12 blocks wait for their turn; 40 shards moved so far"
std::string describe_rack_repair(const wire::RackRepair& racks);

// Whether it stays so until somebody adds or brings back something.
bool needs_operator(wire::RepairHindrance::Reason reason);

}  // namespace dogfs::cli
