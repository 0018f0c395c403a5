// Messages between nodes: requests that are answered, and one-way messages that may be lost.
//
// Simulated twin: sim/transport.h. Real twin: net/transport.h (TCP). Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/env/task.h"

namespace dogfs {

// Where a node listens: "host:port" on a real network, a node's name in the simulator. Opaque to core.
struct Address {
  std::string value;
  bool operator==(const Address&) const = default;
  auto operator<=>(const Address&) const = default;
};

// What a message is. The numbers travel on the wire: core/wire/message_type.h gives them their names.
enum class MessageType : uint16_t;

struct Request {
  MessageType type{};
  GroupId group;          // the Raft group that it is for; zero where none is meant
  std::string principal;  // who asks, for permission checks
  std::string body;       // one serialised protobuf message, at most kMaxFrameBodyBytes
  BytesChain payload;     // raw bytes that are never copied into protobuf, at most kMaxFramePayloadBytes
};

struct Reply {
  // kOk, or why the request failed at the node that answered; body and payload are then empty.
  Error error{ErrorCode::kOk};
  // With kNotLeader: who leads, as far as the node knows (empty: it knows of none).
  Address leader;
  std::string body;
  BytesChain payload;
};

// What a server does with what arrives. Called on the node's executor.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;

  // Answers one request. `deadline` is on this node's clock: past it nobody waits for the reply. Several run at once.
  virtual Task<Reply> handle(Request request, MonoTime deadline) = 0;

  // Takes a one-way message. Must not block.
  virtual void receive(Request message) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Sends a request and waits for its reply, until `deadline` at the latest. The Result fails only where no reply
  // came: kRefused or kUnavailable if the request was certainly not executed, kConnectionLost or kTimeout if it may have
  // been. kRefused says more: the peer's machine answered that nobody listens there, a moment ago at most.
  // A reply that carries an error is a successful call.
  virtual Task<Result<Reply>> call(Address to, Request request, MonoTime deadline) = 0;

  // Sends without waiting: the message may be lost, delayed, doubled or overtaken. What does not fit the bounded
  // queue to that peer is dropped.
  virtual void send(Address to, Request message) = 0;

  // Starts to hand what arrives to `handler`, which must outlive this transport or the stop().
  virtual void serve(RequestHandler& handler) = 0;

  // Takes no more requests. Replies of those under way are still sent.
  virtual void stop_serving() = 0;
};

}  // namespace dogfs
