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

Task<void> print_membership(Session& session, AdminOptions options);
Task<void> add_member(Session& session, AdminOptions options);
Task<void> promote_members(Session& session, AdminOptions options);
Task<void> remove_members(Session& session, AdminOptions options);
Task<void> transfer_leadership(Session& session, AdminOptions options);

// A line for each member: who it is, and how it fares.
std::string describe_members(const wire::MembershipReply& reply);

}  // namespace dogfs::cli
