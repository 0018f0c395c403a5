// Who drains, maintains, removes and balances chunk servers while the cluster serves, with what `dogfs admin node` asks for.
//
// What the blocks cannot bear the cluster must refuse, and say why: the operator leaves it at that. What it grants must
// end: a drain when the server is empty, which must then be true, a maintenance when it is over, and a removed server
// by itself. A drain that takes long is asked for again, since what was granted may have become impossible meanwhile
// (other servers died): when that is refused, the server returns as it is. Balancing ends by itself, or is stopped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/atlas.h"
#include "sim/block_oracle.h"
#include "sim/operator.h"

namespace dogfs::sim {

class ServerOperator final : public Operator {
 public:
  // What is passed must outlive this object.
  ServerOperator(Cluster& cluster, Verdict& verdict, Atlas& atlas, BlockOracle& blocks)
      : Operator(cluster, verdict, "server-operator"), atlas_(atlas), blocks_(blocks) {}

  // That those which were removed have nothing, to the end.
  void check_removed();

 private:
  // Precondition: `what` is drain_server, maintain_server or balance_servers.
  Task<bool> carry_out(Node& node, const proto::Fault& what) override;

  Task<bool> drain(Node& node, ServerId server, proto::DrainServer how);
  Task<bool> wait_until_empty(Node& node, ServerId server);
  Task<void> remove(Node& node, ServerId server);
  Task<bool> maintain(Node& node, ServerId server, proto::MaintainServer how);
  Task<void> be_away(Node& node, Duration away);
  Task<void> wait_until_over(Node& node);
  Task<void> bring_back(Node& node, ServerId server);
  // Whether something was moved.
  Task<bool> balance(proto::BalanceServers how);
  // None where the run has failed.
  Task<std::optional<wire::BalanceReply>> ask_balancer(wire::BalanceRequest::Action action, uint32_t threshold_percent);

  // Whether it was granted.
  Task<bool> ask(Node& node, wire::AdministerServerRequest request);
  // As the leader knows it; none where it is not registered, or the run has failed.
  Task<std::optional<wire::ChunkServerInfo>> look(Address address);
  Client& client();

  Atlas& atlas_;
  BlockOracle& blocks_;
  Client* client_ = nullptr;
  std::vector<Address> told_;  // metadata nodes, of that client
  std::vector<const Node*> removed_;
};

}  // namespace dogfs::sim
