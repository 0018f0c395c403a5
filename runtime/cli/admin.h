// `dogfs admin meta …`: who is in the metadata group, and changing that. Each command waits until what it asks for is
// done, and may be repeated: what is done already is a success.
#pragma once

#include <string>
#include <vector>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct AdminOptions {
  std::string member;           // add: ID=host:port
  std::vector<uint64_t> nodes;  // promote, remove
  uint64_t target = 0;          // transfer; 0: whoever is furthest
  unsigned wait_seconds = 60;   // promote: for the learner to catch up
  bool json = false;
};

// kNoLeader when nobody leads: what is shown is then one node's view.
Task<void> print_membership(Session& session, AdminOptions options);
Task<void> add_member(Session& session, AdminOptions options);
Task<void> promote_members(Session& session, AdminOptions options);
Task<void> remove_members(Session& session, AdminOptions options);
Task<void> transfer_leadership(Session& session, AdminOptions options);

// A line for each member: who it is, and how it fares, as far as who answered knows.
std::string describe_members(const wire::MembershipReply& reply);
// "2 leads", "nobody is known to lead"
std::string describe_leader(const wire::MembershipReply& reply);
// "as node 1 sees it, which does not lead"; empty where the leader answered.
std::string describe_answerer(const wire::MembershipReply& reply);
// All that is known of the group, in lines.
std::string describe_membership(const wire::MembershipReply& reply);

}  // namespace dogfs::cli
