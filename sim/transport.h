// The Transport of one life of a simulated node. Messages are encoded and decoded as on a real wire; payloads are
// handed over by reference.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "core/env/transport.h"
#include "sim/clock.h"
#include "sim/completion.h"
#include "sim/network.h"

namespace dogfs::sim {

// A request whose answer its node waits for.
struct PendingCall {
  MessageType type{};
  NodeIndex to = kWorld;
  VirtualTime since{};
};

class SimTransport final : public Transport, public Endpoint {
 public:
  // Attaches itself to the network. What is passed must outlive this object, or its node's crash.
  SimTransport(SimExecutor executor, const SimClock& clock, Network& network);

  Task<Result<Reply>> call(Address to, Request request, MonoTime deadline) override;
  void send(Address to, Request message) override;
  void serve(RequestHandler& handler) override { handler_ = &handler; }
  void stop_serving() override { handler_ = nullptr; }

  Taken arrive(Envelope envelope) override;

  // The oldest first.
  std::vector<PendingCall> pending_calls() const;

  // The node dies: tells some of those whose requests were accepted that their connection is lost.
  void reset_callers(RandomStream& draws);

 private:
  using Done = Completion<Result<Reply>>;
  struct Call {
    PendingCall pending;
    std::shared_ptr<Done> done;
  };

  // Starts a call; the error of one that was certainly not sent.
  Result<uint64_t> start_call(const Address& to, const Request& request, Duration timeout,
                              const std::shared_ptr<Done>& done);
  Taken arrive_request(const Envelope& envelope);
  Taken arrive_reply(const Envelope& envelope);
  Task<void> answer(Envelope header, Request request, MonoTime deadline);
  NodeIndex self() const { return executor_.incarnation().node; }

  SimExecutor executor_;
  const SimClock& clock_;
  Network& network_;
  RequestHandler* handler_ = nullptr;
  std::map<uint64_t, Call> calls_;
  // The headers of the requests that are being handled.
  std::map<uint64_t, Envelope> handling_;
};

}  // namespace dogfs::sim
