#include "net/server.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>

#include "core/base/check.h"

namespace dogfs {
namespace {

size_t bytes_of(const FrameHeader& header) {
  return size_t{header.head_bytes} + header.body_bytes + header.payload_bytes;
}

// Messages between metadata nodes, and small ones of anybody.
bool is_urgent(const FrameHeader& header) {
  constexpr size_t kSmallBytes = 64 * kKiB;
  return header.kind == FrameKind::kOneWay || bytes_of(header) <= kSmallBytes;
}

}  // namespace

bool FrameBudget::try_take(size_t bytes, bool urgent) {
  const size_t limit = urgent ? limit_ + limit_ / 4 : limit_;
  if (taken_ > 0 && taken_ + bytes > limit) return false;
  taken_ += bytes;
  return true;
}

void FrameBudget::give_back(size_t bytes) {
  DOGFS_CHECK(bytes <= taken_);
  taken_ -= bytes;
  if (bytes == 0) return;
  for (const std::weak_ptr<InboundConnection>& weak : std::exchange(waiting_, {})) {
    if (const auto connection = weak.lock()) connection->resume_reading();
  }
}

// --- InboundConnection
// ------------------------------------------------------------------------------------------------

InboundConnection::InboundConnection(TcpSocket socket, std::shared_ptr<Server> server, uint64_t id)
    : server_(std::move(server)),
      id_(id),
      connection_(std::make_shared<Connection>(std::move(socket), *this, server_->clock_)) {}

bool InboundConnection::within_own_limits(size_t bytes) const {
  const TcpOptions& options = server_->options_;
  if (requests_ == 0) return true;
  return requests_ < options.connection_requests && bytes_ + bytes <= options.connection_bytes;
}

bool InboundConnection::admit(const FrameHeader& header) {
  if (draining_ || !within_own_limits(bytes_of(header)) || !within_shared_limits(header)) return false;
  admitted_bytes_ = bytes_of(header);
  return true;
}

bool InboundConnection::within_shared_limits(const FrameHeader& header) {
  if (header.kind == FrameKind::kRequest && server_->reply_budget_.is_exhausted()) {
    server_->reply_budget_.wait(weak_from_this());
    return false;
  }
  if (!server_->request_budget_.try_take(bytes_of(header), is_urgent(header))) {
    server_->request_budget_.wait(weak_from_this());
    return false;
  }
  return true;
}

void InboundConnection::on_frame(Frame frame) {
  if (frame.header.kind == FrameKind::kReply) {
    return connection_->fail(Error(ErrorCode::kProtocolError, "a reply came where only requests may come"));
  }
  Result<DecodedRequest> decoded = decode_request(frame.header, frame.message, std::move(frame.payload));
  if (!decoded) return connection_->fail(decoded.error());
  if (server_->handler_ == nullptr) return;
  Request request = std::move(decoded.value().request);
  if (frame.header.kind == FrameKind::kOneWay) {
    server_->handler_->receive(std::move(request));
    give_back_admitted();
  } else {
    answer(std::move(request), frame.header, decoded.value().timeout);
  }
}

void InboundConnection::answer(Request request, const FrameHeader& header, Duration timeout) {
  ++requests_;
  bytes_ += bytes_of(header);
  admitted_bytes_ = 0;  // now the request's, until it is answered
  boost::asio::co_spawn(server_->executor_,
                        server_->handler_->handle(std::move(request), server_->clock_.now() + timeout),
                        [self = shared_from_this(), header](const std::exception_ptr& thrown, const Reply& reply) {
                          if (thrown) std::rethrow_exception(thrown);
                          self->on_answered(reply, header);
                        });
}

void InboundConnection::on_answered(const Reply& reply, const FrameHeader& header) {
  bytes_ -= bytes_of(header);
  server_->request_budget_.give_back(bytes_of(header));
  if (closed_) return;
  OutFrame frame;
  frame.tag = next_tag_++;
  Result<EncodedFrame> encoded = encode_reply(reply, header.type, header.request_id);
  if (encoded) {
    frame.payload = reply.payload;
  } else {
    server_->log_.error("net", "reply to {}: {}", message_type_name(header.type), encoded.error().to_string());
    Reply failed;
    failed.error = Error(ErrorCode::kInternal, "the reply does not fit a frame");
    encoded = encode_reply(failed, header.type, header.request_id);
  }
  frame.prefix = std::move(encoded.value().prefix);
  const size_t bytes = frame.prefix.size() + frame.payload.size();
  bytes_ += bytes;
  server_->reply_budget_.take(bytes);
  unsent_.emplace(frame.tag, bytes);
  replies_.push_back(std::move(frame));
  connection_->wake_writer();
}

bool InboundConnection::next_frame(OutFrame& frame) {
  if (replies_.empty()) return false;
  frame = std::move(replies_.front());
  replies_.pop_front();
  return true;
}

void InboundConnection::on_sent(uint64_t tag) {
  const auto reply = unsent_.find(tag);
  DOGFS_CHECK(reply != unsent_.end());
  const size_t bytes = reply->second;
  bytes_ -= bytes;
  unsent_.erase(reply);
  --requests_;
  server_->reply_budget_.give_back(bytes);
  if (draining_ && requests_ == 0) return end(Error(ErrorCode::kShuttingDown));
  connection_->resume_reading();
}

void InboundConnection::on_closed(Error reason) {
  end(reason);
}

void InboundConnection::drain() {
  draining_ = true;
  if (requests_ == 0) end(Error(ErrorCode::kShuttingDown));
}

void InboundConnection::close() {
  end(Error(ErrorCode::kShuttingDown));
}

void InboundConnection::end(const Error& reason) {
  if (std::exchange(closed_, true)) return;
  if (reason.code == ErrorCode::kProtocolError || reason.code == ErrorCode::kTimeout) {
    server_->log_.warning("net", "closed the connection from {}: {}", connection_->peer(), reason.to_string());
  }
  const auto self = shared_from_this();  // the server may hold the last reference
  connection_->close();
  replies_.clear();
  for (const auto& [tag, bytes] : std::exchange(unsent_, {})) server_->reply_budget_.give_back(bytes);
  give_back_admitted();
  server_->connections_.erase(id_);
}

void InboundConnection::give_back_admitted() {
  server_->request_budget_.give_back(std::exchange(admitted_bytes_, 0));
}

const char* InboundConnection::outstayed_limit(MonoTime now) const {
  const TcpOptions& options = server_->options_;
  const bool others_wait = admitted_bytes_ > 0 && server_->request_budget_.contended();
  const Duration frame_limit = others_wait ? options.frame_limit_under_pressure : options.frame_limit;
  const MonoTime frame_since = connection_->frame_since();
  if (frame_since != Connection::kNotNow && now - frame_since > frame_limit) return "its frame does not come to an end";
  const bool others_lack = !unsent_.empty() && server_->reply_budget_.contended();
  const Duration stall_limit = others_lack ? options.write_stall_limit_under_pressure : options.write_stall_limit;
  const MonoTime stalled = connection_->stalled_since();
  if (stalled != Connection::kNotNow && now - stalled > stall_limit) return "it takes no replies";
  return nullptr;
}

void InboundConnection::sweep(MonoTime now) {
  if (const char* what = outstayed_limit(now)) return end(Error(ErrorCode::kTimeout, what));
  if (requests_ == 0 && now - connection_->last_activity() > server_->options_.idle_connection_limit) {
    end(Error(ErrorCode::kCancelled, "idle"));
  }
}

// --- Server
// -----------------------------------------------------------------------------------------------------------

Server::Server(Executor executor, Clock& clock, Log& log, const TcpOptions& options)
    : executor_(std::move(executor)),
      clock_(clock),
      log_(log),
      options_(options),
      acceptor_(executor_),
      accept_timer_(executor_),
      request_budget_(options.request_bytes),
      reply_budget_(options.reply_bytes) {}

Result<Address> Server::listen(const Address& address) {
  DOGFS_TRY(const HostPort host_port, parse_address(address.value));
  DOGFS_TRY(const boost::asio::ip::tcp::endpoint endpoint, numeric_endpoint(host_port));
  boost::system::error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(boost::asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    return Error(ErrorCode::kUnavailable, "cannot listen on " + address.value + ": " + error.message());
  }
  return format_address(host_port.host, acceptor_.local_endpoint(error).port());
}

void Server::serve(RequestHandler& handler) {
  DOGFS_CHECK(acceptor_.is_open(), "listen() comes before serve()");
  handler_ = &handler;
  accept_next();
}

void Server::accept_next() {
  acceptor_.async_accept([self = shared_from_this()](const boost::system::error_code& error, TcpSocket socket) {
    self->on_accepted(error, std::move(socket));
  });
}

void Server::on_accepted(const boost::system::error_code& error, TcpSocket socket) {
  if (handler_ == nullptr) return;
  if (error) {
    // Mostly a lack of file descriptors, which lasts: to try again at once would be a busy loop.
    log_.warning("net", "cannot accept a connection: {}", error.message());
    return accept_later();
  }
  if (connections_.size() >= options_.max_connections) {
    if (!std::exchange(refusing_, true)) log_.warning("net", "refusing connections beyond {}", connections_.size());
  } else {
    refusing_ = false;
    const uint64_t id = next_connection_++;
    const auto connection = std::make_shared<InboundConnection>(std::move(socket), shared_from_this(), id);
    connections_.emplace(id, connection);
    connection->start();
  }
  accept_next();
}

void Server::accept_later() {
  accept_timer_.expires_after(milliseconds(100));
  accept_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->handler_ != nullptr) self->accept_next();
  });
}

void Server::stop_serving() {
  handler_ = nullptr;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  const auto connections = connections_;
  for (const auto& [id, connection] : connections) connection->drain();
}

void Server::shut_down() {
  stop_serving();
  const auto connections = connections_;
  for (const auto& [id, connection] : connections) connection->close();
}

void Server::sweep(MonoTime now) {
  const auto connections = connections_;
  for (const auto& [id, connection] : connections) connection->sweep(now);
}

}  // namespace dogfs
