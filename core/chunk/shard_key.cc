#include "core/chunk/shard_key.h"

#include <fmt/format.h>

#include <charconv>

#include "core/base/endian.h"
#include "core/base/limits.h"

namespace dogfs {
namespace {

static_assert(kMaxShards <= 0xFF, "file names have two digits for the index");
constexpr size_t kFileNameBytes = 16 + 1 + 2 + 1 + 16 + 6;
constexpr size_t kRecordKeyBytes = kShardRecords.size() + 8 + 4 + 8;

Result<ShardKey> checked(const ShardKey& key) {
  if (key.block.is_none()) return Error(ErrorCode::kInvalidArgument, "shard key without a block");
  if (key.generation.is_none()) return Error(ErrorCode::kInvalidArgument, "shard key without a generation");
  if (key.index.value() >= kMaxShards) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("shard index {}", key.index));
  }
  return key;
}

// Zero, which no id has, for anything that is not hexadecimal.
uint64_t parse_hex(std::string_view digits) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return error == std::errc() && end == digits.data() + digits.size() ? value : 0;
}

}  // namespace

std::string to_string(const ShardKey& key) {
  return fmt::format("block {} shard {} generation {}", key.block, key.index, key.generation);
}

Result<ShardKey> shard_key_from_wire(const wire::ShardKey& key) {
  return checked(ShardKey{BlockId(key.block()), ShardIndex(key.index()), ShardGeneration(key.generation())});
}

Result<ShardKey> shard_key_from_wire(const wire::ShardName& name) {
  return checked(ShardKey{BlockId(name.block()), ShardIndex(name.index()), ShardGeneration(name.generation())});
}

wire::ShardKey shard_key_to_wire(const ShardKey& key) {
  wire::ShardKey out;
  out.set_block(key.block.value());
  out.set_index(key.index.value());
  out.set_generation(key.generation.value());
  return out;
}

wire::ShardName shard_name_to_wire(const ShardKey& key) {
  wire::ShardName out;
  out.set_block(key.block.value());
  out.set_index(key.index.value());
  out.set_generation(key.generation.value());
  return out;
}

std::string shard_file_name(const ShardKey& key) {
  return fmt::format("{:016x}-{:02x}-{:016x}.shard", key.block, key.index, key.generation);
}

std::optional<ShardKey> parse_shard_file_name(std::string_view name) {
  if (name.size() != kFileNameBytes) return std::nullopt;
  const ShardKey key{BlockId(parse_hex(name.substr(0, 16))),
                     ShardIndex(static_cast<uint32_t>(parse_hex(name.substr(17, 2)))),
                     ShardGeneration(parse_hex(name.substr(20, 16)))};
  if (!checked(key).has_value() || shard_file_name(key) != name) return std::nullopt;
  return key;
}

std::string shard_record_key(const ShardKey& key) {
  std::string out(kShardRecords);
  append_big(out, key.block.value());
  append_big(out, key.index.value());
  append_big(out, key.generation.value());
  return out;
}

std::optional<ShardKey> parse_shard_record_key(std::string_view key) {
  if (key.size() != kRecordKeyBytes || !key.starts_with(kShardRecords)) return std::nullopt;
  const ShardKey parsed{BlockId(load_big<uint64_t>(key, kShardRecords.size())),
                        ShardIndex(load_big<uint32_t>(key, kShardRecords.size() + 8)),
                        ShardGeneration(load_big<uint64_t>(key, kShardRecords.size() + 12))};
  if (!checked(parsed).has_value()) return std::nullopt;
  return parsed;
}

}  // namespace dogfs
