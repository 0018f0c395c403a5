// What must hold in every run, whatever the faults.
//
//   RaftOracle   Raft's safety properties over all members, after every event that changed one (core/raft/invariants.h)
//   StateOracle  two members that have applied the same index have the same state; so does one member twice
//   MetaOracle   the rows of the metadata agree with each other (core/meta/invariants.h), every few seconds
//   HealOracle   what was lost is made whole again by itself
//   ShardOracle  every shard that the metadata lists is sealed on its server and has the checksum that Raft holds
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/raft/invariants.h"
#include "sim/atlas.h"
#include "sim/cluster.h"
#include "sim/verdict.h"

namespace dogfs::sim {

class RaftOracle {
 public:
  RaftOracle(Cluster& cluster, Verdict& verdict) : cluster_(cluster), verdict_(verdict) {}

  // To be called after every event of a metadata node.
  void after_event(const Node& node);
  LogIndex committed() const { return history_.committed(); }

 private:
  // What of a member's state is looked at for a change.
  using Fingerprint = std::tuple<uint32_t, RaftRole, Term, NodeId, LogIndex, LogIndex, LogIndex, Term, LogIndex>;

  void observe_all();
  void record(const Node& node, const raft::NodeView& view) const;

  Cluster& cluster_;
  Verdict& verdict_;
  raft::SafetyHistory history_;
  std::map<NodeIndex, Fingerprint> known_;
  std::map<NodeIndex, uint32_t> lives_;
};

// Whether the rows are about to be replaced by a snapshot's: they are no state until the last of those is there.
bool is_installing(const KvReader& disk);

class StateOracle {
 public:
  // Watches the disks of all metadata nodes from now on.
  StateOracle(Cluster& cluster, Verdict& verdict);

  // Whether all members of the metadata group, but those that are gone for good, have applied the same index.
  bool agree() const;
  uint64_t compared() const { return compared_; }

 private:
  void applied_on(const Node& node, KvDisk& disk);

  Cluster& cluster_;
  Verdict& verdict_;
  std::map<uint64_t, uint64_t> digests_;  // of the state, by applied index
  std::map<NodeIndex, uint64_t> applied_;
  uint64_t compared_ = 0;
};

class MetaOracle {
 public:
  MetaOracle(Cluster& cluster, Verdict& verdict) : cluster_(cluster), verdict_(verdict) {}

  // Checks what the metadata node holds each time that it has applied some more commands.
  void after_event(Node& node);
  void check_all();

 private:
  void check(Node& node);

  Cluster& cluster_;
  Verdict& verdict_;
  // Up to where each node is not looked at again.
  std::map<NodeIndex, LogIndex> next_;
};

// Redundancy comes back by itself.
class HealOracle {
 public:
  explicit HealOracle(Cluster& cluster) : cluster_(cluster) {}

  // Whether every committed block has all its shards, by the leader's rows and on disks that answer, no repair is under
  // way, and none has more shards in a rack than it can spare where another rack could have one of them.
  bool is_whole() const;
  // How much is not, for a failure. Empty: all is.
  std::string missing() const;

 private:
  static std::string place_elsewhere(const wire::BlockRow& block, const std::map<uint64_t, wire::ChunkServerRow>& rows);

  Cluster& cluster_;
};

class ShardOracle {
 public:
  ShardOracle(Cluster& cluster, const Atlas& atlas, Verdict& verdict)
      : cluster_(cluster), atlas_(atlas), verdict_(verdict) {}

  // Reads every listed shard that no fault has damaged, as `reader`. What is moved or rebuilt meanwhile is read where it
  // is listed then.
  Task<void> verify(Node& reader);
  uint64_t shards_checked() const { return shards_checked_; }

 private:
  struct Listed {
    ShardKey key;
    uint64_t length = 0;
    uint32_t crc32c = 0;
    Node* server = nullptr;

    bool operator==(const Listed&) const = default;
  };

  std::optional<Listed> listed(const wire::BlockRow& block, const wire::Shard& shard) const;
  std::vector<Listed> listed_shards() const;
  std::optional<Listed> listed_now(const ShardKey& key) const;
  bool is_excused(const Listed& shard) const;
  static Task<Result<Reply>> read(Node& reader, const Listed& shard);
  Task<void> verify_shard(Node& reader, Listed first);

  Cluster& cluster_;
  const Atlas& atlas_;
  Verdict& verdict_;
  uint64_t shards_checked_ = 0;
};

}  // namespace dogfs::sim
