#include "core/client/server_health.h"

#include <algorithm>

namespace dogfs {
namespace {

constexpr int kMeanWeight = 16;
constexpr int kLateFactor = 4;
constexpr Duration kLeastHedgeDelay = milliseconds(50);
constexpr Duration kMostHedgeDelay = seconds(2);

}  // namespace

void ServerHealth::answered(ServerId server, Duration latency) {
  suspect_until_.erase(server);
  mean_latency_ += (latency - mean_latency_) / kMeanWeight;
}

bool ServerHealth::is_suspect(ServerId server) const {
  const auto it = suspect_until_.find(server);
  return it != suspect_until_.end() && clock_.now() < it->second;
}

std::vector<ServerId> ServerHealth::suspects() const {
  std::vector<ServerId> out;
  for (const auto& [server, until] : suspect_until_) {
    if (clock_.now() < until) out.push_back(server);
  }
  return out;
}

Duration ServerHealth::hedge_delay() const {
  return std::clamp(mean_latency_ * kLateFactor, kLeastHedgeDelay, kMostHedgeDelay);
}

}  // namespace dogfs
