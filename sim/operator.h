// An operator of a run, as a person or a script is one with `dogfs admin` (docs/operations.md), through the client that
// this is made of: the MetaOperator replaces metadata nodes, the ServerOperator drains and maintains chunk servers.
//
// It works on a node of its own that no fault strikes, does one thing after the other, and never gives up: what is not
// answered, or is refused only for now, is asked for again. So whatever it has begun must end, soon after the last
// fault at the latest, and a run in which it does not fails. An answer that no trouble excuses fails it at once.
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
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;
  virtual ~Operator() = default;

  // What is asked of the operator.
  struct Order {
    std::vector<Node*> nodes;  // one after the other
    proto::Fault what;         // its selector is not used
    // Called at the end with the number of nodes that it was done to, where it was not refused and not in vain.
    std::function<void(size_t)> done;
  };
  void take(Order order);

 protected:
  // Adds the operator's node to the world. What is passed must outlive this object.
  Operator(Cluster& cluster, Verdict& verdict, const std::string& name);

  // False where there was nothing to do, or it was refused.
  virtual Task<bool> carry_out(Node& node, const proto::Fault& what) = 0;

  // Pauses, and is true, unless the run has failed or fails of this error.
  Task<bool> is_worth_another_try(const std::string& what, const Error& error);
  void trace(const std::string& what);

  Cluster& cluster_;
  Verdict& verdict_;
  Node& node_;

 private:
  Task<void> work();

  std::deque<Order> orders_;
  bool working_ = false;
};

}  // namespace dogfs::sim
