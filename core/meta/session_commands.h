// Exactly once: a client session, and the replies that it may ask for again.
//
// Raft makes the session, each request carries (session, sequence), and its reply is kept in the same batch as its
// effect. A request that comes again, through whichever leader, gets the kept reply. The client says with its
// low-water mark which replies it has, and they go; a window bounds how many can be kept.
// (Ongaro's thesis, 6.3.)
//
// Kept are the replies of what took effect and of refusals that are final. A refusal that says "try again" is not
// kept: the same request may succeed later.
#pragma once

#include <optional>
#include <string>

#include "core/base/result.h"
#include "core/meta/apply_context.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

// The numbers of a session's requests end here, so that a window behind one does not overflow.
inline constexpr uint64_t kMaxRequestSequence = uint64_t{1} << 62;

inline constexpr uint64_t kMaxSessions = 1'000'000;
// Sessions that one ExpireSessions command names.
inline constexpr int kMaxExpiredSessionsPerCommand = 256;

// Decides about the request of `context.command` before it runs, and moves the session's low-water mark. Returns the
// reply that was kept if it ran before; nullopt if it is to run now. Fails with
//   kSessionExpired    there is no such session (any more): this attempt did nothing; an earlier one may have
//   kOutcomeUnknown    the client said that it has this reply, so it is not kept any more
//   kInvalidArgument   the low-water mark is above the sequence
//   kLimitExceeded     the sequence is too far above the low-water mark
Result<std::optional<std::string>> begin_request(ApplyContext& context);

// kUnavailable before the cluster is initialised, kOverloaded with too many sessions.
Result<wire::OpenSessionReply> open_session(ApplyContext& context);

// Forgets those that were idle.
Status expire_sessions(ApplyContext& context, const wire::ExpireSessions& operation);

}  // namespace dogfs
