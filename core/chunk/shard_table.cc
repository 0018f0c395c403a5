#include "core/chunk/shard_table.h"

#include "core/base/check.h"

namespace dogfs {

const ShardEntry* ShardTable::find(const ShardKey& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

void ShardTable::put(const ShardKey& key, const ShardEntry& entry) {
  erase(key);
  entries_[key] = entry;
  if (entry.state == ShardState::kSealed) {
    ++sealed_;
    ++sealed_by_disk_[entry.disk];
  }
  if (is_damaged(entry.state)) damaged_.insert(key);
}

void ShardTable::set_state(const ShardKey& key, ShardState state) {
  const ShardEntry* found = find(key);
  DOGFS_CHECK(found != nullptr);
  ShardEntry entry = *found;
  entry.state = state;
  put(key, entry);
}

void ShardTable::set_read_through(const ShardKey& key, std::optional<MonoTime> when) {
  const auto found = entries_.find(key);
  DOGFS_CHECK(found != entries_.end());
  found->second.read_through = when;
}

void ShardTable::erase(const ShardKey& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  if (found->second.state == ShardState::kSealed) {
    --sealed_;
    --sealed_by_disk_[found->second.disk];
  }
  damaged_.erase(key);
  entries_.erase(found);
}

uint64_t ShardTable::sealed_on(size_t disk) const {
  const auto found = sealed_by_disk_.find(disk);
  return found == sealed_by_disk_.end() ? 0 : found->second;
}

Error ShardTable::missing(const ShardKey& key) const {
  auto other = entries_.lower_bound(ShardKey{key.block, key.index, ShardGeneration(0)});
  for (; other != entries_.end() && other->first.block == key.block && other->first.index == key.index; ++other) {
    if (other->first == key || other->second.state == ShardState::kDeleting) continue;
    return Error(ErrorCode::kWrongGeneration, to_string(key) + ": this server has " + to_string(other->first));
  }
  return Error(ErrorCode::kNotFound, to_string(key));
}

}  // namespace dogfs
