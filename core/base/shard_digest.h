// Digests of sets of shards that are compared instead of the sets: the sum, modulo 2^128, of a hash of each member. A sum
// does not depend on the order, and a member is added or taken away in one step. Not for hostile input: who can choose
// shards can make sums collide.
#pragma once

#include <cstdint>

#include "core/base/hash.h"
#include "core/base/ids.h"

namespace dogfs {

struct ShardDigest {
  uint64_t low = 0;
  uint64_t high = 0;
  uint64_t shards = 0;
  bool operator==(const ShardDigest&) const = default;

  void add(BlockId block, ShardIndex index, ShardGeneration generation, uint32_t crc) {
    const uint64_t name = combine64(combine64(block.value(), index.value()), combine64(generation.value(), crc));
    const uint64_t added = mix64(name);
    low += added;
    high += mix64(name ^ kSecondHash) + (low < added ? 1 : 0);
    ++shards;
  }

 private:
  static constexpr uint64_t kSecondHash = 0xD6E8FEB86659FD93ULL;
};

// Shards are compared bucket by bucket: so many block ids share one.
inline constexpr uint64_t kBlocksPerReportBucket = 4096;
constexpr uint64_t report_bucket(BlockId block) {
  return block.value() / kBlocksPerReportBucket;
}

}  // namespace dogfs
