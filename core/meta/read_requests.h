// The reads that clients ask for: behind a read barrier, from one snapshot.
#pragma once

#include "core/meta/parts.h"
#include "core/meta/repairs.h"
#include "core/meta/room_watch.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class ReadRequests {
 public:
  ReadRequests(MetaParts& parts, const Repairs& repairs, const RoomWatch& room)
      : parts_(parts), repairs_(repairs), room_(room) {}

  Task<Reply> stat(Request request, MonoTime deadline);
  Task<Reply> list(Request request, MonoTime deadline);
  Task<Reply> quotas(Request request, MonoTime deadline);
  Task<Reply> get_blocks(Request request, MonoTime deadline);
  Task<Reply> summary(Request request, MonoTime deadline);
  // Answered by every node; by one that does not lead, or cannot reach a majority, as far as it knows.
  Task<Reply> cluster_status(Request request, MonoTime deadline);

 private:
  template <class RequestMessage, class ReplyMessage>
  Task<Reply> answer(Request request, MonoTime deadline,
                     Result<ReplyMessage> (*query)(const MetaTables&, const RequestMessage&));
  void add_survey(wire::ClusterStatusReply& reply) const;
  void add_strange(const std::vector<wire::ChunkServerRow>& rows, wire::ClusterStatusReply& reply) const;
  void add_nodes(const ReplicaStatus& status, wire::ClusterStatusReply& reply) const;
  void add_servers(const std::vector<wire::ChunkServerRow>& rows, int64_t log_now_ms,
                   wire::ClusterStatusReply& reply) const;

  MetaParts& parts_;
  const Repairs& repairs_;
  const RoomWatch& room_;
};

}  // namespace dogfs
