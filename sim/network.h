// The simulated network: what becomes of each message between two nodes.
//
// Every ordered pair of nodes is a link with a quality (delay, loss, duplication, reordering, bits that flip) and a count
// of the faults that block it; blocking one direction only is a one-way partition. Draws are keyed by link and kind of
// message. A link keeps the order of its messages unless reordering strikes one, as a TCP connection does. Requests to
// a node that is down are refused, as its operating system would; what a dying node had accepted is reset or, as when
// the power goes, just never answered. A frame that does not decode ends the connection between its two nodes: what is
// under way on it, and what would be answered over it, is lost. Its payload has checksums of its own, which are the
// receiver's business.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/env/transport.h"
#include "sim/executor.h"
#include "sim/harms.h"
#include "sim/trace.h"

namespace dogfs::sim {

struct LinkQuality {
  Duration delay_min = microseconds(100);
  Duration delay_max = microseconds(600);
  // Messages that take up to `slow_max` instead.
  uint32_t slow_per_million = 1'000;
  Duration slow_max = milliseconds(20);
  uint64_t bytes_per_second = 1'000'000'000;
  uint32_t loss_per_million = 0;
  // Of one-way messages. A request over a connection is delivered once at most.
  uint32_t duplicate_per_million = 0;
  // Messages that may be overtaken by others for up to `reorder_max`.
  uint32_t reorder_per_million = 0;
  Duration reorder_max = milliseconds(50);
  // Under way on one link; what comes on top is refused.
  uint32_t queued_messages = 4096;
  // Messages of which one bit flips.
  uint32_t corrupt_per_million = 0;
};

enum class MessageKind : uint8_t {
  kRequest,
  kOneWay,
  kReply,
  kRefused,  // in place of a reply: nobody listens there
  kReset,    // in place of a reply: the connection is lost
  kUnsent,   // in place of a reply: the request certainly did not arrive
};

enum class Fate : uint8_t;  // sim/trace_events.h

// A message under way. A request, one-way message or reply is an encoded frame; the payload goes beside it.
struct Envelope {
  MessageKind kind{};
  MessageType type{};
  NodeIndex from = kWorld;
  NodeIndex to = kWorld;
  uint64_t request_id = 0;
  std::string frame;
  BytesChain payload;
  uint64_t connection = 0;  // the how manieth of its two nodes: of a reply, that of its request
  uint64_t sequence = 0;    // among the messages of its link
  bool slow = false;
  bool corrupt = false;
  uint32_t recorded = 0;  // its EventId in the recording, if there is one

  size_t size() const { return frame.size() + payload.size(); }
  // What it takes to answer it.
  Envelope header() const;
};

enum class Taken : uint8_t {
  kYes,
  kRefused,     // nobody listens
  kUnreadable,  // its frame does not decode
};

// Who takes what arrives at a node.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  // Called from an event.
  virtual Taken arrive(Envelope envelope) = 0;
};

class Network {
 public:
  Network(Simulator& simulator, Trace& trace, uint64_t seed)
      : simulator_(simulator), trace_(trace), key_(StreamKey(seed).with("net")) {}

  // --- Nodes ---
  void add_node(NodeIndex node, const Address& address);
  // kWorld if there is no such node.
  NodeIndex find(const Address& address) const;
  const Address& address_of(NodeIndex node) const { return addresses_[node]; }
  // `endpoint` takes what arrives until detach().
  void attach(NodeIndex node, Endpoint& endpoint);
  void detach(NodeIndex node);

  // --- Faults ---
  void set_quality(const LinkQuality& quality) { quality_ = quality; }
  // Blocks add up: a link carries messages again once each was taken back.
  void block(NodeIndex from, NodeIndex to) { ++link(from, to).blocks; }
  void unblock(NodeIndex from, NodeIndex to);
  bool blocked(NodeIndex from, NodeIndex to) { return link(from, to).blocks > 0; }

  // --- Traffic ---
  uint64_t next_request_id() { return ++last_request_id_; }
  // False if the link's queue is full and the message was not taken.
  bool send(Envelope envelope);
  // Tells the caller of `request`, without a frame, what became of it. Precondition: `kind` is kRefused or kReset.
  void answer(const Envelope& request, MessageKind kind);
  uint64_t messages() const { return messages_; }
  Harms& harms() { return harms_; }
  const Harms& harms() const { return harms_; }

 private:
  uint32_t record_sent(const Envelope& envelope, bool duplicate);
  void record_end(uint32_t message, Fate fate);

  struct Link {
    uint32_t blocks = 0;
    uint32_t queued = 0;
    uint64_t queued_bytes = 0;
    uint64_t connection = 0;    // the same in both directions
    uint64_t last_sent = 0;     // the sequence number
    uint64_t newest_taken = 0;  // the highest sequence number that was handed over
    VirtualTime last_arrival{};
    std::map<uint32_t, RandomStream> draws;  // by kind and type of message
  };

  Link& link(NodeIndex from, NodeIndex to) { return links_[from][to]; }
  RandomStream& draws_of(Link& way, const Envelope& envelope);
  struct Arrival {
    VirtualTime when{};
    bool late = false;  // others may overtake it
    bool slow = false;
  };
  Arrival arrival(Link& way, RandomStream& draws, size_t bytes);
  // Sends `envelope` on its way, doubled or not.
  void depart(Link& way, RandomStream& draws, Envelope envelope, bool duplicate);
  void schedule(Arrival arrival, Envelope envelope);
  void deliver(Envelope envelope, bool late);
  void hand_over(Envelope envelope, bool late);
  void count_arrival(const Envelope& envelope);
  void flip_bit(Envelope& envelope, RandomStream& draws);
  void break_connection(NodeIndex one, NodeIndex other);
  bool is_broken(const Envelope& envelope) {
    return envelope.connection != link(envelope.from, envelope.to).connection;
  }
  // Runs `arrive`, which hands something to the node, in the node's own line if it has one.
  template <class F>
  void when_it_may(NodeIndex node, F arrive);
  void drop(const Envelope& envelope, std::string_view why, RandomStream& draws);
  void describe(const Envelope& envelope, std::string_view fate);

  Simulator& simulator_;
  Trace& trace_;
  StreamKey key_;
  LinkQuality quality_;
  std::vector<Address> addresses_;
  std::vector<Endpoint*> endpoints_;
  std::map<Address, NodeIndex> by_address_;
  std::vector<std::vector<Link>> links_;  // [from][to]
  uint64_t last_request_id_ = 0;
  uint64_t messages_ = 0;
  Harms harms_;
};

}  // namespace dogfs::sim
