#include "core/meta/successors.h"

#include "core/base/coverage_mark.h"

namespace dogfs {
namespace {

// Whatever is beyond is asked for later.
constexpr size_t kMaxAsked = 10'000;
// Of one server. Once there are so many, it is asked anew.
constexpr size_t kMaxWhole = 100'000;
// What a server has said holds for so long: its disks go on failing.
constexpr Duration kHolds = seconds(15);

}  // namespace

bool Successors::is_confirmed(const PlacedShard& shard, uint64_t incarnation, MonoTime now) {
  const auto said = said_.find(shard.server);
  if (said != said_.end() && said->second.incarnation == incarnation) {
    const auto whole = said->second.whole.find(shard);
    if (whole != said->second.whole.end() && now - whole->second <= kHolds) return true;
  }
  DOGFS_COVERAGE_MARK("meta: a deletion waits until the successor's server has confirmed it");
  if (asked_.size() < kMaxAsked) asked_.insert(shard);
  return false;
}

void Successors::hear(const wire::HeartbeatRequest& heartbeat, MonoTime now) {
  const ServerId server(heartbeat.server());
  Said& said = said_[server];
  if (said.incarnation != heartbeat.incarnation()) said = {.incarnation = heartbeat.incarnation(), .whole = {}};
  for (const wire::ShardName& name : heartbeat.whole()) {
    if (said.whole.size() == kMaxWhole) said.whole.clear();
    said.whole[placed_shard(server, name)] = now;
  }
  for (const wire::ShardName& name : heartbeat.damaged()) said.whole.erase(placed_shard(server, name));
}

void Successors::tell(ServerId server, wire::HeartbeatReply& reply) {
  tell_once(server, asked_, *reply.mutable_confirm());
}

}  // namespace dogfs
