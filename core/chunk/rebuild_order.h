// An order to rebuild a shard, checked: nothing that comes from outside is believed (its leader may be of another
// release).
#pragma once

#include <vector>

#include "core/chunk/shard_key.h"
#include "core/ec/geometry.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

struct RebuildOrder {
  ShardKey key;
  BlockLayout layout;
  uint32_t crc = 0;
  std::vector<wire::Shard> sources;  // most welcome first, each index once

  uint64_t length() const { return layout.shard_length(key.index); }
};

// kInvalidArgument for an order that no block can have; kDataLoss with too few sources.
Result<RebuildOrder> parse_rebuild_order(const wire::RepairOrder& message);

}  // namespace dogfs
