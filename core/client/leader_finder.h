// Finding the leader of the metadata, as plain decisions without waiting.
//
// LeaderFinder is what the client believes, shared by all its operations. LeaderSearch is one operation's way through
// the nodes: it asks the believed leader first, follows redirects, and otherwise goes round the nodes that it has not
// asked yet. One pass over the nodes is a round; the caller backs off between rounds. The search also keeps what each
// node said last, for the message that a person reads when there is no leader.
//
// The nodes are those that the client was told of, and members and leaders that it has heard of since: metadata nodes
// are replaced one by one, and a client that runs for long must not lose the group with the last of those that it began
// with.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/env/transport.h"

namespace dogfs {

class LeaderFinder {
 public:
  // Precondition: at least one node.
  explicit LeaderFinder(std::vector<Address> nodes);

  const std::vector<Address>& nodes() const { return nodes_; }
  // Others that it has heard of, the latest first, at most kMaxRaftMembers.
  const std::deque<Address>& later_nodes() const { return later_nodes_; }
  const std::optional<Address>& leader() const { return leader_; }

  void found(const Address& leader);
  // A node says that `node` is a member, or leads.
  void heard_of(const Address& node);
  // Whether there is or was a member that the client was not told of: those that it was told of may be members no more.
  bool members_changed() const { return !later_nodes_.empty(); }
  // `node` does not lead, or does not answer.
  void lost(const Address& node);

 private:
  std::vector<Address> nodes_;
  std::optional<Address> leader_;
  std::deque<Address> later_nodes_;
};

// How long a node must refuse connections to count as down: one refusal may be a restart's last moment.
inline constexpr Duration kRefusalConfirmation = milliseconds(200);

class LeaderSearch {
 public:
  // `finder` must outlive the search. `now` is when the operation began.
  LeaderSearch(LeaderFinder& finder, MonoTime now) : finder_(finder), leader_known_at_(now) {}

  // Whom to ask next; nullopt when the round is over. The node counts as asked.
  std::optional<Address> next();
  void start_round() { asked_.clear(); }

  // `from` answered as the leader.
  void answered(const Address& from, MonoTime now);
  // `from` answered that it does not lead, and who does (empty: it knows of none).
  void redirected(const Address& from, const Address& leader, MonoTime now);
  // `from` answered that it cannot.
  void unable(const Address& from, const Error& error);
  // No answer came from `from`.
  void failed(const Address& from, const Error& error, MonoTime now);

  // How many attempts at `node` have timed out. It may be slow rather than hung.
  int timeouts(const Address& node) const;
  // How long no node has known a leader.
  Duration leaderless(MonoTime now) const { return now - leader_known_at_; }
  // Whether nobody leads and no election can succeed: of the nodes that the client was told of, so many refuse
  // connections, and have for kRefusalConfirmation, that the others are no majority. Never once the members have changed.
  bool majority_refuses() const;

  // "1 of 3 metadata nodes answered (a: knows no leader; b: unavailable; c: not asked)".
  std::string describe() const;

 private:
  struct Said {
    bool answered = false;
    std::string text;
    // The first and the last of the refused connections since it last did anything else.
    std::optional<MonoTime> refused_since{};
    MonoTime refused_at{};
    int timeouts = 0;  // in this search
  };

  // Notes an answer.
  Said& say(const Address& from, std::string text);

  LeaderFinder& finder_;
  MonoTime leader_known_at_;
  std::set<Address> asked_;
  // The last answer of each node, by address.
  std::map<Address, Said> said_;
};

}  // namespace dogfs
