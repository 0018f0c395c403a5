// Holds every byte of a sealed shard against its checksums, without a client asking.
#pragma once

#include <memory>
#include <vector>

#include "core/chunk/shard_disk.h"
#include "core/chunk/shard_table.h"
#include "core/env/env.h"

namespace dogfs {

// kCorrupt or kChecksumMismatch when the shard is damaged or gone; other errors say nothing about it. Reads past what
// the server's cache may hold: the file is opened anew. Precondition: the entry is a sealed one of `disk`.
Task<Status> verify_shard(Env& env, ShardDisk* disk, ShardKey key, ShardEntry entry);

}  // namespace dogfs
