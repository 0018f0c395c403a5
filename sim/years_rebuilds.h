// Carries out orders of repair without bytes: who reads how much from whom, and so how long it takes.
//
// Each server has the token bucket that paces repair in production, charged with what it reads for its own rebuilds and
// with what others read from it. A rebuild takes as long as the slowest of the buckets that it needs makes it wait;
// what comes later waits behind it. Sources are those of the order, the first that can be read; one that fails
// meanwhile, or is found spoilt, is replaced by the next, as in ShardRebuild.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "core/chunk/token_bucket.h"
#include "sim/years_fleet.h"

namespace dogfs::sim {

struct RebuildCounts {
  uint64_t of_gone = 0;    // of shards that were lost with their disk or server
  uint64_t of_spoilt = 0;  // of shards with latent errors
  uint64_t in_vain = 0;    // of shards that were whole, on servers that were away
  uint64_t failed = 0;
  // Of the real cluster: scaled.
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
};

class YearsRebuilds {
 public:
  // What is passed must outlive it.
  YearsRebuilds(Simulator& simulator, YearsFleet& fleet, const YearsLedger& ledger, const YearsOptions& options);

  // An order for the server in `slot`, which may have come before.
  void request(SlotIndex slot, const wire::RepairOrder& order);
  void drop(SlotIndex slot, const ShardKey& key);
  // Its process has ended.
  void forget(SlotIndex slot);
  bool idle() const;

  const RebuildCounts& counts() const { return counts_; }

 private:
  enum class Cause : uint8_t { kGone, kSpoilt, kInVain };
  struct Rebuild {
    wire::RepairOrder order;
    ShardKey key;
    Cause cause = Cause::kGone;
    uint64_t bytes = 0;         // of the shard and all that it stands for
    std::set<uint32_t> read{};  // indices
    std::set<uint32_t> refused{};
  };
  struct Worker {
    TokenBucket bucket;
    std::deque<Rebuild> queue{};
    std::map<ShardKey, Rebuild> running{};
    std::set<ShardKey> known{};  // queued or running
  };

  void start_next(SlotIndex slot);
  void classify(Rebuild& rebuild) const;
  void read_more(SlotIndex slot, const ShardKey& key);
  void check(SlotIndex slot, const ShardKey& key);
  bool can_read(const wire::Shard& source, const ShardKey& key);
  Duration charge(SlotIndex slot, uint64_t bytes);
  void conclude(SlotIndex slot, const ShardKey& key, ErrorCode error);
  void tell(SlotIndex slot, const wire::RepairOrder& order, ErrorCode error);
  void later(SlotIndex slot, const ShardKey& key, Duration wait,
             void (YearsRebuilds::*next)(SlotIndex, const ShardKey&));
  void give_up(SlotIndex slot, const ShardKey& key);

  Simulator& simulator_;
  YearsFleet& fleet_;
  const YearsLedger& ledger_;
  const YearsOptions& options_;
  std::vector<Worker> workers_;
  RebuildCounts counts_;
};

}  // namespace dogfs::sim
