#include "core/raft/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace dogfs::raft {
namespace {

using Nodes = std::vector<NodeId>;

bool contains(const Nodes& nodes, NodeId node) {
  return std::binary_search(nodes.begin(), nodes.end(), node);
}

void insert(Nodes& nodes, NodeId node) {
  nodes.insert(std::lower_bound(nodes.begin(), nodes.end(), node), node);
}

void erase(Nodes& nodes, NodeId node) {
  nodes.erase(std::lower_bound(nodes.begin(), nodes.end(), node));
}

bool is_sorted_set(const Nodes& nodes) {
  return std::adjacent_find(nodes.begin(), nodes.end(), std::greater_equal<>()) == nodes.end() &&
         (nodes.empty() || !nodes.front().is_none());
}

bool are_disjoint(const Nodes& a, const Nodes& b) {
  return std::none_of(a.begin(), a.end(), [&](NodeId node) { return contains(b, node); });
}

Error invalid(std::string what) {
  return Error(ErrorCode::kInvalidArgument, std::move(what));
}

std::set<NodeId> members_of(const Configuration& configuration) {
  std::set<NodeId> members;
  for (const Nodes* nodes : {&configuration.voters, &configuration.outgoing, &configuration.learners}) {
    members.insert(nodes->begin(), nodes->end());
  }
  return members;
}

// Members that are in no list any more have no address, as they are not to be dialled, and no store.
void forget_strangers(Configuration& configuration) {
  const std::set<NodeId> members = members_of(configuration);
  std::erase_if(configuration.addresses, [&](const auto& item) { return !members.contains(item.first); });
  std::erase_if(configuration.stores, [&](const auto& item) { return !members.contains(item.first); });
}

Status check_named_once(const MembershipChange& change) {
  std::set<NodeId> named;
  size_t names = change.add.size();
  for (const auto& [node, address] : change.add) named.insert(node);
  for (const Nodes* nodes : {&change.promote, &change.demote, &change.remove}) {
    named.insert(nodes->begin(), nodes->end());
    names += nodes->size();
  }
  if (names == 0) return invalid("the change is empty");
  if (named.size() != names) return invalid("the change names a node twice");
  return ok();
}

Status check_address_is_free(const Configuration& in, NodeId node, const Address& address) {
  for (const auto& [other, taken] : in.addresses) {
    if (other != node && taken == address && !address.value.empty()) {
      return invalid(fmt::format("the address {} is node {}'s", address.value, other));
    }
  }
  return ok();
}

// At a wrong address a learner is never heard of, and its id, which is not given twice, would be lost. A voter was heard
// of at its own.
Status change_address(Configuration& in, NodeId node, const Address& address) {
  Address& known = in.addresses.at(node);
  const bool learns = contains(in.learners, node);
  if (known == address || !learns) {
    return invalid(fmt::format("node {} is a member already, at {}{}", node, known.value,
                               learns ? "" : ": only a learner can be given another address"));
  }
  DOGFS_TRYV(check_address_is_free(in, node, address));
  known = address;
  return ok();
}

Status add_learners(Configuration& to, const std::map<NodeId, Address>& added) {
  const NodeId last_id = to.last_id;
  for (const auto& [node, address] : added) {
    if (to.is_member(node)) {
      DOGFS_TRYV(change_address(to, node, address));
      continue;
    }
    if (node.value() > kMaxNodeId) return invalid(fmt::format("a node id is at most {}", kMaxNodeId));
    if (node <= last_id) {
      return invalid(
          fmt::format("node id {} may have been used before: a new node takes an id above {}", node, last_id));
    }
    DOGFS_TRYV(check_address_is_free(to, node, address));
    insert(to.learners, node);
    to.addresses.emplace(node, address);
    to.last_id = std::max(to.last_id, node);
  }
  return ok();
}

Status promote(Configuration& to, const Nodes& nodes) {
  for (const NodeId node : nodes) {
    if (contains(to.voters, node)) return invalid(fmt::format("node {} is a voter already", node));
    if (!contains(to.learners, node)) return invalid(fmt::format("node {} is not a learner", node));
    erase(to.learners, node);
    insert(to.voters, node);
  }
  return ok();
}

Status demote(Configuration& to, const Nodes& nodes) {
  for (const NodeId node : nodes) {
    if (!contains(to.voters, node)) return invalid(fmt::format("node {} is not a voter", node));
    erase(to.voters, node);
    // Until the old voters have no say any more, it is one of them.
    insert(to.learners_next, node);
  }
  return ok();
}

Status remove(Configuration& to, const Nodes& nodes) {
  for (const NodeId node : nodes) {
    if (!to.is_member(node)) return invalid(fmt::format("node {} is not a member", node));
    erase(contains(to.voters, node) ? to.voters : to.learners, node);
  }
  return ok();
}

}  // namespace

bool Configuration::is_voter(NodeId node) const {
  return contains(voters, node) || contains(outgoing, node);
}

bool Configuration::is_learner(NodeId node) const {
  return contains(learners, node);
}

StoreId Configuration::store_of(NodeId node) const {
  const auto found = stores.find(node);
  return found == stores.end() ? StoreId() : found->second;
}

Configuration initial_configuration(const std::map<NodeId, Address>& voters) {
  Configuration configuration;
  for (const auto& [node, address] : voters) configuration.voters.push_back(node);
  configuration.addresses = voters;
  if (!voters.empty()) configuration.last_id = voters.rbegin()->first;
  return configuration;
}

Status validate(const Configuration& c) {
  for (const Nodes* nodes : {&c.voters, &c.outgoing, &c.learners, &c.learners_next}) {
    if (!is_sorted_set(*nodes)) return invalid("a list of members is not a sorted set of ids");
  }
  if (!are_disjoint(c.learners, c.voters) || !are_disjoint(c.learners, c.outgoing)) return invalid("a learner votes");
  if (!are_disjoint(c.learners_next, c.voters)) return invalid("a voter is to be a learner");
  if (!std::includes(c.outgoing.begin(), c.outgoing.end(), c.learners_next.begin(), c.learners_next.end())) {
    return invalid("a learner to be is not an outgoing voter");
  }
  const std::set<NodeId> members = members_of(c);
  if (c.voters.empty() && !members.empty()) return invalid("nobody votes");
  if (c.voters.size() > kMaxRaftVoters || c.outgoing.size() > kMaxRaftVoters || members.size() > kMaxRaftMembers) {
    return invalid("too many members");
  }
  if (members.size() != c.addresses.size()) return invalid("members and addresses differ");
  for (const auto& [node, address] : c.addresses) {
    if (!members.contains(node)) return invalid("members and addresses differ");
    if (address.value.size() > kMaxAddressBytes) return invalid("an address is too long");
    if (node > c.last_id) return invalid("an id is above the last one");
  }
  for (const auto& [node, store] : c.stores) {
    if (!members.contains(node) || store.is_none()) return invalid("a store is nobody's");
  }
  return ok();
}

Result<Configuration> begin_change(const Configuration& from, const MembershipChange& change) {
  if (from.is_joint()) return Error(ErrorCode::kConflict, "another change of membership is under way");
  DOGFS_TRYV(check_named_once(change));
  Configuration to = from;
  DOGFS_TRYV(promote(to, change.promote));
  DOGFS_TRYV(demote(to, change.demote));
  DOGFS_TRYV(remove(to, change.remove));
  DOGFS_TRYV(add_learners(to, change.add));
  if (to.voters.empty()) return invalid("no voter would be left");
  if (to.voters.size() > kMaxRaftVoters) {
    return Error(ErrorCode::kLimitExceeded, fmt::format("a group has at most {} voters", kMaxRaftVoters));
  }
  if (to.voters != from.voters) to.outgoing = from.voters;
  forget_strangers(to);
  if (to.addresses.size() > kMaxRaftMembers) {
    return Error(ErrorCode::kLimitExceeded, fmt::format("a group has at most {} members", kMaxRaftMembers));
  }
  DOGFS_CHECK(validate(to).has_value());
  return to;
}

bool is_in_effect(const Configuration& configuration, const MembershipChange& change) {
  if (!check_named_once(change)) return false;
  const auto is_added = [&](const auto& item) {
    const auto known = configuration.addresses.find(item.first);
    return known != configuration.addresses.end() && known->second == item.second;
  };
  const auto votes = [&](NodeId node) { return contains(configuration.voters, node); };
  const auto learns = [&](NodeId node) {
    return contains(configuration.learners, node) || contains(configuration.learners_next, node);
  };
  const auto is_gone = [&](NodeId node) {
    return !node.is_none() && node <= configuration.last_id && !votes(node) && !learns(node);
  };
  return std::all_of(change.add.begin(), change.add.end(), is_added) &&
         std::all_of(change.promote.begin(), change.promote.end(), votes) &&
         std::all_of(change.demote.begin(), change.demote.end(), learns) &&
         std::all_of(change.remove.begin(), change.remove.end(), is_gone);
}

Configuration leave_joint(const Configuration& joint) {
  DOGFS_CHECK(joint.is_joint());
  Configuration to = joint;
  for (const NodeId node : to.learners_next) {
    insert(to.learners, node);
    to.stores.erase(node);
  }
  to.learners_next.clear();
  to.outgoing.clear();
  forget_strangers(to);
  DOGFS_CHECK(validate(to).has_value());
  return to;
}

// --- History --------------------------------------------------------------------------------------------------------

const ConfigurationHistory::Item& ConfigurationHistory::at(LogIndex index) const {
  const auto after = std::upper_bound(items_.begin(), items_.end(), index,
                                      [](LogIndex value, const Item& item) { return value < item.index; });
  DOGFS_CHECK(after != items_.begin(), "nobody remembers the configuration before the log");
  return *std::prev(after);
}

void ConfigurationHistory::append(LogIndex index, Configuration configuration) {
  DOGFS_CHECK(index > latest_index());
  items_.push_back(Item{index, std::move(configuration)});
  ++version_;
}

void ConfigurationHistory::truncate_from(LogIndex index) {
  DOGFS_CHECK(items_.front().index < index, "what the log begins with cannot be taken back");
  while (items_.back().index >= index) {
    items_.pop_back();
    ++version_;
  }
}

void ConfigurationHistory::compact_to(LogIndex index) {
  while (items_.size() > 1 && items_[1].index <= index) items_.pop_front();
}

void ConfigurationHistory::reset(Item base) {
  items_.clear();
  items_.push_back(std::move(base));
  ++version_;
}

}  // namespace dogfs::raft
