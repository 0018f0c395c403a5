// The bytes of one block while it is written: cells come in, shards come out as far as whole batches of stripes go.
//
// Everything is kept until release(), so that a shard whose server failed can be sent again from its start. User bytes
// are kept once, as slices that data shards share; parity adds m/k of that. Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "core/base/bytes.h"
#include "core/client/block_encoder.h"
#include "core/ec/codec.h"
#include "core/ec/geometry.h"
#include "core/env/compute.h"

namespace dogfs {

// What is known so far of one shard.
struct ShardContent {
  BytesChain bytes;
  std::vector<uint32_t> piece_crc32c;
  uint32_t crc32c = 0;  // of all of `bytes`
};

class BlockContent {
 public:
  BlockContent(Geometry geometry, std::shared_ptr<const Codec> codec);

  // The next cell, which is not empty. A short one ends the block. Precondition: not finished.
  void add(Bytes cell);
  // No more cells will come.
  void finish() { finished_ = true; }
  bool finished() const { return finished_; }
  // User bytes that came.
  uint64_t length() const { return length_; }

  // Whether encode() has something to do.
  bool has_work() const;
  // Encodes the next batch. Precondition: has_work(), and no other encode() is under way.
  Task<void> encode(Compute& compute);

  // Whether all shards are there to their end.
  bool complete() const { return finished_ && unencoded_.empty() && !encoding_; }
  const ShardContent& shard(ShardIndex index) const { return shards_[index.value()]; }

  // Lets all bytes go. What an operation still sends stays with that operation.
  void release();

 private:
  void take(std::vector<ShardPart> parts);

  Geometry geometry_;
  std::shared_ptr<const Codec> codec_;
  std::deque<Bytes> unencoded_;
  std::vector<ShardContent> shards_;
  uint64_t length_ = 0;
  bool finished_ = false;
  bool encoding_ = false;
  bool released_ = false;
};

}  // namespace dogfs
