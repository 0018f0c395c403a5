// What chunk servers ask: to be registered, and to be known as alive. The reply to a heartbeat carries the shards that
// the server is to delete; it confirms them with a later one, and only then are they forgotten (duties.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/meta/parts.h"
#include "core/meta/repairs.h"
#include "core/meta/successors.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

// A shard that may be deleted now.
struct DueGarbage {
  GarbageShard shard;
  // It was replaced by this one; none: nothing took its place.
  std::optional<PlacedShard> successor;
};

// A part of a server's garbage. All parts in turn are all of it: what cannot be deleted now, because its successor is
// away or its disk takes no writes, keeps nothing behind it waiting.
struct GarbagePart {
  std::vector<DueGarbage> due;
  std::string next;  // where the next part begins; empty: at the beginning
};

// What is due at log time `now_ms` of the part of the garbage of `server` that begins at `from`, which has at most `limit`
// shards whose time has come. A replaced shard whose successor is not known to be whole is not due: it may be the last
// good copy of its index.
Result<GarbagePart> due_garbage(const MetaTables& tables, ServerId server, int64_t now_ms, const std::string& from,
                                size_t limit);

class ServerRequests {
 public:
  ServerRequests(MetaParts& parts, Repairs& repairs) : parts_(parts), repairs_(repairs) {}

  Task<Reply> register_server(Request request, MonoTime deadline);

  // Fails with kWrongCluster, with kNotFound from a leader that certainly knows no such server (it must register), and
  // with kConflict when another process has registered as this server since.
  Task<Reply> heartbeat(Request request, MonoTime deadline);

  // The two halves of a block report (block_report.h). kConflict from a server that has registered again since.
  Task<Reply> report_digests(Request request);
  Task<Reply> report_shards(Request request);

  // A reader's word that a shard is damaged: its server will look. Answered at once.
  Task<Reply> report_damage(Request request);

 private:
  // Checks who the server is, against the rows if need be. False: this node is behind and cannot tell.
  Task<Result<bool>> identify(uint64_t server, uint64_t incarnation, MonoTime deadline);
  // Loads what this node has applied of the server's identity.
  Task<Result<bool>> learn(ServerId server, uint64_t incarnation);
  Task<Status> learn_cluster_uuid();
  Task<Status> add_deletions(ServerId server, wire::HeartbeatReply& reply, MonoTime deadline);
  bool may_delete(const DueGarbage& garbage);
  Status check_reporter(uint64_t server, uint64_t incarnation) const;

  MetaParts& parts_;
  Repairs& repairs_;
  Successors successors_;
  // Where the next part of each server's garbage begins, where that is not the beginning.
  std::map<ServerId, std::string> garbage_from_;
};

}  // namespace dogfs
