// Who is in a group: a value, and the rules by which one such value may follow another (Ongaro's thesis, chapter 4).
//
// Voters decide; learners receive the log and have no say. Any change of the voters goes through a joint configuration
// (4.3): while it is in effect every decision needs a majority of the old voters (`outgoing`) and a majority of the new
// ones (`voters`), so that old and new majorities can never decide apart, whichever members know of the change yet.
// The group then leaves the joint configuration by a second entry. A change of learners alone needs no second step,
// since majorities stay what they are. (The terms are those of etcd-io/raft, tracker.Config.)
//
// A member's configuration is the latest in its log, committed or not: in effect from append, and taken back with the
// entry where the log is truncated (4.1). That is what the proof of the thesis is about, and a member so never waits
// for a commit to know whom to count. (etcd-io/raft switches at apply and needs further rules for it.)
//
// Addresses travel with the members, so that whoever has the log knows whom to dial. So do the stores that they became
// voters with: who comes back with another has lost what it promised, and counts no more (core/raft/formation.cc).
//
// Invariants (validate):
//   1. each list is sorted and free of doubles
//   2. no learner votes, in either half; learners_next are outgoing, not voters
//   3. not joint: no learners_next; nobody at all, or at least one voter
//   4. each member has an address, and nobody else has
//   5. no id exceeds last_id, which never falls
//   6. only members have a store
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/env/transport.h"
#include "core/raft/quorum.h"

namespace dogfs::raft {

// What tells a member's disk from an emptied one: drawn at random when its store is made.
using StoreId = StrongInt<struct StoreIdTag>;

// A change that a leader is asked for. Each node is named once.
struct MembershipChange {
  std::map<NodeId, Address> add = {};  // as learners; one that is a learner already is given this address
  std::vector<NodeId> promote = {};    // learners that are to vote
  std::vector<NodeId> demote = {};     // voters that are to be learners
  std::vector<NodeId> remove = {};     // voters or learners
};

struct Configuration {
  std::vector<NodeId> voters;    // in a joint configuration: the new ones
  std::vector<NodeId> outgoing;  // the voters that a joint configuration comes from; else empty
  std::vector<NodeId> learners;
  std::vector<NodeId> learners_next;  // outgoing voters that become learners when the joint configuration is left
  std::map<NodeId, Address> addresses;
  // With which they became voters. Nobody has one in the configuration that a group is to be formed of.
  std::map<NodeId, StoreId> stores;
  // The greatest id that was ever a member's. An id is never given twice: a node that lost its disk has forgotten its
  // votes, and comes back under a new one.
  NodeId last_id;

  bool operator==(const Configuration&) const = default;

  bool is_joint() const { return !outgoing.empty(); }
  bool is_voter(NodeId node) const;  // in either half
  bool is_learner(NodeId node) const;
  bool is_member(NodeId node) const { return addresses.contains(node); }
  // None where it is not known: then any counts.
  StoreId store_of(NodeId node) const;
  Quorum quorum() const { return Quorum(VoterSet(voters), VoterSet(outgoing)); }
};

// The first configuration of a group: these nodes vote.
Configuration initial_configuration(const std::map<NodeId, Address>& voters);

// kInvalidArgument, with what is wrong, unless the invariants hold within the limits.
Status validate(const Configuration& configuration);

// What follows `from` when `change` is begun: joint if it touches voters. Fails with
//   kConflict         `from` is joint: one change at a time
//   kInvalidArgument  a node is not what the change takes it for, or nobody would vote; in words
//   kLimitExceeded    too many members
Result<Configuration> begin_change(const Configuration& from, const MembershipChange& change);

// Whether everything that `change` asks for is so in `configuration`, or will be when it is left. (A change that is asked
// for again, since its answer was lost, is none.)
bool is_in_effect(const Configuration& configuration, const MembershipChange& change);

// What follows a joint configuration. Precondition: it is joint.
Configuration leave_joint(const Configuration& joint);

// The configurations that a log holds, in its order, behind the one that was in effect where it begins.
class ConfigurationHistory {
 public:
  struct Item {
    LogIndex index;  // of its entry; none: from the group's beginning
    Configuration configuration;
    bool operator==(const Item&) const = default;
  };

  // A member that knows of no configuration yet: it waits to be given one.
  ConfigurationHistory() : ConfigurationHistory(Item{}) {}
  explicit ConfigurationHistory(Item base) : items_{std::move(base)} {}

  const Configuration& latest() const { return items_.back().configuration; }
  LogIndex latest_index() const { return items_.back().index; }
  // Rises whenever latest() may have become another.
  uint64_t version() const { return version_; }
  const std::deque<Item>& items() const { return items_; }
  // What was in effect at `index`: what a snapshot of the state there carries. Precondition: not before the base.
  const Item& at(LogIndex index) const;

  // Precondition: `index` is behind the latest.
  void append(LogIndex index, Configuration configuration);
  // The log lost its entries from `index` on. Precondition: the base is before it.
  void truncate_from(LogIndex index);
  // The log will begin behind `index`: what was in effect there becomes the base.
  void compact_to(LogIndex index);
  // Everything is replaced by what a snapshot carries.
  void reset(Item base);

 private:
  std::deque<Item> items_;  // never empty
  uint64_t version_ = 0;
};

}  // namespace dogfs::raft
