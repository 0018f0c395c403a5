#include "sim/meta_operator.h"

#include <algorithm>
#include <utility>

namespace dogfs::sim {
namespace {

bool is_member(const wire::MembershipReply& membership, NodeId node) {
  return std::ranges::any_of(membership.members(),
                             [node](const auto& member) { return member.node() == node.value(); });
}

}  // namespace

Task<bool> MetaOperator::carry_out(Node& node, const proto::Fault& what) {
  const proto::ReplaceMeta& how = what.replace_meta();
  Client& client = node_.make<Client>(node_.env(), cluster_.client_options());
  Node* spare = next_spare();
  const wire::MembershipReply membership = co_await look(client);
  if (verdict_.failed() || spare == nullptr || !is_member(membership, cluster_.meta_id(node))) co_return false;
  if (how.dead() && may_die(node, membership)) {
    trace(node.name() + " dies, its disk with it");
    cluster_.crash(node, CrashKind::kPower);
    cluster_.retire(node);
  }
  cluster_.start(*spare);
  co_await swap_members(client, node, *spare, how.at_once());
  co_return !verdict_.failed();
}

Task<void> MetaOperator::swap_members(Client& client, Node& node, Node& spare, bool at_once) {
  const uint64_t fresh = cluster_.meta_id(spare).value();
  const uint64_t old = cluster_.meta_id(node).value();
  wire::ChangeMembershipRequest add;
  add.add_add()->set_node(fresh);
  add.mutable_add(0)->set_address(spare.address().value);
  co_await change(client, fmt::format("add {}={}", fresh, spare.name()), std::move(add));
  cluster_.announce(spare);
  wire::ChangeMembershipRequest promote;
  promote.add_promote(fresh);
  if (at_once) promote.add_remove(old);
  co_await change(client, fmt::format("promote {}{}", fresh, at_once ? fmt::format(" and remove {}", old) : ""),
                  std::move(promote));
  if (!at_once) {
    wire::ChangeMembershipRequest remove;
    remove.add_remove(old);
    co_await change(client, fmt::format("remove {}", old), std::move(remove));
  }
  cluster_.renounce(node);
}

// Who is in the group, as its leader knows.
Task<wire::MembershipReply> MetaOperator::look(Client& client) {
  for (;;) {
    Result<wire::MembershipReply> reply = co_await client.membership();
    if (reply && reply.value().from_leader()) co_return std::move(reply).value();
    const Error error = reply ? Error(ErrorCode::kNoLeader) : std::move(reply).error();
    if (!co_await is_worth_another_try("status", error)) co_return wire::MembershipReply();
  }
}

Task<void> MetaOperator::change(Client& client, std::string what, wire::ChangeMembershipRequest change) {
  if (verdict_.failed()) co_return;
  trace(what);
  for (;;) {
    const Result<wire::MembershipReply> reply = co_await client.change_membership(change);
    if (reply) co_return trace("done: " + what);
    if (!co_await is_worth_another_try(what, reply.error())) co_return;
  }
}

// In the order of their ids, which must rise.
Node* MetaOperator::next_spare() const {
  const auto& nodes = cluster_.meta_nodes();
  const auto spare = std::ranges::find_if(nodes, [this](const Node* node) { return cluster_.is_spare(*node); });
  return spare == nodes.end() ? nullptr : *spare;
}

// What stays must be a majority that can come back, whoever is down or cut off for the moment.
bool MetaOperator::may_die(const Node& node, const wire::MembershipReply& membership) const {
  size_t voters = 0;
  size_t left = 0;
  for (const wire::MembershipReply::Member& member : membership.members()) {
    if (member.role() != wire::MembershipReply::VOTER) continue;
    const Node& voter = *cluster_.meta_nodes().at(member.node() - 1);
    ++voters;
    if (&voter != &node && !cluster_.is_retired(voter)) ++left;
  }
  return !membership.changing() && 2 * left > voters;
}

}  // namespace dogfs::sim
