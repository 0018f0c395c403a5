// The changes that clients ask for. What needs servers is placed here, on the leader, before it goes into the log.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "core/env/sync.h"
#include "core/meta/parts.h"
#include "core/meta/room_watch.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

inline constexpr int kMaxExcludedServers = 1024;

class ClientRequests {
 public:
  ClientRequests(MetaParts& parts, const RoomWatch& room) : parts_(parts), room_(room), replaced_(parts.env.clock) {}

  Task<Reply> open_session(Request request, MonoTime deadline);
  Task<Reply> mutate(Request request, MonoTime deadline);
  Task<Reply> renew_leases(Request request, MonoTime deadline);

 private:
  // What placement must know of the block.
  struct Need {
    uint32_t wanted = 0;       // servers
    uint32_t least = 0;        // fewer are of no use
    uint64_t shard_bytes = 0;  // what each must have free on one disk
    uint64_t registered = 0;   // all servers there are
    // Of a new block: the shards that it can spare. Of one that has attempts at its shards already none are known.
    std::optional<uint32_t> spare;
    std::vector<ServerId> used;
  };

  Task<Reply> replace_target(wire::Command command, MonoTime deadline);
  Task<Reply> carry_out(wire::Command command, MonoTime deadline);
  // nullopt where the file or block does not exist here: apply will say why not.
  static Result<std::optional<Need>> need_of(const MetaTables& tables, const wire::Mutation& mutation);
  // Whether the block may come to have more shards in a rack than it can spare.
  Task<Result<bool>> place(wire::Command& command, MonoTime deadline);
  Result<bool> choose_servers(const Need& need, wire::Command& command);
  bool may_crowd(const Need& need, const std::vector<ServerId>& chosen) const;
  // Whether the request took effect before: this is a retry, and its reply is kept.
  Task<Result<bool>> is_answered(const wire::Command& command, MonoTime deadline);
  // The reply to an allocation, with the present addresses of its targets.
  Task<Reply> with_addresses(Reply reply, MonoTime deadline);
  // Has the registry know `servers`, which the log names, although they have not been heard of here.
  Task<Status> learn(std::vector<ServerId> servers, MonoTime deadline);

  MetaParts& parts_;
  const RoomWatch& room_;
  // The blocks of which a target is being replaced.
  std::set<BlockId> replacing_;
  Notifier replaced_;
};

}  // namespace dogfs
