#include "core/client/leader_finder.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace dogfs {

LeaderFinder::LeaderFinder(std::vector<Address> nodes) : nodes_(std::move(nodes)) {
  DOGFS_CHECK(!nodes_.empty(), "a client needs the address of a metadata node");
}

void LeaderFinder::found(const Address& leader) {
  heard_of(leader);
  leader_ = leader;
}

void LeaderFinder::heard_of(const Address& node) {
  if (std::ranges::find(nodes_, node) != nodes_.end()) return;
  std::erase(later_nodes_, node);
  later_nodes_.push_front(node);
  if (later_nodes_.size() > kMaxRaftMembers) later_nodes_.pop_back();
}

void LeaderFinder::lost(const Address& node) {
  if (leader_ == node) leader_.reset();
}

std::optional<Address> LeaderSearch::next() {
  const std::optional<Address>& leader = finder_.leader();
  if (leader && asked_.insert(*leader).second) return leader;
  for (const Address& node : finder_.later_nodes()) {
    if (asked_.insert(node).second) return node;
  }
  for (const Address& node : finder_.nodes()) {
    if (asked_.insert(node).second) return node;
  }
  return std::nullopt;
}

void LeaderSearch::answered(const Address& from, MonoTime now) {
  finder_.found(from);
  say(from, "leads");
  leader_known_at_ = now;
}

void LeaderSearch::redirected(const Address& from, const Address& leader, MonoTime now) {
  finder_.lost(from);
  const bool known = !leader.value.empty() && leader != from && leader.value.size() <= kMaxAddressBytes;
  say(from, known ? "names " + leader.value : "knows no leader");
  if (!known) return;
  leader_known_at_ = now;
  finder_.heard_of(leader);
  // A node that was asked in this round already, and denied or did not answer, is not worth a second try before the
  // next one: two nodes that each take the other for the leader would keep the operation going between them.
  if (!asked_.contains(leader)) finder_.found(leader);
}

void LeaderSearch::unable(const Address& from, const Error& error) {
  finder_.lost(from);
  Said& said = say(from, error.to_string());
  if (error.code == ErrorCode::kTimeout) ++said.timeouts;
}

void LeaderSearch::failed(const Address& from, const Error& error, MonoTime now) {
  finder_.lost(from);
  Said& said = said_[from];
  said.answered = false;
  said.text = error.to_string();
  if (error.code == ErrorCode::kTimeout) ++said.timeouts;
  if (error.code != ErrorCode::kRefused) return said.refused_since.reset();
  if (!said.refused_since) said.refused_since = now;
  said.refused_at = now;
}

LeaderSearch::Said& LeaderSearch::say(const Address& from, std::string text) {
  Said& said = said_[from];
  said.answered = true;
  said.text = std::move(text);
  said.refused_since.reset();
  return said;
}

int LeaderSearch::timeouts(const Address& node) const {
  const auto it = said_.find(node);
  return it == said_.end() ? 0 : it->second.timeouts;
}

bool LeaderSearch::majority_refuses() const {
  if (finder_.leader() || finder_.members_changed()) return false;
  const size_t nodes = finder_.nodes().size();
  const auto refusing = static_cast<size_t>(std::ranges::count_if(finder_.nodes(), [this](const Address& node) {
    const auto it = said_.find(node);
    return it != said_.end() && it->second.refused_since &&
           it->second.refused_at - *it->second.refused_since >= kRefusalConfirmation;
  }));
  return nodes - refusing < nodes / 2 + 1;
}

std::string LeaderSearch::describe() const {
  std::vector<Address> all = finder_.nodes();
  all.insert(all.end(), finder_.later_nodes().begin(), finder_.later_nodes().end());
  size_t answered = 0;
  std::string nodes;
  for (const Address& node : all) {
    const auto it = said_.find(node);
    if (it != said_.end() && it->second.answered) ++answered;
    nodes += fmt::format("{}{}: {}", nodes.empty() ? "" : "; ", node.value,
                         it == said_.end() ? "not asked" : it->second.text);
  }
  return fmt::format("{} of {} metadata nodes answered ({})", answered, all.size(), nodes);
}

}  // namespace dogfs
