#include "core/chunk/rebuild_order.h"

#include <fmt/format.h>

#include <set>

#include "core/ec/policy_wire.h"

namespace dogfs {
namespace {

Status check_sources(const wire::RepairOrder& message, const BlockLayout& layout) {
  std::set<uint32_t> indices;
  for (const wire::Shard& source : message.sources()) {
    const ShardIndex index(source.index());
    if (source.index() >= layout.geometry().total_shards() || !layout.is_stored(index) ||
        !indices.insert(source.index()).second) {
      return Error(ErrorCode::kInvalidArgument, fmt::format("shard {} cannot be a source", index));
    }
    if (source.length() != layout.shard_length(index) || source.generation() == 0) {
      return Error(ErrorCode::kInvalidArgument, fmt::format("source {} is no shard of the block", index));
    }
  }
  if (indices.size() >= layout.stored_data_shards() || indices.contains(message.shard().index())) return ok();
  return Error(ErrorCode::kDataLoss,
               fmt::format("{} sources, {} are needed", indices.size(), layout.stored_data_shards()));
}

}  // namespace

Result<RebuildOrder> parse_rebuild_order(const wire::RepairOrder& message) {
  DOGFS_TRY(const ShardKey key, shard_key_from_wire(message.shard()));
  DOGFS_TRY(const Geometry geometry, geometry_from_wire(message.policy()));
  if (message.block_length() == 0 || message.block_length() > geometry.block_bytes) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("a block of {} bytes", message.block_length()));
  }
  const BlockLayout layout(geometry, message.block_length());
  if (key.index.value() >= geometry.total_shards() || !layout.is_stored(key.index) ||
      layout.shard_length(key.index) != message.length()) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("shard {} of {} bytes is none of the block", key.index, message.length()));
  }
  if (message.sources_size() > static_cast<int>(kMaxShards)) {
    return Error(ErrorCode::kInvalidArgument, "too many sources");
  }
  DOGFS_TRYV(check_sources(message, layout));
  return RebuildOrder{.key = key,
                      .layout = layout,
                      .crc = message.crc32c(),
                      .sources = {message.sources().begin(), message.sources().end()}};
}

}  // namespace dogfs
