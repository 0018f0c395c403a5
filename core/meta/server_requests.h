// What chunk servers ask: to be registered, and to be known as alive. The reply to a heartbeat carries the shards that
// the server is to delete; it confirms them with a later one, and only then are they forgotten (duties.h).
#pragma once

#include <optional>
#include <vector>

#include "core/base/limits.h"
#include "core/meta/parts.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class ServerRequests {
 public:
  explicit ServerRequests(MetaParts& parts) : parts_(parts) {}

  Task<Reply> register_server(Request request, MonoTime deadline);

  // Fails with kWrongCluster, with kNotFound from a leader that certainly knows no such server (it must register), and
  // with kConflict when another process has registered as this server since.
  Task<Reply> heartbeat(Request request, MonoTime deadline);

 private:
  // Checks who the server is, against the rows if need be. False: this node is behind and cannot tell.
  Task<Result<bool>> identify(uint64_t server, uint64_t incarnation, MonoTime deadline);
  // Loads what this node has applied of the server's identity.
  Task<Result<bool>> learn(ServerId server, uint64_t incarnation);
  Task<Status> learn_cluster_uuid();
  Task<Status> add_deletions(ServerId server, wire::HeartbeatReply& reply);

  MetaParts& parts_;
};

}  // namespace dogfs
