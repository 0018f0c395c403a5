// How a group is formed, and how a member that has lost its disk is told from the one that it was.
//
// A voter that comes back with an empty disk under its old id has forgotten its votes and what it acknowledged: two such,
// or one at the wrong moment, and a majority may decide without knowing what was decided. To its own eyes it is what
// each member was at the group's beginning. So each store has an id, drawn at random when it is made, and the
// configuration names the store that each voter became one with. Answers of a member from another store are a
// stranger's: they are no votes, no acknowledgements, no signs of life.
//
// The stores of the first voters get there by the group's first election. As long as a node has nothing in its log, it
// forms the group: it stands for election, and wins only if ALL the first voters grant it their votes, each from a store
// that forms the group too, to the store that asks now. The winner's first entry is the configuration with these stores.
// It leads when that entry is durable, and says nothing of it before. Then:
//   - A group is formed once. For a second time all voters would have to form it again, the first winner among them: it
//     does so only if its disk was emptied, and so does everybody else whom it told. Told is who has that entry. That a
//     candidate's request named its store is not remembered: one that got no entry yet would form a group again with
//     others whose disks were all emptied.
//   - A node that lost its disk is none of the stores that formed the group. It goes on waiting for an election that its
//     peers refuse.
//   - A node that voted in that election but did not hear how it ended is one of these stores. Candidates of the formed
//     group tell it so with their request, and it votes for them.
// (Rejected: a majority of empty stores, which may be a majority of emptied ones; and an operator's word alone, since a
// service file says at each start what it said at the first.)
//
// Who joins later becomes a voter with the store that it caught up with as a learner.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/raft/codec.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

bool Raft::forms() const {
  return !store_.is_none() && log_.last_index().is_none() && !configuration().voters.empty();
}

bool Raft::is_counted() const {
  const StoreId counted = configuration().store_of(options_.self);
  return counted.is_none() ? !forms() : counted == store_;
}

// Whether this node may have had another store before, for all that it knows.
bool Raft::may_have_lost_store() const {
  return !store_.is_none() && configuration().store_of(options_.self) != store_;
}

// A node that waits to be added has not been told of any group, and has no say in it.
bool Raft::may_vote_for(const Message& request) const {
  if (configuration().voters.empty()) return false;
  if (!forms()) return is_counted();
  if (!request.to_store.is_none()) return request.to_store == store_;
  return request.log.index.is_none() && !request.from_store.is_none();
}

// Whether this node's vote of this term, for a node of that id, was not for the store that asks. A node that has
// restarted does not know.
bool Raft::has_answered_another_store(const Message& request) const {
  return forms() && request.kind == MessageKind::kVote && request.from_store != voted_store_;
}

VoteResult Raft::founders_result() const {
  const auto refused = [](const auto& vote) { return !vote.second; };
  if (std::ranges::any_of(votes_, refused)) return VoteResult::kLost;
  const auto granted = [this](NodeId voter) { return votes_.contains(voter); };
  return std::ranges::all_of(configuration().voters, granted) ? VoteResult::kWon : VoteResult::kPending;
}

// The candidate's vote is cast anew: it leads when the group's first entry is as durable as that.
void Raft::found_group() {
  DOGFS_CHECK(role_ == RaftRole::kCandidate && forms());
  DOGFS_COVERAGE_MARK("raft: a group formed");
  Configuration first = configuration();
  first.stores = founders_;
  DOGFS_CHECK(first.stores.size() == first.voters.size() && validate(first).has_value());
  log_.append(configuration_entry(LogPosition{log_.last_index().next(), term_}, std::move(first)));
  adopt_configuration();
  votes_.erase(options_.self);
  cast_own_vote();
}

bool Raft::is_from_another_store(const Message& message) const {
  const StoreId counted = configuration().store_of(message.from);
  return !counted.is_none() && message.from_store != counted;
}

// What a leader learns of its followers' stores. A learner may come back with an empty disk: it begins anew.
void Raft::note_store(const Message& message) {
  const auto found = progress_.find(message.from);
  if (found == progress_.end()) return;
  if (is_from_another_store(message)) {
    DOGFS_COVERAGE_MARK("raft: an answer from a store that the group does not count");
    return found->second.answered_from_another_store();
  }
  const StoreId before = found->second.store();
  if (!before.is_none() && before != message.from_store) {
    found->second = Progress(options_.flow, log_.last_index().next(), now_);
  }
  found->second.answered_from(message.from_store);
}

}  // namespace dogfs::raft
