// How safe a block is, by what is said of its shards.
//
// A block is healthy with all its shards; degraded while some are missing or damaged, and one more can be lost at
// least; at risk when no further loss can be borne; lost when fewer are left than decode it.
#pragma once

#include <string>
#include <string_view>

#include "core/wire/meta.pb.h"
#include "core/wire/report.pb.h"

namespace dogfs::cli {

using BlockHealth = wire::FsckBlock::Health;

BlockHealth health_of(const wire::BlockLocation& block);
std::string_view health_name(BlockHealth health);

// Whether the shard can be counted on.
bool is_intact(const wire::Shard& shard);
uint32_t intact_shards(const wire::BlockLocation& block);
// How many shards decode a committed block.
uint32_t needed_shards(const wire::BlockLocation& block);
// "missing", "damaged on server 3 10.0.0.3:7100" and the like.
std::string describe_place(const wire::Shard& shard);

}  // namespace dogfs::cli
