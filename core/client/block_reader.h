// Reads one committed block, around what is missing or damaged.
//
// A read of a stretch asks the data shards that hold it. One that fails, is damaged, or is late against what reads take
// of late (hedging) is made up for by others, and the stretch decoded; stripe_choice.h decides whom to ask. A server
// that does not have the shard means stale locations, which are fetched again; so they are before a block is called lost. Belongs to the node's executor.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "core/client/block_map.h"
#include "core/client/context.h"
#include "core/client/shard_reader.h"

namespace dogfs {

// The block as all reads of it share it.
class BlockReader : public std::enable_shared_from_this<BlockReader> {
 public:
  BlockReader(ClientContext& context, std::shared_ptr<BlockMap> map, std::shared_ptr<const FileBlock> block)
      : context_(context), map_(std::move(map)), block_(std::move(block)) {}

  // The bytes of `range`, which is not empty and lies in the block. It is read at once: callers keep it to a few
  // stripes. Fails with
  //   kDataLoss     fewer than d shards are intact, where the metadata locates them now: what failed and why is in the text
  //   kUnavailable  enough may be intact, but they could not be reached after several tries
  //   kGone         the block is not part of the file any more, and too few of its shards are there
  Task<Result<BytesChain>> read(BlockRange range);

  const FileBlock& block() const { return *block_; }

  // --- For the reads under way. ---
  ClientContext& context() { return context_; }
  const std::shared_ptr<const FileBlock>& located() const { return block_; }
  // Fetches the locations again, unless somebody did since `seen` was taken.
  Task<Status> refresh(std::shared_ptr<const FileBlock> seen);
  // Why a shard is known to be damaged, if it is: a damaged shard is not asked again.
  const Error* damage(const Shard& shard) const;
  // Also tells the metadata, which has it looked at and repaired.
  void set_damaged(const Shard& shard, Error error);
  // Its server could not read it: has that look at it, once.
  void suspect(const Shard& shard);
  // Damaged shards are to be asked once more: their bytes may have come from the wrong place of a disk, for once.
  void doubt_damage() { damage_.clear(); }
  // The checksums of the shard's pieces; null before one of its reads has brought them.
  PieceSums sums(const Shard& shard) const;
  void set_sums(const Shard& shard, PieceSums sums) { sums_[shard.generation] = std::move(sums); }

 private:
  ClientContext& context_;
  std::shared_ptr<BlockMap> map_;
  std::shared_ptr<const FileBlock> block_;
  // By generation: a rebuilt shard starts anew.
  std::map<ShardGeneration, Error> damage_;
  std::set<ShardGeneration> suspected_;
  std::map<ShardGeneration, PieceSums> sums_;
};

}  // namespace dogfs
