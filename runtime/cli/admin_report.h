// `dogfs admin report`: what an operator wants to see at once. Space and state by server and in all, blocks by health,
// what is being repaired and what waits to be deleted, the members of the metadata group.
#pragma once

#include <optional>
#include <string>

#include "core/env/task.h"
#include "core/wire/report.pb.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct AdminReportOptions {
  bool json = false;
};

// kNoLeader where nobody leads: what is shown is then as one node last knew it.
Task<void> print_admin_report(Session& session, AdminReportOptions options);

// Adds up what the replies say by server and by number of spares.
wire::AdminReport sum_up(wire::ClusterStatusReply status, wire::MembershipReply membership);
std::string describe_report(const wire::AdminReport& report);

}  // namespace dogfs::cli
