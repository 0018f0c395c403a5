#include "sim/operator.h"

#include <utility>

#include "core/env/sync.h"

namespace dogfs::sim {
namespace {

constexpr milliseconds kRetryPause(200);

// Whether trouble of nodes and network, or a change that is under way, can make the cluster answer so.
bool is_excusable(ErrorCode code) {
  return code == ErrorCode::kConflict || code == ErrorCode::kOutcomeUnknown || code == ErrorCode::kNotLeader ||
         error_class(code) == ErrorClass::kRetry;
}

}  // namespace

Operator::Operator(Cluster& cluster, Verdict& verdict, const std::string& name)
    : cluster_(cluster), verdict_(verdict), node_(cluster.world().add_node(name)) {}

void Operator::trace(const std::string& what) {
  cluster_.world().trace().line("operator", what);
}

void Operator::take(Order order) {
  orders_.push_back(std::move(order));
  if (std::exchange(working_, true)) return;
  cluster_.world().spawn(node_, work());
}

Task<void> Operator::work() {
  while (!orders_.empty() && !verdict_.failed()) {
    const Order order = std::move(orders_.front());
    orders_.pop_front();
    size_t done = 0;
    for (Node* node : order.nodes) {
      if (co_await carry_out(*node, order.what)) ++done;
    }
    order.done(done);
  }
  working_ = false;
}

Task<bool> Operator::is_worth_another_try(const std::string& what, const Error& error) {
  if (verdict_.failed()) co_return false;
  if (!is_excusable(error.code)) {
    verdict_.fail("operator", what + ": " + error.to_string());
    co_return false;
  }
  trace(fmt::format("not yet: {}: {}", what, error.to_string()));
  co_await sleep_for(node_.env().clock, kRetryPause);
  co_return true;
}

}  // namespace dogfs::sim
