#include "net/lane.h"

#include <algorithm>
#include <boost/asio/connect.hpp>

#include "core/base/check.h"

namespace dogfs {
namespace {

// No wait is longer: longer ones would overflow the arithmetic of timers.
constexpr Duration kLongestTimeout = std::chrono::hours(1);

ErrorCode code_of_connect(const boost::system::error_code& error) {
  return error == boost::asio::error::connection_refused ? ErrorCode::kRefused : ErrorCode::kUnavailable;
}

}  // namespace

Lane::Lane(Executor executor, Clock& clock, Log& log, const TcpOptions& options, Address peer)
    : executor_(std::move(executor)),
      clock_(clock),
      log_(log),
      options_(options),
      peer_(std::move(peer)),
      socket_(executor_),
      resolver_(executor_),
      connect_timer_(executor_),
      retry_after_(clock.now()),
      deadline_timer_(executor_) {}

void Lane::call(Request request, MonoTime deadline, Done done) {
  const MonoTime now = clock_.now();
  if (deadline <= now) return done.complete(Error(ErrorCode::kUnavailable, "no time left to call " + peer_.value));
  if (state_ == State::kDead) return done.complete(Error(ErrorCode::kUnavailable, "the transport is closed"));
  if (state_ == State::kIdle && now < retry_after_) {
    return done.complete(Error(last_failure_, peer_.value + " could not be reached a moment ago"));
  }
  enqueue(Queued{std::move(request), std::min(deadline, now + kLongestTimeout), std::move(done)});
}

void Lane::send(Request message) {
  if (state_ == State::kDead || (state_ == State::kIdle && clock_.now() < retry_after_)) return;
  if (queued_bytes_ + bytes_of(message) > options_.one_way_queue_bytes) return;
  enqueue(Queued{std::move(message), kNever, Done()});
}

void Lane::enqueue(Queued queued) {
  const uint64_t id = next_id_++;
  queued_bytes_ += bytes_of(queued.request);
  if (queued.done) {
    deadlines_.emplace(queued.deadline, id);
    arm_deadline_timer();
  }
  queued_.emplace(id, std::move(queued));
  if (state_ == State::kIdle) connect();
  if (state_ == State::kConnected) connection_->wake_writer();
}

Lane::Queued Lane::dequeue(std::map<uint64_t, Queued>::iterator at) {
  Queued queued = std::move(at->second);
  queued_bytes_ -= bytes_of(queued.request);
  queued_.erase(at);
  return queued;
}

bool Lane::next_frame(OutFrame& frame) {
  while (!queued_.empty()) {
    const uint64_t id = queued_.begin()->first;
    Queued queued = dequeue(queued_.begin());
    const FrameKind kind = queued.done ? FrameKind::kRequest : FrameKind::kOneWay;
    const Duration timeout =
        queued.done ? std::max(queued.deadline - clock_.now(), Duration::zero()) : Duration::zero();
    Result<EncodedFrame> encoded = encode_request(queued.request, kind, id, timeout);
    if (!encoded) {
      log_.error("net", "{} to {}: {}", message_type_name(queued.request.type), peer_.value,
                 encoded.error().to_string());
      forget_deadline(queued.deadline, id);
      if (queued.done) queued.done.complete(encoded.error());
      continue;
    }
    if (queued.done) {
      awaiting_.emplace(id, Awaiting{queued.request.type, queued.deadline, std::move(queued.done)});
    }
    frame.tag = id;
    frame.prefix = std::move(encoded.value().prefix);
    frame.payload = std::move(queued.request.payload);
    return true;
  }
  return false;
}

void Lane::on_sent(uint64_t tag) {
  const auto call = awaiting_.find(tag);
  if (call != awaiting_.end()) call->second.sent = true;
}

bool Lane::admit(const FrameHeader&) {
  return true;
}

void Lane::on_frame(Frame frame) {
  if (frame.header.kind != FrameKind::kReply) {
    return connection_->fail(Error(ErrorCode::kProtocolError, "a request came where only replies may come"));
  }
  Result<Reply> reply = decode_reply(frame.header, frame.message, std::move(frame.payload));
  if (!reply) return connection_->fail(reply.error());
  const auto call = awaiting_.find(frame.header.request_id);
  if (call == awaiting_.end()) return;  // its caller has stopped waiting
  if (call->second.type != frame.header.type) {
    return connection_->fail(Error(ErrorCode::kProtocolError, "a reply to what was not asked"));
  }
  forget_deadline(call->second.deadline, call->first);
  Done done = std::move(call->second.done);
  awaiting_.erase(call);
  done.complete(std::move(reply));
}

void Lane::on_closed(Error reason) {
  connection_.reset();
  state_ = State::kIdle;
  if (reason.code == ErrorCode::kProtocolError) {
    log_.warning("net", "closed the connection to {}: {}", peer_.value, reason.to_string());
  } else {
    log_.debug("net", "connection to {} ended: {}", peer_.value, reason.detail);
  }
  const std::string detail = peer_.value + ": " + reason.detail;
  fail_awaiting(Error(ErrorCode::kConnectionLost, detail), Error(ErrorCode::kUnavailable, detail));
  // What had not had its turn is sent over the next connection.
  if (!queued_.empty()) connect();
}

bool Lane::sweep(MonoTime now) {
  if (state_ == State::kConnected) {
    const MonoTime stalled = connection_->stalled_since();
    if (stalled != Connection::kNotNow && now - stalled > options_.write_stall_limit) {
      connection_->fail(Error(ErrorCode::kConnectionLost, "the peer takes nothing"));
    } else if (queued_.empty() && awaiting_.empty() && now - connection_->last_activity() > options_.idle_peer_limit) {
      connection_->close();
      connection_.reset();
      state_ = State::kIdle;
    }
  }
  return state_ == State::kIdle && now >= retry_after_ && queued_.empty() && awaiting_.empty();
}

void Lane::shut_down() {
  state_ = State::kDead;
  ++attempt_;
  resolver_.cancel();
  connect_timer_.cancel();
  deadline_timer_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (connection_) std::exchange(connection_, nullptr)->close();
  const Error closed(ErrorCode::kUnavailable, "the transport is closed");
  fail_queued(closed);
  fail_awaiting(Error(ErrorCode::kConnectionLost, closed.detail), closed);
}

void Lane::give_up(const std::set<MessageType>& types) {
  const Error given_up(ErrorCode::kUnavailable, peer_.value + ": the call was given up");
  for (auto next = queued_.begin(); next != queued_.end();) {
    const auto at = next++;
    if (!at->second.done || !types.contains(at->second.request.type)) continue;
    forget_deadline(at->second.deadline, at->first);
    dequeue(at).done.complete(given_up);
  }
  for (auto next = awaiting_.begin(); next != awaiting_.end();) {
    const auto at = next++;
    if (!types.contains(at->second.type)) continue;
    forget_deadline(at->second.deadline, at->first);
    Awaiting call = std::move(at->second);
    awaiting_.erase(at);
    call.done.complete(call.sent ? Error(ErrorCode::kConnectionLost, given_up.detail) : given_up);
  }
}

void Lane::fail_queued(const Error& error) {
  while (!queued_.empty()) {
    const uint64_t id = queued_.begin()->first;
    Queued queued = dequeue(queued_.begin());
    forget_deadline(queued.deadline, id);
    if (queued.done) queued.done.complete(error);
  }
}

void Lane::fail_awaiting(const Error& if_sent, const Error& if_not_sent) {
  for (auto& [id, call] : std::exchange(awaiting_, {})) {
    forget_deadline(call.deadline, id);
    Done done = std::move(call.done);
    done.complete(call.sent ? if_sent : if_not_sent);
  }
}

// --- deadlines: one timer for all calls, which is set back only when an earlier one comes
// -----------------------------

void Lane::arm_deadline_timer() {
  if (deadlines_.empty() || deadlines_.begin()->first >= armed_for_) return;
  armed_for_ = deadlines_.begin()->first;
  deadline_timer_.expires_after(std::max(armed_for_ - clock_.now(), Duration::zero()));
  deadline_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->expire_calls();
  });
}

void Lane::expire_calls() {
  if (state_ == State::kDead) return;
  armed_for_ = kNever;
  const MonoTime now = clock_.now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const uint64_t id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    if (const auto queued = queued_.find(id); queued != queued_.end()) {
      dequeue(queued).done.complete(Error(ErrorCode::kUnavailable, peer_.value + ": timed out before it was sent"));
    } else if (const auto call = awaiting_.find(id); call != awaiting_.end()) {
      Done done = std::move(call->second.done);
      awaiting_.erase(call);
      done.complete(Error(ErrorCode::kTimeout, peer_.value));
    }
  }
  arm_deadline_timer();
}

// --- connecting
// -------------------------------------------------------------------------------------------------------

void Lane::connect() {
  state_ = State::kConnecting;
  const uint64_t attempt = ++attempt_;
  const Result<HostPort> address = parse_address(peer_.value);
  if (!address || address.value().port == 0) {
    const std::string why = address ? "port 0" : address.error().to_string();
    boost::asio::post(executor_, [self = shared_from_this(), attempt, why] {
      if (attempt == self->attempt_) self->on_connect_failed(ErrorCode::kUnavailable, why);
    });
    return;
  }
  connect_timer_.expires_after(options_.connect_timeout);
  connect_timer_.async_wait([self = shared_from_this(), attempt](const boost::system::error_code& error) {
    if (!error && attempt == self->attempt_) self->on_connect_failed(ErrorCode::kUnavailable, "timed out");
  });
  if (const auto endpoint = numeric_endpoint(address.value())) return connect_to({endpoint.value()});
  resolver_.async_resolve(
      address.value().host, std::to_string(address.value().port),
      [self = shared_from_this(), attempt](const boost::system::error_code& error, const auto& results) {
        if (attempt != self->attempt_) return;
        if (error) return self->on_connect_failed(ErrorCode::kUnavailable, error.message());
        std::vector<boost::asio::ip::tcp::endpoint> endpoints;
        for (const auto& result : results) endpoints.push_back(result.endpoint());
        self->connect_to(endpoints);
      });
}

void Lane::connect_to(const std::vector<boost::asio::ip::tcp::endpoint>& endpoints) {
  socket_ = TcpSocket(executor_);
  boost::asio::async_connect(
      socket_, endpoints,
      [self = shared_from_this(), attempt = attempt_](const boost::system::error_code& error, const auto&) {
        if (attempt != self->attempt_) return;
        if (error) return self->on_connect_failed(code_of_connect(error), error.message());
        self->on_connected();
      });
}

void Lane::on_connected() {
  connect_timer_.cancel();
  boost::system::error_code local_error;
  boost::system::error_code remote_error;
  // Where nobody listens on an ephemeral port of this very machine, TCP may connect a socket with itself.
  if (socket_.local_endpoint(local_error) == socket_.remote_endpoint(remote_error)) {
    return on_connect_failed(ErrorCode::kRefused, "connected with itself");
  }
  ++attempt_;
  failures_ = 0;
  state_ = State::kConnected;
  connection_ = std::make_shared<Connection>(std::move(socket_), *this, clock_);
  connection_->start();
}

void Lane::on_connect_failed(ErrorCode code, const std::string& why) {
  ++attempt_;
  connect_timer_.cancel();
  resolver_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
  state_ = State::kIdle;
  constexpr int kMaxDoublings = 16;
  const Duration backoff = options_.first_backoff * (1LL << std::min(failures_, kMaxDoublings));
  retry_after_ = clock_.now() + std::min(backoff, options_.max_backoff);
  ++failures_;
  last_failure_ = code;
  log_.debug("net", "cannot connect to {}: {}", peer_.value, why);
  fail_queued(Error(code, code == ErrorCode::kRefused ? peer_.value : peer_.value + ": " + why));
}

}  // namespace dogfs
