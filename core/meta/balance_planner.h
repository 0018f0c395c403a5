// Which whole shard of a block should lie elsewhere, if any: a judgement without waiting, block by block.
//
// Two things are wanted. No rack has more than m shards of a block where the racks suffice for that, so that the loss of
// one loses no data; placement sees to it, but racks come later than data. And no server is much fuller than the others.
// A block gives up one shard at a time; the first counts more.
//
// How full a server is, is counted from the map itself in a pass over all blocks: what its disks say lags behind what
// was moved by the grace in which replaced shards are kept, and moving by it would go too far. Integers only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/base/ids.h"
#include "core/meta/rack_spread.h"
#include "core/meta/repair_planner.h"
#include "core/wire/state.pb.h"

namespace dogfs {

struct BalanceServer {
  std::string rack;
  bool takes_shards = false;  // LIVE, and heard of lately
  bool roomy = true;          // may get what another disk is to be rid of
  uint64_t capacity = 0;      // bytes
  uint64_t used = 0;          // bytes of the shards that the map has there
};

class BalancePlanner {
 public:
  // `threshold_percent`: by how much of its capacity a server may be fuller than the mean of all.
  BalancePlanner(std::map<ServerId, BalanceServer> servers, uint32_t threshold_percent);

  // The move that this committed block needs most.
  std::optional<PlannedRepair> plan(const wire::BlockRow& block) const;
  // How the shards of this committed block lie in the racks.
  enum class Spread : uint8_t {
    kFine,     // no rack has more than m
    kCrowded,  // one has, and there is somewhere else for a shard of it
    kStuck,    // one has, and there is not
  };
  Spread spread(const wire::BlockRow& block) const;

  // Servers beyond the threshold, and the bytes that make them so.
  struct Excess {
    uint64_t servers = 0;
    uint64_t bytes = 0;
  };
  Excess excess() const;

  // `move`, of so many bytes, is made: what is asked next reckons with it.
  void note(const PlannedRepair& move, uint64_t bytes);

 private:
  // Parts of its capacity in a million, with `more` bytes on it.
  static uint64_t fullness(const BalanceServer& server, uint64_t more = 0);

  const wire::Shard* crowded_shard(const wire::BlockRow& block, const RackSpread& racks) const;
  const wire::Shard* heavy_shard(const wire::BlockRow& block) const;
  // Where to: the least full of the servers that may have it, and are less full than the mean; for a crowded rack any.
  ServerId choose_target(const wire::BlockRow& block, const wire::Shard& shard, const RackSpread& racks,
                         bool crowded) const;

  std::map<ServerId, BalanceServer> servers_;
  uint64_t mean_;       // fullness of all together
  uint64_t threshold_;  // in parts in a million
};

}  // namespace dogfs
