#include "core/client/meta_channel.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/limits.h"
#include "core/client/backoff.h"
#include "core/env/sync.h"
#include "core/wire/meta.pb.h"

namespace dogfs {
namespace {

constexpr int kMaxDoublings = 4;
// An answer that has come waits for no longer than this.
constexpr Duration kMembersTimeout = milliseconds(200);
// For an election or two it is worth asking often: whoever waits longer makes a fail-over longer than it was. If there is
// still no leader, it will take a while.
constexpr Duration kElectionTime = seconds(1);
constexpr BackoffOptions kDuringElection{.most = milliseconds(80)};

// Whether an error that a node answered leaves open that the request was, or will be, executed.
bool leaves_execution_open(ErrorCode code) {
  return code == ErrorCode::kOutcomeUnknown || code == ErrorCode::kTimeout || code == ErrorCode::kShuttingDown ||
         code == ErrorCode::kIoError || code == ErrorCode::kConnectionLost;
}

// Whether the transport's error says that the request did not reach its node.
bool certainly_not_executed(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kRefused;
}

// Whether a node answered that another leads (Reply::leader), or that it knows of none.
bool denies_leadership(ErrorCode code) {
  return code == ErrorCode::kNotLeader || code == ErrorCode::kNoLeader;
}

// Whether an answer is worth another attempt rather than the caller's attention.
bool is_transient(ErrorCode code) {
  return code == ErrorCode::kOutcomeUnknown || error_class(code) == ErrorClass::kRetry;
}

// The leader itself asks to come back later: nobody else need be asked.
bool is_leader_at_capacity(ErrorCode code) {
  return code == ErrorCode::kOverloaded || code == ErrorCode::kBusy;
}

}  // namespace

MetaChannel::MetaChannel(Env& env, MetaChannelOptions options)
    : env_(env),
      options_(std::move(options)),
      finder_(options_.nodes),
      members_due_(env.clock.now() + options_.members_interval) {}

Task<MetaOutcome> MetaChannel::call(Request request) {
  const MonoTime deadline = env_.clock.now() + options_.timeout;
  request.principal = options_.principal;
  const MonoTime began = env_.clock.now();
  LeaderSearch search(finder_, began);
  Backoff first_pauses(env_.random, kDuringElection);
  Backoff later_pauses(env_.random);
  bool maybe_executed = false;
  MonoTime round_began = began;
  while (true) {
    const std::optional<Address> node = search.next();
    if (node) {
      const MonoTime attempt_deadline =
          std::min(deadline, env_.clock.now() + patience(search.timeouts(*node), deadline));
      Result<Reply> answer = co_await env_.transport.call(*node, request, attempt_deadline);
      std::optional<Reply> final = take_answer(*node, std::move(answer), search, maybe_executed);
      if (final) {
        co_await learn_members(*node);
        co_return MetaOutcome{std::move(*final), maybe_executed};
      }
    }
    if (std::optional<Error> error = node ? out_of_time(search, deadline) : give_up(search, deadline, round_began)) {
      co_return MetaOutcome{std::move(*error), maybe_executed};
    }
    if (node) continue;
    Backoff& pauses = env_.clock.now() - began < kElectionTime ? first_pauses : later_pauses;
    const Duration left = deadline - env_.clock.now();
    co_await sleep_for(env_.clock, std::min(pauses.next(), left));
    search.start_round();
    round_began = env_.clock.now();
  }
}

Task<void> MetaChannel::learn_members(Address leader) {
  const MonoTime now = env_.clock.now();
  if (now < members_due_) co_return;
  members_due_ = now + options_.members_interval;
  wire::MembershipRequest message;
  message.set_only_leader(true);
  Request request = make_request(MessageType::kMembership, GroupId(), message);
  request.principal = options_.principal;
  Result<Reply> answer = co_await env_.transport.call(std::move(leader), std::move(request), now + kMembersTimeout);
  if (!answer || answer.value().error.code != ErrorCode::kOk) co_return;
  const auto reply = parse_message<wire::MembershipReply>(answer.value().body);
  if (!reply || static_cast<size_t>(reply.value().members_size()) > kMaxRaftMembers) co_return;
  for (const wire::MembershipReply::Member& member : reply.value().members()) {
    if (!member.address().empty() && member.address().size() <= kMaxAddressBytes) finder_.heard_of({member.address()});
  }
}

Duration MetaChannel::patience(int timeouts, MonoTime deadline) const {
  // A node that is slow, since its disk is, must get its time at last. But one that hangs must leave time to ask the
  // others, who may lead by now.
  const Duration longer = options_.attempt_timeout * (1 << std::min(timeouts, kMaxDoublings));
  return std::min(longer, std::max(options_.attempt_timeout, (deadline - env_.clock.now()) / 2));
}

std::optional<Reply> MetaChannel::take_answer(const Address& from, Result<Reply> answer, LeaderSearch& search,
                                              bool& maybe_executed) {
  if (!answer) {
    if (!certainly_not_executed(answer.error().code)) maybe_executed = true;
    search.failed(from, answer.error(), env_.clock.now());
    return std::nullopt;
  }
  const ErrorCode code = answer.value().error.code;
  if (denies_leadership(code)) {
    search.redirected(from, answer.value().leader, env_.clock.now());
    return std::nullopt;
  }
  if (is_leader_at_capacity(code)) {
    search.answered(from, env_.clock.now());
    return std::nullopt;
  }
  if (is_transient(code)) {
    if (leaves_execution_open(code)) maybe_executed = true;
    search.unable(from, answer.value().error);
    return std::nullopt;
  }
  search.answered(from, env_.clock.now());
  return std::move(answer).value();
}

std::optional<Error> MetaChannel::give_up(const LeaderSearch& search, MonoTime deadline, MonoTime round_began) const {
  // Only a whole round can tell that nobody knows a leader, and it tells of the time when it began: what a node said may
  // be long past once another, which hangs, has used its time up.
  if (search.majority_refuses() || search.leaderless(round_began) >= options_.leaderless_patience) {
    return Error(ErrorCode::kNoLeader, search.describe());
  }
  return out_of_time(search, deadline);
}

std::optional<Error> MetaChannel::out_of_time(const LeaderSearch& search, MonoTime deadline) const {
  if (env_.clock.now() < deadline) return std::nullopt;
  return Error(ErrorCode::kTimeout, search.describe());
}

Task<Result<Reply>> MetaChannel::call_any(Request request) {
  request.principal = options_.principal;
  LeaderSearch search(finder_, env_.clock.now());
  while (const std::optional<Address> node = search.next()) {
    const MonoTime deadline = env_.clock.now() + options_.attempt_timeout;
    Result<Reply> answer = co_await env_.transport.call(*node, request, deadline);
    if (!answer) {
      search.failed(*node, answer.error(), env_.clock.now());
    } else if (denies_leadership(answer.value().error.code)) {
      search.redirected(*node, answer.value().leader, env_.clock.now());
    } else if (is_transient(answer.value().error.code)) {
      search.unable(*node, answer.value().error);
    } else {
      co_return std::move(answer);
    }
  }
  co_return Error(ErrorCode::kNoLeader, search.describe());
}

}  // namespace dogfs
