// What chunk servers have said to this leader of the shards for which others are to be deleted: that they are there.
//
// The map alone does not tell. It calls a shard intact until its server says otherwise, and a server whose disk came up
// empty needs two block reports for that: meanwhile the shard that it had replaced may be the last good one of its index.
// So the server is asked, in its present process (HDFS-16420 and its kin are deletions on the word of the map alone).
// Soft state of a leader; belongs to the node's executor.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "core/base/time.h"
#include "core/meta/placed_shard.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class Successors {
 public:
  // Whether the server of `shard` has said a moment ago, as the process of that incarnation, that it has it. If not, it is
  // asked.
  bool is_confirmed(const PlacedShard& shard, uint64_t incarnation, MonoTime now);

  void hear(const wire::HeartbeatRequest& heartbeat, MonoTime now);
  // What the server is to be asked for. Each is told once: who waits for it asks again.
  void tell(ServerId server, wire::HeartbeatReply& reply);

 private:
  struct Said {
    uint64_t incarnation = 0;
    std::map<PlacedShard, MonoTime> whole;  // and when it was said
  };

  std::set<PlacedShard> asked_;
  std::map<ServerId, Said> said_;
};

}  // namespace dogfs
