#include "core/meta/membership_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/limits.h"
#include "core/raft/raft.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

Result<std::vector<NodeId>> nodes_of(const google::protobuf::RepeatedField<uint64_t>& ids) {
  if (static_cast<size_t>(ids.size()) > kMaxRaftMembers) {
    return Error(ErrorCode::kLimitExceeded, fmt::format("a group has at most {} members", kMaxRaftMembers));
  }
  std::vector<NodeId> nodes;
  for (const uint64_t id : ids) nodes.emplace_back(id);
  return nodes;
}

Status check_new_member(const wire::ChangeMembershipRequest::NewMember& member, const MetaOptions& options) {
  const size_t bytes = member.address().size();
  if (member.node() == 0 || bytes == 0 || bytes > kMaxAddressBytes) {
    return Error(ErrorCode::kInvalidArgument, "a new member needs an id and an address");
  }
  return options.check_address ? options.check_address(Address{member.address()}) : ok();
}

Result<raft::MembershipChange> change_of(const wire::ChangeMembershipRequest& message, const MetaOptions& options) {
  raft::MembershipChange change;
  if (static_cast<size_t>(message.add_size()) > kMaxRaftMembers) {
    return Error(ErrorCode::kLimitExceeded, fmt::format("a group has at most {} members", kMaxRaftMembers));
  }
  for (const wire::ChangeMembershipRequest::NewMember& member : message.add()) {
    DOGFS_TRYV(check_new_member(member, options));
    if (!change.add.emplace(NodeId(member.node()), Address{member.address()}).second) {
      return Error(ErrorCode::kInvalidArgument, fmt::format("node {} is named twice", member.node()));
    }
  }
  DOGFS_TRY(change.promote, nodes_of(message.promote()));
  DOGFS_TRY(change.demote, nodes_of(message.demote()));
  DOGFS_TRY(change.remove, nodes_of(message.remove()));
  return change;
}

wire::MembershipReply::Role role_of(const raft::Configuration& configuration, NodeId node) {
  if (configuration.is_learner(node)) return wire::MembershipReply::LEARNER;
  const bool stays = std::binary_search(configuration.voters.begin(), configuration.voters.end(), node);
  return stays ? wire::MembershipReply::VOTER : wire::MembershipReply::LEAVING_VOTER;
}

// "Not yet" is for the operator to see at once, rather than to be retried in silence as a busy leader is.
Error for_operator(Error error) {
  if (error.code == ErrorCode::kBusy) error.code = ErrorCode::kConflict;
  return error;
}

}  // namespace

wire::MembershipReply MembershipRequests::describe_now() const {
  const ReplicaStatus status = parts_.replica.status();
  const MonoTime now = parts_.env.clock.now();
  wire::MembershipReply reply;
  reply.set_answered_by(parts_.options.self.value());
  reply.set_from_leader(status.role == RaftRole::kLeader);
  reply.set_leader(status.leader.value());
  reply.set_term(status.term.value());
  reply.set_commit_index(status.commit.value());
  reply.set_last_index(status.last.value());
  const raft::Raft& raft = *parts_.replica.raft();
  const raft::Configuration& configuration = raft.configuration();
  reply.set_changing(configuration.is_joint() || !raft.is_configuration_committed());
  reply.set_last_id(configuration.last_id.value());
  for (const auto& [node, address] : configuration.addresses) {
    wire::MembershipReply::Member& member = *reply.add_members();
    member.set_node(node.value());
    member.set_address(address.value);
    member.set_role(role_of(configuration, node));
    if (const auto match = status.match.find(node); match != status.match.end()) {
      member.set_match_index(match->second.value());
    }
    member.set_lost_store(status.lost_stores.contains(node));
    member.set_silent_ms(node == parts_.options.self ? 0 : -1);
    if (const auto contact = status.last_contact.find(node); contact != status.last_contact.end()) {
      member.set_silent_ms(std::chrono::floor<milliseconds>(now - contact->second).count());
    }
  }
  return reply;
}

Task<Reply> MembershipRequests::describe(Request request, MonoTime) {
  const Result<wire::MembershipRequest> parsed = parse_message<wire::MembershipRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  if (parsed.value().only_leader() && !parts_.is_leader()) co_return parts_.refuse(Error(ErrorCode::kNotLeader));
  co_return make_reply(describe_now());
}

Task<Reply> MembershipRequests::change(Request request, MonoTime deadline) {
  const Result<wire::ChangeMembershipRequest> parsed = parse_message<wire::ChangeMembershipRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  Result<raft::MembershipChange> change = change_of(parsed.value(), parts_.options);
  if (!change) co_return error_reply(change.error());
  const Status done = co_await parts_.replica.change_membership(std::move(change).value(), deadline);
  if (!done) co_return parts_.refuse(for_operator(done.error()));
  co_return make_reply(describe_now());
}

Task<Reply> MembershipRequests::transfer(Request request, MonoTime deadline) {
  const Result<wire::TransferLeadershipRequest> parsed = parse_message<wire::TransferLeadershipRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const Status done = co_await parts_.replica.transfer_leadership(NodeId(parsed.value().target()), deadline);
  if (!done) co_return parts_.refuse(for_operator(done.error()));
  co_return make_reply(describe_now());
}

}  // namespace dogfs
