// The members of several Raft groups on one node, over one transport and one store.
//
// What they share costs once: the store makes one synced write of what all groups have to persist while it is busy
// (group commit), and what they have to say to one peer goes in one frame, heartbeats above all (core/raft/outbox.h).
// Otherwise they know nothing of each other: each has its own leader, log and state, whose keys begin with the
// group's id. (TiKV and CockroachDB call this Multi-Raft; dragonboat's NodeHost is the nearest in form.)
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "core/base/ids.h"
#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/env/transport.h"
#include "core/raft/outbox.h"
#include "core/raft/replica.h"

namespace dogfs {

// Belongs to the node's executor.
class GroupHost {
 public:
  // What is passed must outlive the host. `on_fatal` is called once when the store has failed: the node must end.
  GroupHost(Env& env, KvStore& store, std::function<void(Error)> on_fatal);

  // This node's member of `options.group`, which must not be here yet. Start it; it lives as long as the host does, and
  // `machine` must live longer.
  Replica& add(StateMachine& machine, ReplicaOptions options);

  // Null where this node has no member of `group`.
  Replica* find(GroupId group);

  // Hands each message of a frame from another host to its group. A malformed frame is logged and dropped; a message
  // for a group that is not here is dropped.
  void receive(const Request& frame);

  // Stops all groups and resumes when nothing of them runs any more.
  Task<void> stop();

 private:
  void tick_all();

  Env& env_;
  KvStore& store_;
  std::function<void(Error)> on_fatal_;  // empty once it was called
  raft::Outbox outbox_;
  std::map<GroupId, std::unique_ptr<Replica>> groups_;
};

}  // namespace dogfs
