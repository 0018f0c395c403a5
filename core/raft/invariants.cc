#include "core/raft/invariants.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/hash.h"
#include "core/raft/describe.h"

namespace dogfs::raft {

namespace {

uint64_t hash_of(const Entry& entry) {
  return combine64(hash64(entry.text()), static_cast<uint64_t>(entry.type));
}

}  // namespace

NodeView view_of(const Raft& raft) {
  return NodeView{raft.options().self, raft.role(),   raft.term(),    raft.voted_for(),
                  raft.leader(),       raft.commit(), raft.applied(), &raft.log()};
}

// --- State ----------------------------------------------------------------------------------------------------------

Violation check_node(const NodeView& view) {
  const auto broken = [&](std::string_view what) {
    return Violation(fmt::format("node {} ({} of term {}): {}", view.node, role_name(view.role), view.term, what));
  };
  if (view.applied > view.commit) return broken("applied beyond what is committed");
  if (view.applied > view.log->durable()) return broken("applied beyond what is durable here");
  if (view.commit > view.log->last_index()) return broken("committed beyond the log");
  if (view.log->durable() > view.log->last_index()) return broken("durable beyond the log");
  if (view.log->last().term > view.term) return broken("an entry of a later term");
  if (view.role == RaftRole::kLeader && view.leader != view.node) return broken("a leader that names another");
  if (view.role == RaftRole::kLeader && view.voted_for != view.node) return broken("a leader that voted for another");
  return std::nullopt;
}

Violation check_one_leader(const std::vector<NodeView>& views) {
  std::map<Term, NodeId> leaders;
  for (const NodeView& view : views) {
    if (view.role != RaftRole::kLeader) continue;
    const auto [known, added] = leaders.emplace(view.term, view.node);
    if (!added) return fmt::format("nodes {} and {} both lead term {}", known->second, view.node, view.term);
  }
  return std::nullopt;
}

// Terms only rise, so both logs are sequences of runs. Up to the first difference they are equal; from there on no
// index may have the same term in both.
Violation check_log_matching(const NodeView& a, const NodeView& b) {
  const std::vector<TermRuns::Run>& runs_a = a.log->terms().runs();
  const std::vector<TermRuns::Run>& runs_b = b.log->terms().runs();
  const LogIndex last = std::min(a.log->last_index(), b.log->last_index());
  const auto [i, j] = std::mismatch(runs_a.begin(), runs_a.end(), runs_b.begin(), runs_b.end());
  if (i == runs_a.end() && j == runs_b.end()) return std::nullopt;
  LogIndex differs = last.next();
  if (i != runs_a.end()) differs = std::min(differs, i->first);
  if (j != runs_b.end()) differs = std::min(differs, j->first);
  // Within the rest, terms change only where a run begins: those are the places to compare.
  const auto compare_at = [&](LogIndex index) -> Violation {
    if (index < differs || index > last || a.log->term_at(index) != b.log->term_at(index)) return std::nullopt;
    return fmt::format("nodes {} and {} share entry {} but not those before it, from {}", a.node, b.node,
                       describe(LogPosition{index, a.log->term_at(index)}), differs);
  };
  for (auto run = i; run != runs_a.end(); ++run) {
    if (Violation violation = compare_at(run->first)) return violation;
  }
  for (auto run = j; run != runs_b.end(); ++run) {
    if (Violation violation = compare_at(run->first)) return violation;
  }
  return std::nullopt;
}

// --- Step to step ---------------------------------------------------------------------------------------------------

NodeSnapshot snapshot_of(const NodeView& view) {
  return NodeSnapshot{view.role, view.term, view.voted_for, view.log->last(),
                      LogPosition{view.commit, view.log->term_at(view.commit)}};
}

Violation check_step(const NodeSnapshot& before, const NodeView& after) {
  const auto broken = [&](std::string_view what) {
    return Violation(fmt::format("node {} (term {}, was {}): {}", after.node, after.term, before.term, what));
  };
  if (after.term < before.term) return broken("the term went back");
  if (after.commit < before.committed.index) return broken("the commit index went back");
  if (!after.log->contains(before.committed)) return broken("a committed entry was truncated");
  if (after.term > before.term) return std::nullopt;
  if (!before.voted_for.is_none() && after.voted_for != before.voted_for) return broken("the vote changed in a term");
  if (before.role == RaftRole::kLeader && after.role == RaftRole::kLeader && !after.log->contains(before.last)) {
    return broken("a leader truncated its log");
  }
  const bool still_leads = before.role == RaftRole::kLeader && after.role == RaftRole::kLeader;
  if (still_leads && after.commit > before.committed.index && after.log->term_at(after.commit) != after.term) {
    return broken("a leader counted an entry of an older term as committed");
  }
  if (before.role != RaftRole::kLeader || after.role == RaftRole::kLeader || after.role == RaftRole::kFollower) {
    return std::nullopt;
  }
  return broken("a leader stood for election in its own term");
}

// --- History --------------------------------------------------------------------------------------------------------

Violation SafetyHistory::observe(const std::vector<NodeView>& views) {
  for (const NodeView& view : views) {
    if (Violation violation = check_node(view)) return violation;
    const auto known = snapshots_.find(view.node);
    const LogIndex known_commit = known == snapshots_.end() ? LogIndex() : known->second.committed.index;
    const bool log_changed = known == snapshots_.end() || known->second.last != view.log->last();
    if (known != snapshots_.end()) {
      if (Violation violation = check_step(known->second, view)) return violation;
    }
    if (Violation violation = observe_role(view)) return violation;
    if (Violation violation = observe_commits(view, known_commit)) return violation;
    for (const NodeView& other : views) {
      if (!log_changed || other.node == view.node) continue;
      if (Violation violation = check_log_matching(view, other)) return violation;
    }
  }
  for (const NodeView& view : views) snapshots_.insert_or_assign(view.node, snapshot_of(view));
  return std::nullopt;
}

Violation SafetyHistory::observe_role(const NodeView& view) {
  if (view.role != RaftRole::kLeader) return std::nullopt;
  const auto [known, added] = leaders_.emplace(view.term, view.node);
  if (added) return check_complete(view);
  if (known->second == view.node) return std::nullopt;
  return fmt::format("nodes {} and {} both led term {}", known->second, view.node, view.term);
}

Violation SafetyHistory::check_complete(const NodeView& leader) const {
  for (size_t i = ledger_.size(); i > 0; --i) {
    const Committed& committed = ledger_[i - 1];
    if (committed.when >= leader.term) continue;
    // By log matching, having the last one is having all.
    if (leader.log->contains(LogPosition{LogIndex(i), committed.term})) return std::nullopt;
    return fmt::format("node {} leads term {} without entry {} that was committed in term {}", leader.node, leader.term,
                       describe(LogPosition{LogIndex(i), committed.term}), committed.when);
  }
  return std::nullopt;
}

Violation SafetyHistory::observe_commits(const NodeView& view, LogIndex known) {
  for (LogIndex index = known.next(); index <= view.commit; ++index) {
    if (Violation violation = observe_committed(view, LogPosition{index, view.log->term_at(index)})) return violation;
  }
  const LogIndex first_cached = std::max(known.next(), view.log->first_cached());
  if (first_cached > view.commit) return std::nullopt;
  const EntryLimits all{SIZE_MAX, SIZE_MAX};
  for (const Entry& entry : view.log->cached(first_cached, view.commit, all)) {
    if (Violation violation = check_committed(view.node, entry)) return violation;
  }
  return std::nullopt;
}

Violation SafetyHistory::observe_committed(const NodeView& view, LogPosition position) {
  if (position.index > committed()) {
    ledger_.push_back(Committed{position.term, view.term, std::nullopt});
    return std::nullopt;
  }
  const Committed& known = ledger_[position.index.value() - 1];
  if (known.term == position.term) return std::nullopt;
  return fmt::format("node {} commits {}, where term {} committed an entry of term {}", view.node, describe(position),
                     known.when, known.term);
}

Violation SafetyHistory::check_committed(NodeId node, const Entry& entry) {
  if (entry.index > committed()) return fmt::format("node {} applies {} uncommitted", node, describe(entry));
  Committed& known = ledger_[entry.index.value() - 1];
  if (!known.hash) known.hash = hash_of(entry);
  if (known.term == entry.term && known.hash == hash_of(entry)) return std::nullopt;
  return fmt::format("node {} has {}, where term {} committed another entry of term {}", node, describe(entry),
                     known.when, known.term);
}

}  // namespace dogfs::raft
