#include "core/raft/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/hash.h"
#include "core/raft/describe.h"

namespace dogfs::raft {

namespace {

bool terms_fall(const TermRuns& terms) {
  Term before = terms.base().term;
  return std::ranges::any_of(terms.runs(),
                             [&](const TermRuns::Run& run) { return run.term < std::exchange(before, run.term); });
}

uint64_t hash_of(const Entry& entry) {
  return combine64(hash64(entry.text()), static_cast<uint64_t>(entry.type));
}

}  // namespace

NodeView view_of(const Raft& raft) {
  return NodeView{raft.options().self, raft.role(),    raft.term(),          raft.voted_for(), raft.leader(),
                  raft.commit(),       raft.applied(), raft.durable_state(), raft.store(),     &raft.log()};
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
  if (view.log->base().index > view.commit) return broken("compacted beyond what is committed");
  if (view.log->base().index > view.durable_state) return broken("compacted beyond the durable state");
  if (view.log->last().term > view.term) return broken("an entry of a later term");
  if (terms_fall(view.log->terms())) return broken("terms fall along the log");
  if (view.role == RaftRole::kLeader && view.leader != view.node) return broken("a leader that names another");
  if (view.role == RaftRole::kLeader && view.voted_for != view.node) return broken("a leader that voted for another");
  return std::nullopt;
}

// Terms only rise, so both logs are sequences of runs: they are compared where a run begins in either, from the later of
// their bases on. From the first difference on, no index may have the same term in both.
Violation check_log_matching(const NodeView& a, const NodeView& b) {
  const LogIndex begin = std::max(a.log->base().index, b.log->base().index);
  const LogIndex last = std::min(a.log->last_index(), b.log->last_index());
  LogIndex differs;
  const auto compare_at = [&](LogIndex index) -> Violation {
    if (index < begin || index > last) return std::nullopt;
    const Term term = a.log->term_at(index);
    if (term != b.log->term_at(index)) {
      if (differs.is_none()) differs = index;
      return std::nullopt;
    }
    if (differs.is_none()) return std::nullopt;
    return fmt::format("nodes {} and {} share entry {} but not those before it, from {}", a.node, b.node,
                       describe(LogPosition{index, term}), differs);
  };
  // Entry 0 is in no log: every log agrees about it.
  if (!begin.is_none()) {
    if (Violation violation = compare_at(begin)) return violation;
  }
  auto i = a.log->terms().runs().begin();
  auto j = b.log->terms().runs().begin();
  const auto end_a = a.log->terms().runs().end();
  const auto end_b = b.log->terms().runs().end();
  while (i != end_a || j != end_b) {
    const bool take_a = j == end_b || (i != end_a && i->first <= j->first);
    const LogIndex next = take_a ? (i++)->first : (j++)->first;
    if (Violation violation = compare_at(next)) return violation;
  }
  return std::nullopt;
}

// Whether `log` has the committed entry at `position`, or had it before it was compacted.
bool holds(const Log& log, LogPosition position) {
  return position.index < log.base().index || log.contains(position);
}

// --- Step to step ---------------------------------------------------------------------------------------------------

NodeSnapshot snapshot_of(const NodeView& view) {
  // What stands in the place of the log by a snapshot may not be on the disk yet.
  const LogIndex durable = view.log->durable() > view.log->base().index ? view.log->durable() : LogIndex();
  return NodeSnapshot{
      view.role, view.term, view.voted_for, view.log->last(), LogPosition{view.commit, view.log->term_at(view.commit)},
      durable,   view.store};
}

Violation check_step(const NodeSnapshot& before, const NodeView& after) {
  const auto broken = [&](std::string_view what) {
    return Violation(fmt::format("node {} (term {}, was {}): {}", after.node, after.term, before.term, what));
  };
  if (after.term < before.term) return broken("the term went back");
  if (after.commit < before.committed.index) return broken("the commit index went back");
  if (!holds(*after.log, before.committed)) return broken("a committed entry was truncated");
  if (after.term > before.term) return std::nullopt;
  if (!before.voted_for.is_none() && after.voted_for != before.voted_for) return broken("the vote changed in a term");
  if (before.role == RaftRole::kLeader && after.role == RaftRole::kLeader && !holds(*after.log, before.last)) {
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

Violation check_restart(const NodeSnapshot& before, const NodeView& after) {
  const auto broken = [&](std::string_view what) {
    return Violation(
        fmt::format("node {} (term {}, was {}) after its restart: {}", after.node, after.term, before.term, what));
  };
  if (after.store != before.store) return std::nullopt;
  if (after.log->last_index() < before.durable) return broken("durable entries are gone");
  if (before.role != RaftRole::kLeader) return std::nullopt;
  if (after.term < before.term) return broken("the term that it led is forgotten");
  if (after.term == before.term && after.voted_for != after.node) return broken("its vote for itself is forgotten");
  return std::nullopt;
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
    if (const auto before = restarted_.extract(view.node)) {
      if (Violation violation = check_restart(before.mapped(), view)) return violation;
    }
    if (Violation violation = observe_role(view)) return violation;
    if (Violation violation = observe_commits(view, known_commit)) return violation;
    if (Violation violation = observe_membership(view, views)) return violation;
    for (const NodeView& other : views) {
      if (!log_changed || other.node == view.node) continue;
      if (Violation violation = check_log_matching(view, other)) return violation;
    }
  }
  for (const NodeView& view : views) snapshots_.insert_or_assign(view.node, snapshot_of(view));
  return std::nullopt;
}

void SafetyHistory::restarted(NodeId node) {
  if (const auto known = snapshots_.extract(node)) restarted_.insert_or_assign(node, known.mapped());
}

Violation SafetyHistory::observe_role(const NodeView& view) {
  if (view.role != RaftRole::kLeader) return std::nullopt;
  const auto [known, added] = leaders_.emplace(view.term, view.node);
  if (added) return check_complete(view);
  if (known->second == view.node) return std::nullopt;
  return fmt::format("nodes {} and {} both led term {}", known->second, view.node, view.term);
}

Violation SafetyHistory::observe_membership(const NodeView& view, const std::vector<NodeView>& views) {
  if (Violation violation = check_standing(view)) return violation;
  const auto known = snapshots_.find(view.node);
  const LogIndex known_commit = known == snapshots_.end() ? LogIndex() : known->second.committed.index;
  if (known != snapshots_.end() && known_commit == view.commit) return std::nullopt;
  const bool led_on = known != snapshots_.end() && known->second.role == RaftRole::kLeader &&
                      view.role == RaftRole::kLeader && known->second.term == view.term;
  if (led_on) {
    if (Violation violation = check_backed(view, views, known->second.last.index)) return violation;
  }
  return memberships_.observe(view, known_commit);
}

Violation SafetyHistory::check_complete(const NodeView& leader) const {
  for (size_t i = ledger_.size(); i > 0; --i) {
    const Committed& committed = ledger_[i - 1];
    if (committed.when >= leader.term) continue;
    // By log matching, having the last one is having all.
    if (holds(*leader.log, LogPosition{LogIndex(i), committed.term})) return std::nullopt;
    return fmt::format("node {} leads term {} without entry {} that was committed in term {}", leader.node, leader.term,
                       describe(LogPosition{LogIndex(i), committed.term}), committed.when);
  }
  return std::nullopt;
}

Violation SafetyHistory::observe_commits(const NodeView& view, LogIndex known) {
  // What is before the base was committed when the log was compacted or the snapshot was made.
  const LogPosition base = view.log->base();
  if (base.index > committed()) return fmt::format("node {} begins behind {} uncommitted", view.node, describe(base));
  for (LogIndex index = std::max(known.next(), base.index); index <= view.commit; ++index) {
    if (index.is_none()) continue;
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
