// Whether what the metadata says of a committed block is so, at any moment: looked up on the disks themselves, behind the
// back of all programs, in what a power cut would leave.
//
// A block is looked at when its row changes, and when a file of it is removed. No listed shard may be bad or absent but
// by a fault that struck; so a block reads back for as long as faults spare d of its shards. No change of the row and no
// removal may leave the block with fewer good shards than it had; and what was listed once, and is not any more, stays as
// long as what took its place is not there. From time to time all blocks are looked at.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "core/chunk/shard_key.h"
#include "core/wire/state.pb.h"
#include "sim/atlas.h"
#include "sim/cluster.h"
#include "sim/verdict.h"

namespace dogfs::sim {

class BlockOracle {
 public:
  // Watches the disks of the cluster. What is passed must outlive this object, and the disks must not be used after it.
  BlockOracle(Cluster& cluster, const Atlas& atlas, Verdict& verdict);

  // Looks at every committed block.
  void check_all();
  // The cluster has said, of its state at log index `as_of` or later, that it has nothing on `server`: no committed
  // block may list a shard there (but what was listed after `as_of`), no block that is written or repaired may be about
  // to put one there, and what is still on its disk must be good elsewhere.
  void said_empty(const Node& server, LogIndex as_of);
  // The highest index that any metadata node has applied.
  LogIndex applied() const { return applied_; }
  // Listed shards that were looked at.
  uint64_t shards_checked() const { return shards_checked_; }

 private:
  void applied_on(const KvDisk& disk, const WriteBatch& batch);
  void take_row(const WriteBatch::Put& row);
  bool was_listed(const ShardKey& key) const;
  void changed(const wire::BlockRow& before, const wire::BlockRow& after);
  void removed(const Node& server, const ShardDisk& disk, const std::string& file);
  bool has_lost_all_of(const wire::BlockRow& block, const wire::Shard& listed, const Node& remover) const;
  // Fails the run unless the shard is good, or a fault excuses it.
  void check_shard(const wire::BlockRow& block, const wire::Shard& shard, const char* when);
  void check_nothing_on(const Node& server, const wire::BlockRow& block, LogIndex as_of);
  void check_moved(const wire::BlockRow& block, ShardIndex index);
  bool is_at(uint64_t server, const Node& node) const;
  // Null where it is stored nowhere, or on a server that is gone for good.
  Node* server_of(const wire::Shard& shard) const;
  bool is_good(const wire::BlockRow& block, const wire::Shard& shard) const;
  static bool is_good_on(const ShardDisk& disk, const wire::BlockRow& block, const wire::Shard& shard);
  bool is_excused(const wire::BlockRow& block, const wire::Shard& shard) const;
  void fail(const wire::BlockRow& block, const wire::Shard& shard, const char* what);

  Cluster& cluster_;
  const Atlas& atlas_;
  Verdict& verdict_;
  // What follows is as of `applied_`.
  LogIndex applied_;
  std::map<uint64_t, std::string> servers_;  // addresses
  std::map<uint64_t, wire::BlockRow> blocks_;
  // All that a block lists and has listed. A repair that was given up was never among that, although it may be good.
  std::map<uint64_t, std::set<ShardKey>> listed_;
  LogIndex next_check_of_all_;
  uint64_t shards_checked_ = 0;
};

}  // namespace dogfs::sim
