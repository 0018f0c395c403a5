// The side that answers: listens, receives requests within limits, runs the node's handler, and sends the replies.
//
// A hostile or broken peer costs only its own connection: whatever breaks a rule of the frame format, or keeps a frame
// incomplete, or takes no replies, for too long, is closed with a line in the log. Memory is bounded whatever
// peers do: by the number of connections, and by limits on the requests under way and on the bytes of these and of the
// replies that wait to be taken, beyond which nothing more is read.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>

#include "core/base/result.h"
#include "core/env/clock.h"
#include "core/env/log.h"
#include "core/env/transport.h"
#include "net/connection.h"
#include "net/endpoint.h"
#include "net/options.h"

namespace dogfs {

class Server;

// One peer that calls us.
class InboundConnection final : public Connection::Owner, public std::enable_shared_from_this<InboundConnection> {
 public:
  InboundConnection(TcpSocket socket, std::shared_ptr<Server> server, uint64_t id);

  void start() { connection_->start(); }
  // Receives no more requests, and closes once the replies of those under way are sent.
  void drain();
  void close();
  // Closes it if it has outstayed a limit.
  void sweep(MonoTime now);
  void resume_reading() { connection_->resume_reading(); }

  bool admit(const FrameHeader& header) override;
  void on_frame(Frame frame) override;
  bool next_frame(OutFrame& frame) override;
  void on_sent(uint64_t tag) override;
  void on_closed(Error reason) override;

 private:
  bool within_own_limits(size_t bytes) const;
  bool within_shared_limits(const FrameHeader& header);
  // What is wrong with how the peer behaves in time; null when nothing is.
  const char* outstayed_limit(MonoTime now) const;
  void answer(Request request, const FrameHeader& header, Duration timeout);
  void on_answered(const Reply& reply, const FrameHeader& header);
  void end(const Error& reason);
  void give_back_admitted();

  std::shared_ptr<Server> server_;
  uint64_t id_;
  std::shared_ptr<Connection> connection_;
  bool draining_ = false;
  bool closed_ = false;

  size_t requests_ = 0;        // under way, until the reply is written
  size_t bytes_ = 0;           // of these requests, then of their replies
  size_t admitted_bytes_ = 0;  // of the frame that is arriving: charged to the server's budget
  std::deque<OutFrame> replies_;
  uint64_t next_tag_ = 1;  // our own names for replies: request ids are the peer's, who may use one twice
  // By reply that waits to be written: its size.
  std::map<uint64_t, size_t> unsent_;
};

// Bytes of requests under way, or of replies to be sent, over all connections.
class FrameBudget {
 public:
  explicit FrameBudget(size_t limit) : limit_(limit) {}
  // Whatever is asked for is granted when nothing is taken. What is `urgent` may go a quarter beyond the limit: votes and
  // heartbeats do not wait behind data.
  bool try_take(size_t bytes, bool urgent);
  // For bytes that are there already.
  void take(size_t bytes) { taken_ += bytes; }
  bool is_exhausted() const { return taken_ >= limit_; }
  // True when somebody who waits may try again.
  void give_back(size_t bytes);
  void wait(std::weak_ptr<InboundConnection> connection) { waiting_.push_back(std::move(connection)); }
  bool contended() const { return !waiting_.empty(); }

 private:
  size_t limit_;
  size_t taken_ = 0;
  std::deque<std::weak_ptr<InboundConnection>> waiting_;
};

class Server final : public std::enable_shared_from_this<Server> {
 public:
  Server(Executor executor, Clock& clock, Log& log, const TcpOptions& options);

  // Binds and listens; peers that connect wait until serve(). Returns the address with the port that was bound.
  Result<Address> listen(const Address& address);
  void serve(RequestHandler& handler);
  void stop_serving();
  // Closes every connection, replied to or not.
  void shut_down();
  void sweep(MonoTime now);
  size_t connections() const { return connections_.size(); }

 private:
  friend class InboundConnection;

  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor>;
  using SteadyTimer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                        boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

  void accept_next();
  void on_accepted(const boost::system::error_code& error, TcpSocket socket);
  void accept_later();

  Executor executor_;
  Clock& clock_;
  Log& log_;
  const TcpOptions& options_;
  Acceptor acceptor_;
  SteadyTimer accept_timer_;
  RequestHandler* handler_ = nullptr;  // null while not serving
  bool refusing_ = false;              // at the limit of connections, and said so
  FrameBudget request_budget_;
  FrameBudget reply_budget_;
  uint64_t next_connection_ = 1;
  std::map<uint64_t, std::shared_ptr<InboundConnection>> connections_;
};

}  // namespace dogfs
