#include "core/client/server_health.h"

#include <algorithm>

namespace dogfs {
namespace {

constexpr int kMeanWeight = 16;
constexpr int kLateFactor = 4;
constexpr Duration kLeastHedgeDelay = milliseconds(50);
constexpr Duration kMostHedgeDelay = seconds(2);

}  // namespace

void ServerHealth::overtaken(ServerId server) {
  const MonoTime now = clock_.now();
  std::erase_if(slow_until_, [now](const auto& slow) { return now >= slow.second; });
  if (slow_until_.size() >= kMaxSlowServers && !slow_until_.contains(server)) return;
  slow_until_[server] = now + kSuspicionTime;
}

void ServerHealth::answered(ServerId server, Duration latency) {
  if (latency < hedge_delay()) {
    suspect_until_.erase(server);
    slow_until_.erase(server);
  }
  mean_latency_ += (latency - mean_latency_) / kMeanWeight;
}

bool ServerHealth::is_suspect(ServerId server) const {
  const auto in = [&](const std::map<ServerId, MonoTime>& until) {
    const auto it = until.find(server);
    return it != until.end() && clock_.now() < it->second;
  };
  return in(suspect_until_) || in(slow_until_);
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
