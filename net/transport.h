// The Transport port over TCP.
//
// To each peer there are two connections: one for small messages and one for data, so that a megabyte of payload
// on its way does not hold up a heartbeat. Both are made when first needed and kept (net/lane.h). What arrives
// is received within limits and handed to the node (net/server.h). Everything runs on one executor, which must be
// single-threaded, and takes no lock.
#pragma once

#include <memory>
#include <set>

#include "core/env/clock.h"
#include "core/env/log.h"
#include "core/env/transport.h"
#include "net/options.h"

namespace dogfs {

class TcpTransport final : public Transport {
 public:
  // What is passed must outlive the transport.
  TcpTransport(Executor executor, Clock& clock, Log& log, TcpOptions options = {});
  // Calls under way fail. Handlers under way go on to their end, unheard.
  ~TcpTransport() override;

  // Binds the address ("127.0.0.1:7001", with port 0 for any free one) and returns it with the port that was bound.
  // kInvalidArgument when it is no numeric address, kUnavailable when it cannot be bound. Before serve().
  Result<Address> listen(const Address& address);

  Task<Result<Reply>> call(Address to, Request request, MonoTime deadline) override;
  void send(Address to, Request message) override;
  void serve(RequestHandler& handler) override;
  void stop_serving() override;

  // Calls of these types fail at once, those under way and those to come: kConnectionLost if they may have been executed.
  // For a client that is done, and does not wait for what it wants no more.
  void give_up(const std::set<MessageType>& types);

  // After stop_serving(): resumes when the last reply has been sent, or at the deadline.
  Task<void> drain(MonoTime deadline);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dogfs
