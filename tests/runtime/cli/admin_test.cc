#include "runtime/cli/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/cli/admin_report.h"
#include "runtime/cli/inspect.h"

namespace dogfs::cli {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

// Three members, as node 1 sees them: the leader, or one that knows of none.
wire::MembershipReply membership(bool from_leader) {
  wire::MembershipReply reply;
  reply.set_answered_by(1);
  reply.set_from_leader(from_leader);
  reply.set_leader(from_leader ? 1 : 0);
  reply.set_last_index(120);
  for (const uint64_t id : {1, 2, 3}) {
    wire::MembershipReply::Member& member = *reply.add_members();
    member.set_node(id);
    member.set_address("meta:" + std::to_string(id));
    member.set_silent_ms(id == 1 ? 0 : -1);
    if (!from_leader) continue;
    member.set_match_index(id == 2 ? 120 : 7);
    member.set_silent_ms(id == 3 ? 5000 : 20);
  }
  return reply;
}

TEST(AdminMeta, TheLeaderSaysHowFarEachIs) {
  const std::string text = describe_membership(membership(true));
  EXPECT_THAT(text, AllOf(ContainsRegex("meta:1 .* leads\n"), ContainsRegex("meta:2 .* has everything\n"),
                          ContainsRegex("meta:3 .* 113 entries behind, SILENT for 5.0 s\n")));
  EXPECT_THAT(text, Not(HasSubstr("as node")));
}

TEST(AdminMeta, WhoDoesNotLeadSaysSoAndStatesNoLag) {
  wire::MembershipReply reply = membership(false);
  std::string text = describe_membership(reply);
  EXPECT_THAT(text, HasSubstr("nobody is known to lead, as node 1 sees it, which does not lead\n"));
  EXPECT_THAT(text, ContainsRegex("meta:1 .* answers, has the log to 120\n"));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("behind")), Not(HasSubstr("everything")), Not(HasSubstr("SILENT"))));
  reply.set_leader(2);
  text = describe_membership(reply);
  EXPECT_THAT(text, HasSubstr("2 led when last heard of, as node 1 sees it"));
  EXPECT_THAT(text, ContainsRegex("meta:2 .* led when last heard of\n"));
}

TEST(AdminMeta, ANodeThatWasRemovedSaysSo) {
  wire::MembershipReply reply = membership(false);
  reply.set_answered_by(9);
  EXPECT_THAT(describe_membership(reply), HasSubstr("as node 9 sees it, which is not a member (any more)\n"));
}

TEST(AdminReport, SaysWhoAnsweredWhereNobodyLeads) {
  const std::string text = describe_report(sum_up({}, membership(false)));
  EXPECT_THAT(text, HasSubstr("3 members, nobody is known to lead, as node 1 sees it, which does not lead; term"));
  EXPECT_THAT(text, Not(HasSubstr("behind")));
}

TEST(Status, OnlyTheLeaderSaysWhoIsBehindOrNotReached) {
  wire::ClusterStatusReply status;
  status.set_commit_index(6);
  status.set_answered_by(1);
  for (const uint64_t id : {1, 2}) {
    status.add_nodes()->set_node(id);
    status.mutable_nodes(static_cast<int>(id) - 1)->set_address("meta:" + std::to_string(id));
  }
  status.mutable_nodes(0)->set_reachable(true);
  EXPECT_THAT(describe_meta_nodes(status),
              AllOf(HasSubstr("as node 1 sees it, which does not lead"), ContainsRegex("meta:1 +answers\n"),
                    ContainsRegex("meta:2 +not known\n"), Not(HasSubstr("behind"))));
  status.set_from_leader(true);
  status.mutable_nodes(0)->set_leader(true);
  status.mutable_nodes(1)->set_reachable(true);
  status.mutable_nodes(1)->set_match_index(2);
  EXPECT_THAT(describe_meta_nodes(status),
              AllOf(ContainsRegex("meta:1 +leader\n"), ContainsRegex("meta:2 +follower, 4 entries behind\n")));
  status.mutable_nodes(1)->set_reachable(false);
  EXPECT_THAT(describe_meta_nodes(status), ContainsRegex("meta:2 +not reached\n"));
}

}  // namespace
}  // namespace dogfs::cli
