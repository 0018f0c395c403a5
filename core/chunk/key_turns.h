// Turns at a shard: opening, sealing, giving up and deleting the same shard happen one after the other, each from its
// first look at the shard to its last write.
#pragma once

#include <set>

#include "core/base/check.h"
#include "core/chunk/shard_key.h"
#include "core/env/sync.h"

namespace dogfs {

class KeyTurns {
 public:
  explicit KeyTurns(Clock& clock) : changed_(clock) {}

  // Waits for the turn at `key`; false if it did not come by the deadline. Whoever has it gives it back, without fail.
  // (No guard object does that: in the simulator frames of a crashed node are destroyed, and must not wake others.)
  Task<bool> take(ShardKey key, MonoTime deadline) {
    while (taken_.contains(key)) {
      if (!co_await changed_.wait_until(deadline)) co_return false;
    }
    taken_.insert(key);
    co_return true;
  }

  void give_back(const ShardKey& key) {
    DOGFS_CHECK(taken_.erase(key) == 1);
    changed_.notify_all();
  }

 private:
  std::set<ShardKey> taken_;
  Notifier changed_;
};

}  // namespace dogfs
