#include "core/meta/meta_node.h"

#include <utility>

#include "core/meta/balancer.h"
#include "core/meta/client_requests.h"
#include "core/meta/duties.h"
#include "core/meta/membership_requests.h"
#include "core/meta/parts.h"
#include "core/meta/read_requests.h"
#include "core/meta/repairs.h"
#include "core/meta/room_watch.h"
#include "core/meta/server_admin.h"
#include "core/meta/server_requests.h"
#include "core/meta/state_machine.h"
#include "core/meta/trash_requests.h"
#include "core/raft/group_host.h"
#include "core/wire/message_type.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

// The one group there is so far: it holds the whole namespace and the registry of servers.
constexpr GroupId kGroup{0};

ReplicaOptions replica_options(const MetaOptions& options) {
  ReplicaOptions replica;
  replica.group = kGroup;
  replica.self = options.self;
  replica.voters = options.nodes;
  replica.empty_store = options.empty_store;
  replica.lease_drift_bound = options.lease_drift_bound;
  replica.heartbeat_interval = options.heartbeat_interval;
  replica.election_timeout = options.election_timeout;
  replica.log = options.log;
  replica.max_cached_bytes = options.max_cached_log_bytes;
  replica.snapshot_part_bytes = options.snapshot_part_bytes;
  replica.max_uncommitted_bytes = options.max_uncommitted_bytes;
  return replica;
}

}  // namespace

class MetaNode::Impl {
 public:
  Impl(Env& env, KvStore& store, MetaOptions options, std::function<void(Error)> on_fatal)
      : env_(env),
        options_(std::move(options)),
        machine_(store, env.compute, kGroup),
        host_(env, store, std::move(on_fatal)),
        replica_(host_.add(machine_, replica_options(options_))),
        parts_(env, store, options_, replica_, kGroup),
        room_(env, store),
        clients_(parts_, room_),
        repairs_(parts_),
        reads_(parts_, repairs_, room_),
        servers_(parts_, repairs_),
        membership_(parts_),
        admin_(parts_),
        trash_(parts_),
        duties_(parts_),
        balancer_(parts_, repairs_.survey()),
        idle_(env.clock) {}

  Task<Status> start(RequestHandler& handler) {
    replica_.on_change([this](const ReplicaStatus& status) { observe(status); });
    DOGFS_CO_TRYV(co_await replica_.start());
    room_.start();
    duties_.start();
    repairs_.start();
    balancer_.start();
    env_.transport.serve(handler);
    co_return ok();
  }

  Task<void> stop() {
    refusing_ = true;
    if (parts_.is_leader()) {
      const MonoTime limit = env_.clock.now() + options_.election_timeout;
      const Status handed = co_await replica_.transfer_leadership(NodeId(), limit);
      if (!handed) env_.log.info("meta", "leadership is not handed over: {}", handed.error().to_string());
    }
    env_.transport.stop_serving();
    stopping_ = true;
    room_.request_stop();
    duties_.request_stop();
    repairs_.request_stop();
    balancer_.request_stop();
    co_await host_.stop();
    co_await room_.join();
    co_await duties_.join();
    co_await repairs_.join();
    co_await balancer_.join();
    while (active_ > 0) co_await idle_.wait();
  }

  Task<Reply> handle(Request request, MonoTime deadline) {
    if (refusing_) co_return error_reply(Error(ErrorCode::kShuttingDown));
    if (request.group != kGroup) {
      co_return error_reply(Error(ErrorCode::kInvalidArgument, fmt::format("group {} is not here", request.group)));
    }
    ++active_;
    Reply reply = co_await dispatch(std::move(request), deadline);
    if (--active_ == 0) idle_.notify_all();
    co_return reply;
  }

  void receive(const Request& message) {
    if (!stopping_ && message.type == MessageType::kRaft) host_.receive(message);
  }

  const Replica& replica() const { return replica_; }
  const Repairs& repairs() const { return repairs_; }

 private:
  Task<Reply> dispatch(Request request, MonoTime deadline) {
    switch (request.type) {
      case MessageType::kOpenSession:
        return clients_.open_session(std::move(request), deadline);
      case MessageType::kMutate:
        return clients_.mutate(std::move(request), deadline);
      case MessageType::kRenewLeases:
        return clients_.renew_leases(std::move(request), deadline);
      case MessageType::kStat:
        return reads_.stat(std::move(request), deadline);
      case MessageType::kList:
        return reads_.list(std::move(request), deadline);
      case MessageType::kGetBlocks:
        return reads_.get_blocks(std::move(request), deadline);
      case MessageType::kSummary:
        return reads_.summary(std::move(request), deadline);
      case MessageType::kClusterStatus:
        return reads_.cluster_status(std::move(request), deadline);
      case MessageType::kMembership:
        return membership_.describe(std::move(request), deadline);
      case MessageType::kChangeMembership:
        return membership_.change(std::move(request), deadline);
      case MessageType::kTransferLeadership:
        return membership_.transfer(std::move(request), deadline);
      case MessageType::kBalance:
        return balancer_.balance(std::move(request), deadline);
      case MessageType::kAdministerServer:
        return admin_.administer(std::move(request), deadline);
      case MessageType::kGetQuotas:
        return reads_.quotas(std::move(request), deadline);
      case MessageType::kListTrash:
        return trash_.list(std::move(request), deadline);
      case MessageType::kAdministerTrash:
        return trash_.administer(std::move(request), deadline);
      case MessageType::kRegisterServer:
        return servers_.register_server(std::move(request), deadline);
      case MessageType::kHeartbeat:
        return servers_.heartbeat(std::move(request), deadline);
      case MessageType::kReportDigests:
        return servers_.report_digests(std::move(request));
      case MessageType::kReportShards:
        return servers_.report_shards(std::move(request));
      case MessageType::kReportDamage:
        return servers_.report_damage(std::move(request));
      default:
        return refuse_type(request.type);
    }
  }

  static Task<Reply> refuse_type(MessageType type) {
    co_return error_reply(Error(ErrorCode::kUnsupported, fmt::format("message type {} is not for a metadata node",
                                                                     static_cast<uint16_t>(type))));
  }

  // Soft state of a leader starts afresh with each election.
  void observe(const ReplicaStatus& status) {
    const bool leads = status.role == RaftRole::kLeader;
    if (leads && status.term != led_term_) {
      led_term_ = status.term;
      parts_.proposer.lead();
      parts_.leases.clear();
      parts_.registry.listen(env_.clock.now());
      duties_.lead();
      repairs_.lead();
      balancer_.lead();
    }
  }

  Env& env_;
  MetaOptions options_;
  MetaStateMachine machine_;
  GroupHost host_;
  Replica& replica_;
  MetaParts parts_;
  RoomWatch room_;
  ClientRequests clients_;
  Repairs repairs_;
  ReadRequests reads_;
  ServerRequests servers_;
  MembershipRequests membership_;
  ServerAdmin admin_;
  TrashRequests trash_;
  Duties duties_;
  Balancer balancer_;
  // Requests under way; stop() waits for them.
  size_t active_ = 0;
  Notifier idle_;
  bool refusing_ = false;  // new requests
  bool stopping_ = false;
  Term led_term_;
};

MetaNode::MetaNode(Env& env, KvStore& store, MetaOptions options, std::function<void(Error)> on_fatal)
    : impl_(std::make_unique<Impl>(env, store, std::move(options), std::move(on_fatal))) {}

MetaNode::~MetaNode() = default;

Task<Status> MetaNode::start() {
  return impl_->start(*this);
}

Task<void> MetaNode::stop() {
  return impl_->stop();
}

Task<Reply> MetaNode::handle(Request request, MonoTime deadline) {
  return impl_->handle(std::move(request), deadline);
}

void MetaNode::receive(Request message) {
  impl_->receive(message);
}

const Replica& MetaNode::replica() const {
  return impl_->replica();
}

const Repairs& MetaNode::repairs() const {
  return impl_->repairs();
}

}  // namespace dogfs
