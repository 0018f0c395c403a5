// What names a shard on a chunk server, everywhere and always in full: the block, the index within it, and which
// physical attempt at that index this is.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/wire/chunk.pb.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

// Ordered so that all generations of one (block, index) stand together.
struct ShardKey {
  BlockId block;
  ShardIndex index;
  ShardGeneration generation;

  auto operator<=>(const ShardKey&) const = default;
};

// "block 18 shard 3 generation 7", for people.
std::string to_string(const ShardKey& key);

// kInvalidArgument for a block or generation of zero and for an index that no geometry has.
Result<ShardKey> shard_key_from_wire(const wire::ShardKey& key);
Result<ShardKey> shard_key_from_wire(const wire::ShardName& name);
wire::ShardKey shard_key_to_wire(const ShardKey& key);
wire::ShardName shard_name_to_wire(const ShardKey& key);

// The name of the shard's file: fixed width, in the order of the keys.
std::string shard_file_name(const ShardKey& key);
// nullopt for anything that shard_file_name does not give.
std::optional<ShardKey> parse_shard_file_name(std::string_view name);

// The key of the shard's record in the KvStore of its disk: all records stand in [kShardRecords, kShardRecordsEnd).
inline constexpr std::string_view kShardRecords = "shard/";
inline constexpr std::string_view kShardRecordsEnd = "shard0";
std::string shard_record_key(const ShardKey& key);
std::optional<ShardKey> parse_shard_record_key(std::string_view key);

}  // namespace dogfs
