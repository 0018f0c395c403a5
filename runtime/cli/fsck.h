// `dogfs fsck`: how safe each file is.
//
// A block is healthy with all its shards; degraded while some are missing or damaged, and one more can be lost at least;
// at risk when no further loss can be borne; lost when fewer are left than decode it. This is what the metadata knows:
// servers that are dead, and damage that was found by readers and scrubbers. Nothing is read.
#pragma once

#include <string>
#include <vector>

#include "core/env/task.h"
#include "core/wire/meta.pb.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

enum class BlockHealth : uint8_t { kHealthy, kDegraded, kAtRisk, kLost };

BlockHealth health_of(const wire::BlockLocation& block);
std::string_view health_name(BlockHealth health);

// Whether the shard can be counted on.
bool is_intact(const wire::Shard& shard);
uint32_t intact_shards(const wire::BlockLocation& block);
// How many shards decode a committed block.
uint32_t needed_shards(const wire::BlockLocation& block);
// "missing", "damaged on server 3 10.0.0.3:7100" and the like.
std::string describe_place(const wire::Shard& shard);

struct FsckOptions {
  std::string path = "/";
};

// Prints every block that is not healthy, with its shards, and a summary. Fails with kDataLoss where a block is lost.
Task<void> check_files(Session& session, FsckOptions options);

}  // namespace dogfs::cli
