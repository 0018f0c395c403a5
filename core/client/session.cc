#include "core/client/session.h"

#include "core/base/limits.h"

namespace dogfs {

Session::Session(Env& env, MetaChannel& channel) : env_(env), channel_(channel), changed_(env.clock) {}

Task<Status> Session::open() {
  while (opening_) co_await changed_.wait();
  if (!id_.is_none()) co_return ok();
  opening_ = true;
  const wire::OpenSessionRequest request;
  Result<wire::OpenSessionReply> reply =
      co_await channel_.ask<wire::OpenSessionReply>(MessageType::kOpenSession, request);
  opening_ = false;
  changed_.notify_all();
  DOGFS_CO_TRY(wire::OpenSessionReply opened, std::move(reply));
  if (opened.session() == 0) co_return Error(ErrorCode::kProtocolError, "the metadata opened session 0");
  id_ = SessionId(opened.session());
  cluster_uuid_ = opened.cluster_uuid();
  next_sequence_ = SequenceNumber(1);
  outstanding_.clear();
  co_return ok();
}

Task<Result<wire::MutationResult>> Session::mutate(wire::Mutation mutation) {
  while (true) {
    DOGFS_CO_TRYV(co_await open());
    if (!has_room()) {
      co_await changed_.wait();
      continue;
    }
    const SessionId session = id_;
    const SequenceNumber sequence = take_sequence();
    MetaOutcome outcome = co_await send(sequence, mutation);
    finish(session, sequence);
    if (!outcome.reply) {
      if (!outcome.maybe_executed_before) co_return outcome.reply.error();
      co_return Error(ErrorCode::kOutcomeUnknown, outcome.reply.error().to_string());
    }
    Reply reply = std::move(outcome.reply).value();
    if (reply.error.code == ErrorCode::kSessionExpired) {
      expire(session);
      if (outcome.maybe_executed_before) {
        co_return Error(ErrorCode::kOutcomeUnknown, "the session expired before the answer came");
      }
      continue;
    }
    // The leader looked at its disk, not into the log: that says nothing of an attempt before.
    if (reply.error.code == ErrorCode::kNoSpace && outcome.maybe_executed_before) {
      co_return Error(ErrorCode::kOutcomeUnknown, reply.error.to_string());
    }
    DOGFS_CO_TRY(TypedReply<wire::MutateReply> typed, parse_reply<wire::MutateReply>(std::move(reply)));
    co_return std::move(*typed.message.mutable_result());
  }
}

Task<MetaOutcome> Session::send(SequenceNumber sequence, wire::Mutation mutation) {
  wire::MutateRequest message;
  message.set_session(id_.value());
  message.set_sequence(sequence.value());
  message.set_low_water(low_water().value());
  *message.mutable_mutation() = std::move(mutation);
  Request request = make_request(MessageType::kMutate, GroupId(), message);
  co_return co_await channel_.call(std::move(request));
}

void Session::expire(SessionId id) {
  if (id_ == id) id_ = SessionId();
}

SequenceNumber Session::take_sequence() {
  const SequenceNumber sequence = next_sequence_;
  ++next_sequence_;
  outstanding_.insert(sequence);
  return sequence;
}

void Session::finish(SessionId id, SequenceNumber sequence) {
  if (id_ == id) outstanding_.erase(sequence);
  changed_.notify_all();
}

SequenceNumber Session::low_water() const {
  return outstanding_.empty() ? next_sequence_ : *outstanding_.begin();
}

bool Session::has_room() const {
  // The window is over numbers, not over a count: one slow change must not let the others run away from it.
  return next_sequence_.value() - low_water().value() < kMaxRequestsInFlightPerSession;
}

}  // namespace dogfs
