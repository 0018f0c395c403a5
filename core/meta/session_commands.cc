#include "core/meta/session_commands.h"

#include <algorithm>
#include <vector>

#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/base/mutant.h"

namespace dogfs {
namespace {

// Drops the replies of [from, to). No sequence beyond the window has one.
void trim_replies(MutableTables& tables, SessionId session, uint64_t from, uint64_t to) {
  const uint64_t end = std::min(to, from + kMaxRequestsInFlightPerSession);
  for (uint64_t sequence = from; sequence < end; ++sequence) {
    tables.erase(tables.keys().reply(session, SequenceNumber(sequence)));
  }
}

Status erase_replies(MutableTables& tables, SessionId session) {
  std::vector<std::string> keys;
  const KeyRange range = tables.keys().replies(session);
  DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&keys](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  }));
  for (std::string& key : keys) tables.erase(std::move(key));
  return ok();
}

Status check_sequence(const wire::Command& command, uint64_t low_water) {
  if (command.sequence() > kMaxRequestSequence) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("sequence {} is beyond {}", command.sequence(), kMaxRequestSequence));
  }
  if (command.low_water() > command.sequence() || command.sequence() == 0) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("sequence {} is below its own low-water mark {}",
                                                          command.sequence(), command.low_water()));
  }
  if (command.sequence() < low_water) {
    DOGFS_COVERAGE_MARK("meta: a reply that is not kept any more");
    return Error(ErrorCode::kOutcomeUnknown,
                 fmt::format("the reply to request {} was received and is not kept any more", command.sequence()));
  }
  if (command.sequence() - low_water >= kMaxRequestsInFlightPerSession) {
    return Error(ErrorCode::kLimitExceeded,
                 fmt::format("a session has at most {} requests in flight", kMaxRequestsInFlightPerSession));
  }
  return ok();
}

}  // namespace

Result<std::optional<std::string>> begin_request(ApplyContext& context) {
  const wire::Command& command = context.command;
  DOGFS_TRY(std::optional<wire::SessionRow> session, context.tables.session(context.session()));
  if (!session) {
    return Error(ErrorCode::kSessionExpired,
                 fmt::format("session {}: this attempt did nothing, an earlier one may have", context.session()));
  }
  const uint64_t old_low_water = session->low_water();
  const uint64_t low_water = std::max(old_low_water, command.low_water());
  DOGFS_TRYV(check_sequence(command, low_water));
  trim_replies(context.tables, context.session(), old_low_water, low_water);
  session->set_low_water(low_water);
  session->set_last_active_ms(context.counters.log_time_ms());
  context.tables.put(*session);
  if (mutant_active(Mutant::kRetryRunsTwice)) return std::optional<std::string>();
  return context.tables.reply(context.session(), SequenceNumber(command.sequence()));
}

Result<wire::OpenSessionReply> open_session(ApplyContext& context) {
  if (context.counters.cluster_uuid().empty()) {
    return Error(ErrorCode::kUnavailable, "the cluster is being initialised");
  }
  if (context.counters.sessions() >= kMaxSessions) {
    return Error(ErrorCode::kOverloaded, fmt::format("there are {} client sessions", kMaxSessions));
  }
  context.counters.set_sessions(context.counters.sessions() + 1);
  wire::SessionRow session;
  session.set_session(context.new_session().value());
  session.set_low_water(1);
  session.set_last_active_ms(context.counters.log_time_ms());
  context.tables.put(session);
  wire::OpenSessionReply reply;
  reply.set_session(session.session());
  reply.set_cluster_uuid(context.counters.cluster_uuid());
  return reply;
}

Status expire_sessions(ApplyContext& context, const wire::ExpireSessions& operation) {
  if (operation.sessions_size() > kMaxExpiredSessionsPerCommand) {
    return Error(ErrorCode::kInvalidArgument, "too many sessions in one command");
  }
  for (const uint64_t id : operation.sessions()) {
    const SessionId session(id);
    DOGFS_TRY(const std::optional<wire::SessionRow> row, context.tables.session(session));
    if (!row || row->last_active_ms() > operation.idle_since_ms()) continue;
    DOGFS_COVERAGE_MARK("meta: a session expired");
    DOGFS_TRYV(erase_replies(context.tables, session));
    context.tables.erase(context.tables.keys().session(session));
    context.counters.set_sessions(context.counters.sessions() - 1);
  }
  return ok();
}

}  // namespace dogfs
