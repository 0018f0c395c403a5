// A committed block of a file as the metadata describes it, checked against its own geometry.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/client/shard.h"
#include "core/ec/geometry.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

struct FileBlock {
  BlockId block;
  uint64_t offset = 0;  // in the file
  BlockLayout layout;
  // How many of its bytes are the file's, from the first on: fewer than it has where the file was truncated within it.
  uint64_t visible_length = 0;
  // Every stored index once, in ascending order.
  std::vector<Shard> shards;

  uint64_t end() const { return offset + visible_length; }
  // Precondition: `index` is stored.
  const Shard& shard(ShardIndex index) const;
};

// What the file has of a block.
inline uint64_t visible_length(const wire::BlockLocation& location) {
  return location.visible_length() == 0 ? location.length() : location.visible_length();
}

// kProtocolError unless the geometry is valid and the shards are exactly those that it says, with their lengths.
Result<FileBlock> file_block_from_wire(const wire::BlockLocation& location);

}  // namespace dogfs
