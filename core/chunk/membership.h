// A chunk server's side of the cluster: it registers with the metadata's leader, then tells every metadata node each
// interval that it lives, how much room it has, and what it has deleted. Whoever is elected so knows the servers at
// once. Metadata nodes come and go: their answers say who they are now.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/chunk/block_reporter.h"
#include "core/chunk/chunk_server.h"
#include "core/chunk/identity.h"
#include "core/chunk/repair_worker.h"
#include "core/chunk/scrubber.h"
#include "core/chunk/shard_remover.h"
#include "core/chunk/stop_signal.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class Membership {
 public:
  // What a heartbeat says besides who sends it.
  struct Load {
    DiskSpace space;
    uint64_t shards = 0;
    uint32_t active_transfers = 0;
    uint64_t foreign_files = 0;
    std::vector<wire::DiskInfo> disks;
  };

  // Who does what the leader asks for with its heartbeats, and knows what to say in them.
  struct Workers {
    ShardRemover& remover;
    RepairWorker& repairs;
    Scrubber& scrubber;
    BlockReporter& reporter;
    const ShardTable& table;
    const std::vector<std::unique_ptr<ShardDisk>>& disks;
  };
  // What is passed must outlive this object. `on_fatal`: this server must not take part, and must end.
  Membership(Env& env, const ChunkOptions& options, Identity& identity, Workers workers, StopSignal& stop,
             std::function<Load()> load, std::function<void(const Error&)> on_fatal);

  // Works until the stop signal, in tasks of `tasks`. `on_registered` runs after the first registration of this start.
  void start(TaskGroup& tasks, std::function<void()> on_registered);

  // Metadata nodes that this server may not know: heartbeats go to them, too. What they answer says who else is gone.
  // kInvalidArgument: more than there can be, or no addresses.
  Status be_told(const google::protobuf::RepeatedPtrField<std::string>& nodes);

  // Has it look again whether a heartbeat is due: a repair has ended, or the stop signal was given.
  void wake() { woken_.notify_all(); }

 private:
  Task<void> run_registration(TaskGroup& tasks, std::function<void()> on_registered);
  Task<Status> try_to_register();
  Address next_node();
  Task<Status> register_at(Address node);
  void send_heartbeats_to(const Address& node);
  Task<void> run_heartbeats(Address node);
  MonoTime next_heartbeat(const Address& node, MonoTime last) const;
  Status hear_of(const google::protobuf::RepeatedPtrField<std::string>& nodes);
  void learn_nodes(const wire::HeartbeatReply& reply);
  Task<void> send_heartbeat(Address node);
  // What a heartbeat said that is to be forgotten once the leader has heard it.
  struct Said {
    std::vector<ShardKey> gone;
    std::vector<wire::RepairOutcome> repairs;
  };
  wire::HeartbeatRequest make_heartbeat(const Said& said);
  void add_damage(wire::HeartbeatRequest& message);
  void add_disks(const std::vector<wire::DiskInfo>& disks, wire::HeartbeatRequest& message) const;
  void add_leaving(wire::HeartbeatRequest& message);
  void add_whole(wire::HeartbeatRequest& message) const;
  void take_reply(const wire::HeartbeatReply& reply, const Said& said);
  std::vector<ShardKey> named_shards(const google::protobuf::RepeatedPtrField<wire::ShardName>& names) const;

  Env& env_;
  const ChunkOptions& options_;
  Identity& identity_;
  Workers workers_;
  StopSignal& stop_;
  std::function<Load()> load_;
  std::function<void(const Error&)> on_fatal_;
  // Who led when last heard of; empty: unknown.
  Address leader_;
  size_t next_node_ = 0;
  Notifier woken_;
  // The metadata nodes that heartbeats go to, and those that a task of *tasks_ still runs for.
  std::set<Address> nodes_;
  std::set<Address> tended_;
  TaskGroup* tasks_ = nullptr;
  uint64_t incarnation_ = 0;
  // Damage is reported a part at a time: the last that was.
  ShardKey last_damage_;
  // So are the shards of disks that are to be emptied.
  ShardKey last_leaving_;
  // What the leader has asked for last.
  std::vector<ShardKey> to_confirm_;
  bool registered_ = false;
};

}  // namespace dogfs
