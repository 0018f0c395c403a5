// What is stored where, and what of it is whole and within reach: the applied metadata beside the faults that struck.
//
// P2 promises a block as long as any d of its stored shards are intact. The atlas counts them block by block, for two
// ends. Faults of data ask before they damage a shard, so that (unless a scenario wants it) no block loses more than
// the promise bears. And the oracle of the reads asks afterwards: where enough shards were intact and within reach for
// the whole time of a read, the read must have succeeded; that data is lost may be said only where it is true.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/chunk/shard_key.h"
#include "core/wire/state.pb.h"
#include "sim/cluster.h"

namespace dogfs::sim {

ShardKey key_of(const wire::BlockRow& block, const wire::Shard& shard);

// Whether the shard file lies on a disk of the server that answers nothing any more.
bool is_on_hanging_disk(const Node& server, const std::string& file_name);

// A committed block of a file.
struct BlockHealth {
  BlockId block;
  uint32_t needed = 0;     // d
  uint32_t intact = 0;     // stored shards that no fault has damaged, on disks that answer
  uint32_t reachable = 0;  // intact ones whose servers were within reach all the time
};

class Atlas {
 public:
  // `cluster` must outlive this object.
  explicit Atlas(Cluster& cluster) : cluster_(cluster) {}

  // --- Servers within reach ---
  // Faults that may keep clients from a server add up. Once the last has ended it takes the server a while to be back.
  void disturb(const Node& server);
  void calm(const Node& server);

  // --- Shards that are whole ---
  // Whether the block of a shard file that is about to be damaged can be read all the same.
  bool may_damage(const Node& server, const std::string& file_name);
  void damaged(const Node& server, const std::string& file_name);
  // A new file of that name begins whole.
  void created(const Node& server, const std::string& file_name);
  // Whether all shards on a disk of the server may be damaged, or come to lie on a disk that does not answer.
  bool may_damage_disk(const Node& server, const ShardDisk& disk);
  // Whether every block could be read without `server`, if that never came back.
  bool may_lose(const Node& server);
  bool is_damaged(const Node& server, const ShardKey& shard) const {
    return damaged_.contains({server.index(), shard});
  }
  uint64_t damaged_shards() const { return damaged_.size(); }

  // The disk of the metadata node that has applied most.
  const KvReader& newest_metadata() const;

  // The blocks of the file at `path`, with what was within reach from `since` until now. Empty where the path leads to
  // no file.
  std::vector<BlockHealth> blocks_of(const std::string& path, VirtualTime since);

 private:
  struct Reach {
    uint32_t disturbances = 0;
    VirtualTime since{};
  };

  Reach& reach_of(const Node& server);
  bool was_reachable(const Node& server, VirtualTime since);
  Node* server_node(const KvReader& metadata, uint64_t server);
  BlockHealth health_of(const KvReader& metadata, const wire::BlockRow& block, VirtualTime since);
  const Node* keeper_of(const KvReader& metadata, const wire::BlockRow& block, const wire::Shard& shard);
  uint32_t at_stake(const KvReader& metadata, const wire::BlockRow& block);
  bool is_taken_for_whole(NodeIndex server, const ShardKey& shard);
  bool has_spare(const KvReader& metadata, const wire::BlockRow& block);
  bool is_block_damaged(BlockId block) const;
  bool is_hurt(const KvReader& metadata, const wire::BlockRow& block);

  Cluster& cluster_;
  std::vector<Reach> reach_;  // by node index
  std::set<std::pair<NodeIndex, ShardKey>> damaged_;
};

}  // namespace dogfs::sim
