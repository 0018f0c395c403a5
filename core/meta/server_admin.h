// What operators ask of chunk servers: to be drained, to be away for a while, to be as any other again, to be removed.
// The leader judges first whether the blocks can bear it (departure.h); what must never happen is checked by apply.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "core/meta/departure.h"
#include "core/meta/parts.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class ServerAdmin {
 public:
  explicit ServerAdmin(MetaParts& parts) : parts_(parts) {}

  // Answered when it is committed: the shards of a drained server follow in the background. kConflict or kNoSpace where
  // the blocks cannot bear it, unless it is forced; kUnavailable while the leader cannot tell, since it has just begun to
  // hear the servers. Requests that are under way at once do not know of each other. Else as administer_server
  // (server_states.h).
  Task<Reply> administer(Request request, MonoTime deadline);

 private:
  Task<Result<uint64_t>> judge(ServerId server, wire::ServerState wanted, bool force, MonoTime deadline);
  // Calls `add` with each block of `server`, a few at a time.
  using AddBlock = std::function<void(const wire::BlockRow&)>;
  Task<Status> add_blocks(std::shared_ptr<const KvReader> snapshot, ServerId server, AddBlock add, MonoTime deadline);
  Task<Result<std::map<ServerId, DepartureServer>>> servers();
  // kUnavailable where one that was not heard of lately need not be away.
  Status check_heard(const std::map<ServerId, DepartureServer>& servers) const;

  MetaParts& parts_;
};

}  // namespace dogfs
