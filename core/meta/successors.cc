#include "core/meta/successors.h"

#include "core/base/coverage_mark.h"

namespace dogfs {
namespace {

// Whatever is beyond is asked for later.
constexpr size_t kMaxAsked = 10'000;
// Of one server. Once there are so many, it is asked anew.
constexpr size_t kMaxWhole = 100'000;

}  // namespace

bool Successors::is_confirmed(const PlacedShard& shard, uint64_t incarnation) {
  const auto said = said_.find(shard.server);
  if (said != said_.end() && said->second.incarnation == incarnation && said->second.whole.contains(shard)) return true;
  DOGFS_COVERAGE_MARK("meta: a deletion waits until the successor's server has confirmed it");
  if (asked_.size() < kMaxAsked) asked_.insert(shard);
  return false;
}

void Successors::hear(const wire::HeartbeatRequest& heartbeat) {
  const ServerId server(heartbeat.server());
  Said& said = said_[server];
  if (said.incarnation != heartbeat.incarnation()) said = {.incarnation = heartbeat.incarnation(), .whole = {}};
  for (const wire::ShardName& name : heartbeat.whole()) {
    if (said.whole.size() == kMaxWhole) said.whole.clear();
    said.whole.insert(placed_shard(server, name));
  }
  for (const wire::ShardName& name : heartbeat.damaged()) said.whole.erase(placed_shard(server, name));
}

void Successors::tell(ServerId server, wire::HeartbeatReply& reply) {
  tell_once(server, asked_, *reply.mutable_confirm());
}

}  // namespace dogfs
