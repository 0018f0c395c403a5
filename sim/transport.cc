#include "sim/transport.h"

#include <utility>

#include "core/base/check.h"
#include "core/env/sync.h"
#include "core/wire/frame.h"

namespace dogfs::sim {
namespace {

struct ReceivedFrame {
  FrameHeader header;
  std::string_view message;
};

// Splits what was encoded on the other side, and may have changed on its way.
Result<ReceivedFrame> split(const Envelope& envelope) {
  DOGFS_CHECK(envelope.frame.size() >= kFrameHeaderBytes);
  const auto bytes = std::as_bytes(std::span(envelope.frame));
  DOGFS_TRY(const FrameHeader header, decode_frame_header(bytes.first<kFrameHeaderBytes>()));
  return ReceivedFrame{header, std::string_view(envelope.frame).substr(kFrameHeaderBytes)};
}

Result<DecodedRequest> decode_request(const Envelope& envelope) {
  DOGFS_TRY(const ReceivedFrame frame, split(envelope));
  return dogfs::decode_request(frame.header, frame.message, envelope.payload);
}

// What the reply says, which may be an error, or kProtocolError if it cannot be read.
Result<Reply> decode_reply(const Envelope& envelope) {
  DOGFS_TRY(const ReceivedFrame frame, split(envelope));
  return dogfs::decode_reply(frame.header, frame.message, envelope.payload);
}

}  // namespace

SimTransport::SimTransport(SimExecutor executor, const SimClock& clock, Network& network)
    : executor_(executor), clock_(clock), network_(network) {
  network_.attach(self(), *this);
}

Result<uint64_t> SimTransport::start_call(const Address& to, const Request& request, Duration timeout,
                                          const std::shared_ptr<Done>& done) {
  const NodeIndex node = network_.find(to);
  if (node == kWorld) return Error(ErrorCode::kRefused, "no such node: " + to.value);
  const uint64_t id = network_.next_request_id();
  DOGFS_TRY(EncodedFrame frame, encode_request(request, FrameKind::kRequest, id, timeout));
  Envelope envelope{MessageKind::kRequest, request.type, self(), node, id, std::move(frame.prefix), request.payload};
  if (!network_.send(std::move(envelope))) return Error(ErrorCode::kUnavailable, "queue full");
  calls_.emplace(id, Call{{request.type, node, executor_.simulator().now()}, done});
  return id;
}

Task<Result<Reply>> SimTransport::call(Address to, Request request, MonoTime deadline) {
  DOGFS_CHECK(deadline != kNever);
  auto done = std::make_shared<Done>();
  const Duration timeout = deadline - clock_.now();
  Result<uint64_t> id = timeout <= Duration::zero() ? Error(ErrorCode::kUnavailable, "the deadline has passed")
                                                    : start_call(to, request, timeout, done);
  if (!id.has_value()) done->set(executor_.simulator(), id.error());
  std::optional<Result<Reply>> reply = co_await Done::wait_until(executor_, done, clock_.to_virtual(deadline));
  if (id.has_value()) calls_.erase(id.value());
  if (!reply) co_return Error(ErrorCode::kTimeout, "no reply from " + to.value);
  co_return *std::move(reply);
}

void SimTransport::send(Address to, Request message) {
  const NodeIndex node = network_.find(to);
  if (node == kWorld) return;
  Result<EncodedFrame> frame = encode_request(message, FrameKind::kOneWay, 0, Duration::zero());
  if (!frame.has_value()) return;
  network_.send(Envelope{MessageKind::kOneWay, message.type, self(), node, 0, std::move(frame.value().prefix),
                         std::move(message.payload)});
}

Taken SimTransport::arrive(Envelope envelope) {
  switch (envelope.kind) {
    case MessageKind::kRequest:
    case MessageKind::kOneWay:
      return arrive_request(envelope);
    case MessageKind::kReply:
    case MessageKind::kRefused:
    case MessageKind::kReset:
    case MessageKind::kUnsent:
      return arrive_reply(envelope);
  }
  return Taken::kRefused;
}

Taken SimTransport::arrive_request(const Envelope& envelope) {
  if (handler_ == nullptr) return Taken::kRefused;
  Result<DecodedRequest> decoded = decode_request(envelope);
  if (!decoded.has_value()) return Taken::kUnreadable;
  if (envelope.kind == MessageKind::kOneWay) {
    handler_->receive(std::move(decoded.value().request));
    return Taken::kYes;
  }
  Envelope header = envelope.header();
  handling_.emplace(header.request_id, header);
  const MonoTime deadline = clock_.now() + decoded.value().timeout;
  spawn(Executor(executor_), answer(std::move(header), std::move(decoded.value().request), deadline));
  return Taken::kYes;
}

Task<void> SimTransport::answer(Envelope header, Request request, MonoTime deadline) {
  // The handler may have stopped serving since the request arrived.
  Reply reply;
  if (handler_ == nullptr) {
    reply.error = Error(ErrorCode::kShuttingDown);
  } else {
    reply = co_await handler_->handle(std::move(request), deadline);
  }
  // The handler may have ended the process, which says nothing more.
  if (!executor_.simulator().alive(executor_.incarnation())) co_return;
  handling_.erase(header.request_id);
  Result<EncodedFrame> frame = encode_reply(reply, header.type, header.request_id);
  DOGFS_CHECK(frame.has_value());
  network_.send(Envelope{MessageKind::kReply, header.type, header.to, header.from, header.request_id,
                         std::move(frame.value().prefix), std::move(reply.payload), header.connection});
}

Taken SimTransport::arrive_reply(const Envelope& envelope) {
  std::optional<Result<Reply>> reply;
  if (envelope.kind == MessageKind::kReply) {
    reply = decode_reply(envelope);
    if (!reply->has_value() && reply->error().code == ErrorCode::kProtocolError) return Taken::kUnreadable;
  }
  const auto call = calls_.find(envelope.request_id);
  if (call == calls_.end()) {  // its caller has given up
    if (reply) network_.harms().count(Harm::kReplyTooLate);
    return Taken::kYes;
  }
  // The caller erases its entry when it goes on.
  const std::shared_ptr<Done> done = call->second.done;
  Simulator& simulator = executor_.simulator();
  if (envelope.kind == MessageKind::kRefused) {
    done->set_and_resume(simulator, Error(ErrorCode::kRefused));
  } else if (envelope.kind == MessageKind::kUnsent) {
    done->set_and_resume(simulator, Error(ErrorCode::kUnavailable, "the request was not sent"));
  } else if (envelope.kind == MessageKind::kReset) {
    network_.harms().count(Harm::kConnectionReset);
    done->set_and_resume(simulator, Error(ErrorCode::kConnectionLost));
  } else {
    done->set_and_resume(simulator, *std::move(reply));
  }
  return Taken::kYes;
}

std::vector<PendingCall> SimTransport::pending_calls() const {
  std::vector<PendingCall> pending;
  for (const auto& [id, call] : calls_) pending.push_back(call.pending);
  return pending;
}

void SimTransport::reset_callers(RandomStream& draws) {
  for (const auto& [id, header] : handling_) {
    if (draws.chance(500'000)) network_.answer(header, MessageKind::kReset);
  }
}

}  // namespace dogfs::sim
