// How every block fares, kept from two sources: what the metadata's rows list, as they change, and which of these
// shards are really there, which the disks know (years_fleet.h). Integrates over time how many blocks lack how many
// shards, counts how often they go from one such state to the next, and which are lost.
//
// A shard is missing when nothing can bring it back: its disk or server is gone, or its bytes are spoilt, whether
// anybody knows of that or not. One on a server that is merely away is not missing. A block with more missing than m is
// lost, unless it comes back: a server returns with a shard whose successor is gone, or a rebuild had read enough before.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/chunk/shard_key.h"
#include "core/env/kv_store.h"
#include "core/meta/keys.h"
#include "core/meta/tables.h"
#include "core/wire/state.pb.h"
#include "sim/executor.h"

namespace dogfs::sim {

// By the number of missing shards, up to m.
struct BlockStates {
  static constexpr size_t kStates = kMaxParityShards + 1;
  std::array<uint64_t, kStates> block_ms{};  // time spent there, over all blocks
  std::array<uint64_t, kStates> losses{};    // shards lost there: steps to the next state, of lost blocks the last
  std::array<uint64_t, kStates> rebuilds{};  // steps back
};

struct ListedShard {
  ShardKey key;
  ServerId server;
};

class YearsLedger {
 public:
  using IsWhole = std::function<bool(const ListedShard&)>;
  // `is_whole`: whether the shard is there, and unspoilt.
  YearsLedger(Simulator& simulator, uint32_t parity_shards, IsWhole is_whole);

  // The rows have changed.
  void note(const WriteBatch& batch);
  // A shard of the block has come or gone.
  void recount(BlockId block);
  // Counts the time up to now.
  void settle_accounts();

  const BlockStates& states() const { return states_; }
  uint64_t blocks() const { return blocks_.size(); }
  uint64_t lost() const { return lost_; }
  // Those that lack a shard and are not lost.
  uint64_t short_blocks() const;

  // The shard that the map lists as this one of the block; none where that has no server.
  ListedShard listed(BlockId block, ShardIndex index) const;
  bool is_listed(ServerId server, const ShardKey& key) const;

  // --- What the metadata has left to do ---
  bool has_repairs() const { return !arrivals_.empty() || !reserved_.empty(); }
  bool has_garbage(ServerId server) const;
  // DEAD for one that has no row.
  wire::ServerState state_of(ServerId server) const;
  bool is_sweeping() const;
  // The blocks that need work and can be helped, in the order in which they came to that.
  Result<std::vector<wire::BlockRow>> by_arrival(const MetaTables& tables) const;

 private:
  struct Block {
    std::vector<ListedShard> shards;
    uint32_t missing = 0;
    VirtualTime since{};
  };
  struct Server {
    wire::ServerState state = wire::LIVE;
    bool sweeping = false;
  };

  void note_row(std::string_view key, const std::string* value);
  void note_block(BlockId id, const std::string& value);
  void note_server(const std::string& value);
  void note_arrivals(const std::set<BlockId>& queued, const std::set<BlockId>& left);
  bool is_lost(const Block& block) const { return block.missing > parity_shards_; }
  void count_time(Block& block);
  void recount(Block& block);

  Simulator& simulator_;
  uint32_t parity_shards_;
  IsWhole is_whole_;
  MetaKeys keys_{GroupId(0)};
  KeyRange blocks_range_ = keys_.blocks();
  KeyRange servers_range_ = keys_.servers();
  KeyRange risk_range_ = keys_.all_at_risk();
  KeyRange reserved_range_ = keys_.all_reserved();
  KeyRange garbage_range_ = keys_.all_garbage();
  std::map<BlockId, Block> blocks_;
  std::map<ServerId, Server> servers_;
  std::map<ServerId, std::set<GarbageShard>> garbage_;
  std::set<BlockId> reserved_;
  uint64_t last_arrival_ = 0;
  std::map<BlockId, uint64_t> arrivals_;
  std::map<uint64_t, BlockId> queue_;  // the same, by arrival
  // Of the batch that is being noted.
  std::set<BlockId> queued_;
  std::set<BlockId> left_;
  BlockStates states_;
  uint64_t lost_ = 0;
};

}  // namespace dogfs::sim
