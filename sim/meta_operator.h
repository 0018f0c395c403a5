// Who replaces metadata nodes while the cluster serves, with what `dogfs admin meta` asks for.
#pragma once

#include <string>

#include "sim/operator.h"

namespace dogfs::sim {

class MetaOperator final : public Operator {
 public:
  MetaOperator(Cluster& cluster, Verdict& verdict) : Operator(cluster, verdict, "operator") {}

 private:
  // Has the node replaced by the next spare one. Precondition: `what` is replace_meta.
  Task<bool> carry_out(Node& node, const proto::Fault& what) override;

  Task<void> swap_members(Client& client, Node& node, Node& spare, bool at_once);
  Task<wire::MembershipReply> look(Client& client);
  Task<void> change(Client& client, std::string what, wire::ChangeMembershipRequest change);
  Node* next_spare() const;
  bool may_die(const Node& node, const wire::MembershipReply& membership) const;
};

}  // namespace dogfs::sim
