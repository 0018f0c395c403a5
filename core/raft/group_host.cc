#include "core/raft/group_host.h"

#include <set>
#include <utility>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/raft.pb.h"
#include "core/wire/rpc.h"

namespace dogfs {

GroupHost::GroupHost(Env& env, KvStore& store, std::function<void(Error)> on_fatal)
    : env_(env), store_(store), on_fatal_(std::move(on_fatal)), outbox_(env) {}

Replica& GroupHost::add(StateMachine& machine, ReplicaOptions options) {
  const GroupId group = options.group;
  Replica::Hooks hooks;
  hooks.on_due = [this] { tick_all(); };
  // The store is everybody's: when it has failed, each group says so.
  hooks.on_fatal = [this](Error error) {
    if (on_fatal_) std::exchange(on_fatal_, nullptr)(std::move(error));
  };
  auto replica = std::make_unique<Replica>(env_, store_, machine, outbox_, std::move(options), std::move(hooks));
  const auto [at, is_new] = groups_.emplace(group, std::move(replica));
  DOGFS_CHECK(is_new, "a node has one member of a group");
  return *at->second;
}

Replica* GroupHost::find(GroupId group) {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : found->second.get();
}

void GroupHost::receive(const Request& frame) {
  Result<wire::RaftMessages> parsed = parse_message<wire::RaftMessages>(frame.body);
  if (!parsed) {
    env_.log.warning("raft", "dropped a malformed frame from another node");
    return;
  }
  const Address from{parsed.value().from_address()};
  if (from.value.size() > kMaxAddressBytes) {
    env_.log.warning("raft", "dropped a frame whose sender has too long an address");
    return;
  }
  std::set<GroupId> addressed;
  for (wire::RaftMessage& message : *parsed.value().mutable_messages()) {
    const GroupId group(message.group());
    Replica* replica = find(group);
    if (replica == nullptr) continue;
    replica->receive(std::move(message), from);
    addressed.insert(group);
  }
  // At once, so that what they answer shares a frame too.
  for (const GroupId group : addressed) find(group)->take_turn();
}

// Heartbeats of all groups fall due at one moment: all are in the outbox before it sends any.
void GroupHost::tick_all() {
  for (const auto& [group, replica] : groups_) replica->tick();
}

Task<void> GroupHost::stop() {
  for (const auto& [group, replica] : groups_) co_await replica->stop();
  co_await outbox_.flushed();
}

}  // namespace dogfs
