// Raft's safety where the membership changes (thesis, chapter 4), as checks over views of members; see invariants.h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/configuration.h"

namespace dogfs::raft {

struct NodeView;

// Who has no vote neither stands for election nor leads, but for a leader or former voter who does not know its removal
// to be committed.
std::optional<std::string> check_standing(const NodeView& view);

// A leader that has just moved its commit index: a quorum of its configuration must have that durably, in each half of a
// joint one. Voters that are not among `views` are down, and may have it. `seen` is where its log ended when it was seen
// before: it may have moved the index under the configuration of then, and appended another since.
std::optional<std::string> check_backed(const NodeView& leader, const std::vector<NodeView>& views, LogIndex seen);

// The configurations that were ever committed: each follows from the one before it by a rule of configuration.h.
class MembershipHistory {
 public:
  // `view` has committed everything up to view.commit; it was seen before up to `known`.
  std::optional<std::string> observe(const NodeView& view, LogIndex known);

 private:
  std::map<LogIndex, Configuration> committed_;
};

}  // namespace dogfs::raft
