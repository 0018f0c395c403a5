// The operator of a run: who replaces metadata nodes while the cluster serves (docs/operations.md), as a person or a
// script does with `dogfs admin meta`, through the client that this is made of.
//
// It works on a node of its own that no fault strikes, does one thing after the other, and never gives up: what the
// group refuses for now, or does not answer, is asked for again. So each replacement that begins must end, soon after
// the last fault at the latest, and a run in which one does not fails. An answer that no trouble excuses fails it at
// once.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "core/client/client.h"
#include "sim/cluster.h"
#include "sim/scenario.pb.h"
#include "sim/verdict.h"

namespace dogfs::sim {

class Operator {
 public:
  // Adds the operator's node to the world. What is passed must outlive this object.
  Operator(Cluster& cluster, Verdict& verdict);

  // What is asked of the operator.
  struct Order {
    std::vector<Node*> nodes;     // metadata nodes that are to be replaced, in this order
    proto::ReplaceMeta how = {};  // its selector is not used
    // Called when it is done, or there was nothing to do, with how many were replaced.
    std::function<void(size_t)> done;
  };
  void replace(Order order);

 private:
  Task<void> work();
  Task<bool> replace_one(Node& node, const proto::ReplaceMeta& how);
  Task<void> swap_members(Client& client, Node& node, Node& spare, bool at_once);
  Task<wire::MembershipReply> look(Client& client);
  Task<void> change(Client& client, std::string what, wire::ChangeMembershipRequest change);
  Task<bool> is_worth_another_try(const std::string& what, const Error& error);
  Node* next_spare() const;
  bool may_die(const Node& node, const wire::MembershipReply& membership) const;
  void trace(const std::string& what);

  Cluster& cluster_;
  Verdict& verdict_;
  Node& node_;
  std::deque<Order> orders_;
  bool working_ = false;
};

}  // namespace dogfs::sim
