// One pooled connection to one peer, with the calls that go over it.
//
// Calls are multiplexed by request id, and wait in the lane, unencoded, until the socket takes them. The connection is
// made by the first call that needs it, once for all that wait. When it cannot be made, all that wait fail, and so does
// at once whatever comes during a short and growing back-off, so that no caller hangs on a dead peer and none
// storms one that comes back.
//
// What was certainly not executed is told apart: a request of which the kernel did not take every byte cannot have
// been read whole by the peer. It fails with kUnavailable, or with kRefused where nobody listens; any other with
// kConnectionLost or kTimeout.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "core/env/clock.h"
#include "core/env/log.h"
#include "core/env/transport.h"
#include "net/completion.h"
#include "net/connection.h"
#include "net/endpoint.h"
#include "net/options.h"

namespace dogfs {

class Lane final : public Connection::Owner, public std::enable_shared_from_this<Lane> {
 public:
  using Done = Completion<Result<Reply>>;

  // What is referred to must outlive the shut_down().
  Lane(Executor executor, Clock& clock, Log& log, const TcpOptions& options, Address peer);

  // Never completes `done` inline.
  void call(Request request, MonoTime deadline, Done done);
  void send(Request message);
  // Fails the calls of these types that are under way.
  void give_up(const std::set<MessageType>& types);
  // Closes a connection that was idle for too long, or whose peer takes nothing. Returns whether the lane is of no
  // more use: nothing is connected, under way, or remembered.
  bool sweep(MonoTime now);
  // Fails everything. The lane is dead afterwards.
  void shut_down();

  bool admit(const FrameHeader& header) override;
  void on_frame(Frame frame) override;
  bool next_frame(OutFrame& frame) override;
  void on_sent(uint64_t tag) override;
  void on_closed(Error reason) override;

 private:
  enum class State { kIdle, kConnecting, kConnected, kDead };

  // A request that waits for its turn. Without `done` it is a one-way message.
  struct Queued {
    Request request;
    MonoTime deadline = kNever;
    Done done;
  };
  // A call that was handed to the connection and waits for its reply.
  struct Awaiting {
    MessageType type{};
    MonoTime deadline = kNever;
    Done done;
    bool sent = false;
  };
  using SteadyTimer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                        boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
  using Resolver = boost::asio::ip::basic_resolver<boost::asio::ip::tcp, Executor>;

  static size_t bytes_of(const Request& request) { return request.body.size() + request.payload.size(); }
  void enqueue(Queued queued);
  // Takes the first of the queue, or a given one.
  Queued dequeue(std::map<uint64_t, Queued>::iterator at);

  void connect();
  void connect_to(const std::vector<boost::asio::ip::tcp::endpoint>& endpoints);
  void on_connected();
  void on_connect_failed(ErrorCode code, const std::string& why);

  void arm_deadline_timer();
  void expire_calls();
  void forget_deadline(MonoTime deadline, uint64_t id) { deadlines_.erase({deadline, id}); }
  void fail_queued(const Error& error);
  void fail_awaiting(const Error& if_sent, const Error& if_not_sent);

  Executor executor_;
  Clock& clock_;
  Log& log_;
  const TcpOptions& options_;
  Address peer_;

  State state_ = State::kIdle;
  std::shared_ptr<Connection> connection_;
  TcpSocket socket_;  // while connecting
  Resolver resolver_;
  SteadyTimer connect_timer_;
  uint64_t attempt_ = 0;  // tells callbacks of an attempt that was given up
  int failures_ = 0;      // in a row
  ErrorCode last_failure_ = ErrorCode::kUnavailable;
  MonoTime retry_after_;

  uint64_t next_id_ = 1;
  std::map<uint64_t, Queued> queued_;
  size_t queued_bytes_ = 0;
  std::map<uint64_t, Awaiting> awaiting_;
  std::set<std::pair<MonoTime, uint64_t>> deadlines_;
  SteadyTimer deadline_timer_;
  MonoTime armed_for_ = kNever;
};

}  // namespace dogfs
