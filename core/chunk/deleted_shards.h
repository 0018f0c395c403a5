// Shards whose deletion was confirmed lately, and which must not come back.
//
// The metadata may give an attempt at a shard up before the writer's first request has arrived. The server then confirms
// that there is no such shard, and the request, still on its way, would make one that nobody asks to delete again. A
// deletion is for ever, so what it names is refused from then on. Remembered for longer than any request is on its way;
// a restart forgets, but it also ends the connections by which late requests come.
#pragma once

#include <cstddef>
#include <deque>
#include <set>

#include "core/base/time.h"
#include "core/chunk/shard_key.h"

namespace dogfs {

class DeletedShards {
 public:
  static constexpr Duration kRetention = std::chrono::hours(1);
  // Beyond it the oldest are forgotten.
  static constexpr size_t kMaxShards = 65'536;

  void add(const ShardKey& key, MonoTime now) {
    if (!keys_.insert(key).second) return;
    by_age_.push_back({now, key});
    while (by_age_.size() > kMaxShards || now - by_age_.front().since > kRetention) {
      keys_.erase(by_age_.front().key);
      by_age_.pop_front();
    }
  }
  bool contains(const ShardKey& key) const { return keys_.contains(key); }
  size_t size() const { return keys_.size(); }

 private:
  struct Aged {
    MonoTime since;
    ShardKey key;
  };

  std::set<ShardKey> keys_;
  std::deque<Aged> by_age_;
};

}  // namespace dogfs
