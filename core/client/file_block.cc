#include "core/client/file_block.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/ec/policy_wire.h"

namespace dogfs {

const Shard& FileBlock::shard(ShardIndex index) const {
  const auto it = std::ranges::lower_bound(shards, index, {}, &Shard::index);
  DOGFS_CHECK(it != shards.end() && it->index == index);
  return *it;
}

Result<FileBlock> file_block_from_wire(const wire::BlockLocation& location) {
  DOGFS_TRY(const Geometry geometry, geometry_from_wire(location.policy()));
  const auto wrong = [&](const char* what) {
    return Error(ErrorCode::kProtocolError, fmt::format("block {}: {}", location.block(), what));
  };
  if (location.block() == 0 || location.length() == 0) return wrong("has no id or no bytes");
  if (location.length() > geometry.block_bytes) return wrong("is longer than its geometry allows");
  if (location.offset() > kMaxFileBytes - location.length()) return wrong("lies where no file reaches");
  if (visible_length(location) > location.length()) return wrong("shows more than it has");
  FileBlock out{.block = BlockId(location.block()),
                .offset = location.offset(),
                .layout = BlockLayout(geometry, location.length()),
                .visible_length = visible_length(location),
                .shards = {}};
  for (const wire::Shard& shard : location.shards()) out.shards.push_back(shard_from_wire(shard));
  std::ranges::sort(out.shards, {}, &Shard::index);
  const std::vector<ShardIndex> stored = out.layout.stored_indices();
  if (!std::ranges::equal(out.shards, stored, {}, &Shard::index)) return wrong("has other shards than its geometry");
  for (const Shard& shard : out.shards) {
    if (shard.length != out.layout.shard_length(shard.index)) return wrong("has a shard of a wrong length");
  }
  return out;
}

}  // namespace dogfs
