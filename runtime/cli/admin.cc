#include "runtime/cli/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/env/sync.h"
#include "net/endpoint.h"
#include "runtime/cli/inspect.h"

namespace dogfs::cli {
namespace {

constexpr Duration kRetryInterval = milliseconds(500);

std::string_view role_name(wire::MembershipReply::Role role) {
  switch (role) {
    case wire::MembershipReply::VOTER:
      return "voter";
    case wire::MembershipReply::LEAVING_VOTER:
      return "voter, leaving";
    case wire::MembershipReply::LEARNER:
      return "learner";
    default:
      return "member";
  }
}

// "has everything", "12 entries behind, SILENT for 3.0 s", "LOST ITS DISK, ..."; empty where it is not known.
std::string state_of(const wire::MembershipReply& reply, const wire::MembershipReply::Member& member) {
  if (!reply.from_leader()) {
    if (member.node() == reply.answered_by()) return fmt::format("answers, has the log to {}", reply.last_index());
    return member.node() == reply.leader() ? "led when last heard of" : "";
  }
  if (member.node() == reply.leader()) return "leads";
  if (member.lost_store()) return "LOST ITS DISK, is not counted: replace it by a node of a new id";
  if (member.silent_ms() < 0 || !member.has_match_index()) return "";
  const uint64_t behind = reply.last_index() - std::min(reply.last_index(), member.match_index());
  std::string lag = behind == 0 ? "has everything" : fmt::format("{} entries behind", behind);
  if (member.silent_ms() < 1000) return lag;
  return fmt::format("{}, SILENT for {:.1f} s", lag, static_cast<double>(member.silent_ms()) / 1000);
}

}  // namespace

std::string describe_members(const wire::MembershipReply& reply) {
  std::string text;
  for (const wire::MembershipReply::Member& member : reply.members()) {
    text += fmt::format("  {:>3}  {:<24} {:<16} {}\n", member.node(), member.address(), role_name(member.role()),
                        state_of(reply, member));
  }
  return text;
}

std::string describe_answerer(const wire::MembershipReply& reply) {
  if (reply.from_leader()) return "";
  const bool is_member = std::ranges::any_of(
      reply.members(), [&reply](const auto& member) { return member.node() == reply.answered_by(); });
  return fmt::format("as node {} sees it, which {}", reply.answered_by(),
                     is_member ? "does not lead" : "is not a member (any more)");
}

std::string describe_leader(const wire::MembershipReply& reply) {
  if (reply.leader() == 0) return "nobody is known to lead";
  return fmt::format("{} {}", reply.leader(), reply.from_leader() ? "leads" : "led when last heard of");
}

std::string describe_membership(const wire::MembershipReply& reply) {
  std::string text;
  if (!reply.from_leader()) text = fmt::format("{}, {}\n", describe_leader(reply), describe_answerer(reply));
  text += fmt::format("term {}, log to {}, committed to {}{}\n", reply.term(), reply.last_index(), reply.commit_index(),
                      reply.changing() ? "; a change of membership is under way" : "");
  return text + describe_members(reply) + fmt::format("a new node takes an id above {}\n", reply.last_id());
}

namespace {

void print_reply(const wire::MembershipReply& reply, const AdminOptions& options) {
  if (!options.json) return print(describe_membership(reply));
  print_json(reply);
}

void report(Session& session, const char* what, const Result<wire::MembershipReply>& reply,
            const AdminOptions& options) {
  if (reply) return print_reply(reply.value(), options);
  session.fail(what, reply.error());
}

// From whoever leads now: who led may lead no longer when it is done, and know nothing of the others.
Task<Result<wire::MembershipReply>> as_the_leader_sees(Session& session, Result<wire::MembershipReply> done) {
  if (!done || done.value().from_leader()) co_return done;
  Result<wire::MembershipReply> now = co_await session.client().membership();
  co_return now ? std::move(now) : std::move(done);
}

}  // namespace

Task<void> print_membership(Session& session, AdminOptions options) {
  const Result<wire::MembershipReply> reply = co_await session.client().membership();
  report(session, "admin meta status", reply, options);
  if (reply && !reply.value().from_leader()) session.fail("admin meta status", Error(ErrorCode::kNoLeader));
}

Task<void> add_member(Session& session, AdminOptions options) {
  const size_t equals = options.member.find('=');
  uint64_t node = 0;
  const char* const begin = options.member.data();
  const auto [end, error] = std::from_chars(begin, begin + std::min(equals, options.member.size()), node);
  if (equals == std::string::npos || error != std::errc() || end != begin + equals || node == 0) {
    session.fail(options.member, Error(ErrorCode::kInvalidArgument, "write ID=host:port, such as 4=10.0.0.4:7001"));
    co_return;
  }
  const std::string address = options.member.substr(equals + 1);
  if (const Result<HostPort> parsed = parse_callable_address(address); !parsed) {
    session.fail(options.member, parsed.error());
    co_return;
  }
  wire::ChangeMembershipRequest change;
  change.add_add()->set_node(node);
  change.mutable_add(0)->set_address(address);
  const Result<wire::MembershipReply> reply = co_await session.client().change_membership(std::move(change));
  report(session, "admin meta add", co_await as_the_leader_sees(session, reply), options);
}

// A learner that still fetches the log is waited for.
Task<void> promote_members(Session& session, AdminOptions options) {
  wire::ChangeMembershipRequest change;
  for (const uint64_t node : options.nodes) change.add_promote(node);
  const MonoTime end = session.env().clock.now() + seconds(options.wait_seconds);
  for (;;) {
    const Result<wire::MembershipReply> reply = co_await session.client().change_membership(change);
    const bool not_yet = !reply && reply.error().code == ErrorCode::kConflict;
    if (!not_yet || session.env().clock.now() >= end || session.interrupted()) {
      report(session, "admin meta promote", co_await as_the_leader_sees(session, reply), options);
      co_return;
    }
    if (session.verbose()) session.warn(reply.error().detail);
    co_await sleep_for(session.env().clock, kRetryInterval);
  }
}

Task<void> remove_members(Session& session, AdminOptions options) {
  wire::ChangeMembershipRequest change;
  for (const uint64_t node : options.nodes) change.add_remove(node);
  const Result<wire::MembershipReply> reply = co_await session.client().change_membership(std::move(change));
  report(session, "admin meta remove", co_await as_the_leader_sees(session, reply), options);
}

Task<void> transfer_leadership(Session& session, AdminOptions options) {
  const Result<wire::MembershipReply> reply = co_await session.client().transfer_leadership(options.target);
  report(session, "admin meta transfer", co_await as_the_leader_sees(session, reply), options);
}

}  // namespace dogfs::cli
