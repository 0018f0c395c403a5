#include "core/raft/membership_invariants.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/raft/describe.h"
#include "core/raft/invariants.h"

namespace dogfs::raft {
namespace {

bool may_follow(const Configuration& before, const Configuration& after) {
  if (after.last_id < before.last_id) return false;
  if (before.is_joint()) return after == leave_joint(before);
  return after.is_joint() ? after.outgoing == before.voters : after.voters == before.voters;
}

}  // namespace

Violation check_standing(const NodeView& view) {
  if (view.role == RaftRole::kFollower) return std::nullopt;
  const ConfigurationHistory& history = view.log->configurations();
  if (history.latest().is_voter(view.node)) return std::nullopt;
  if (history.latest_index() > view.commit) {
    if (view.role == RaftRole::kLeader || history.at(view.commit).configuration.is_voter(view.node))
      return std::nullopt;
  }
  return fmt::format("node {} is {} without a vote: {}", view.node, role_name(view.role), describe(history.latest()));
}

Violation check_backed(const NodeView& leader, const std::vector<NodeView>& views, LogIndex seen) {
  const LogPosition position{leader.commit, leader.log->term_at(leader.commit)};
  std::map<NodeId, int> has;
  const Configuration& stores = leader.log->configurations().latest();
  for (const NodeView& view : views) {
    // What it had acknowledged before it lost its disk was rightly counted.
    if (const StoreId counted = stores.store_of(view.node); !counted.is_none() && counted != view.store) continue;
    const Log& log = *view.log;
    const bool compacted = log.base().index >= position.index;
    has[view.node] = compacted || (log.durable() >= position.index && log.contains(position)) ? 1 : 0;
  }
  const auto may_have = [&](NodeId voter) {
    const auto found = has.find(voter);
    return found == has.end() ? 1 : found->second;
  };
  const ConfigurationHistory& history = leader.log->configurations();
  const Configuration& configuration = history.latest();
  const Configuration& before = history.at(std::max(seen, leader.log->base().index)).configuration;
  if (configuration.quorum().reached(may_have) == 1 || before.quorum().reached(may_have) == 1) return std::nullopt;
  return fmt::format("node {} commits {} that no quorum of {} has", leader.node, describe(position),
                     describe(configuration));
}

Violation MembershipHistory::observe(const NodeView& view, LogIndex known) {
  for (const ConfigurationHistory::Item& item : view.log->configurations().items()) {
    if (item.index > view.commit) break;
    // A node that waits to be added begins with none; what was seen before is not looked at again.
    const bool is_new = item.index > known || committed_.empty();
    if (!is_new || item.configuration.voters.empty()) continue;
    const auto [place, added] = committed_.emplace(item.index, item.configuration);
    if (!added) {
      if (place->second == item.configuration) continue;
      return fmt::format("node {} has {} at {}, where {} was committed", view.node, describe(item.configuration),
                         item.index, describe(place->second));
    }
    if (place == committed_.begin()) continue;
    const Configuration& before = std::prev(place)->second;
    if (may_follow(before, item.configuration)) continue;
    return fmt::format("node {} commits {} at {}, which may not follow {}", view.node, describe(item.configuration),
                       item.index, describe(before));
  }
  return std::nullopt;
}

}  // namespace dogfs::raft
