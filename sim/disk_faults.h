// Faults of disks: what trouble a fault's kind is to a disk, and how it shows that it struck.
#pragma once

#include <memory>
#include <vector>

#include "sim/atlas.h"
#include "sim/scenario.pb.h"
#include "sim/world.h"

namespace dogfs::sim {

// What is counted where the fault strikes, on shard files and on rows; none for a fault that is not one of these.
std::vector<Harm> disk_harms_of(const proto::Fault& fault);

// The trouble of some nodes' disks, from begin() until end().
class DiskStrike {
 public:
  void begin(const proto::Fault& fault, const std::vector<Node*>& nodes, RandomStream& draws);
  void end();
  // Whether an operation of any of the nodes was struck. Known at the end.
  bool has_struck() const { return struck_; }

 private:
  void take_last_disk(Node& node);
  void arm_sync_failure(Node& node, RandomStream& draws);
  uint64_t harms_so_far() const;

  proto::Fault::KindCase kind_{};
  std::vector<Harm> harms_;
  DiskTrouble trouble_;
  std::vector<Node*> nodes_;
  // As they were at the beginning: a node may make more of them meanwhile.
  std::vector<std::shared_ptr<ShardDisk>> shard_disks_;
  std::vector<std::shared_ptr<KvDisk>> kv_disks_;
  uint64_t harms_before_ = 0;
  bool struck_ = false;
};

// Has the atlas keep what misdirected writes destroy on one server within bounds.
class AtlasGuard final : public DamageGuard {
 public:
  // What is passed must outlive this object.
  AtlasGuard(Atlas& atlas, const Node& server, bool anything) : atlas_(atlas), server_(server), anything_(anything) {}

  bool may_damage(const std::string& file) override { return anything_ || atlas_.may_damage(server_, file); }
  void damaged(const std::string& file) override { atlas_.damaged(server_, file); }
  void created(const std::string& file) override { atlas_.created(server_, file); }

 private:
  Atlas& atlas_;
  const Node& server_;
  bool anything_;
};

}  // namespace dogfs::sim
