#include "sim/network.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/wire/message_type.h"
#include "sim/trace_events.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kMaxQueuedBytes = 64ULL << 20;

// How long a caller goes on waiting, at most, before its side notices that a connection is gone.
constexpr Duration kLongestNotice = seconds(1);

std::string_view kind_name(MessageKind kind) {
  switch (kind) {
    case MessageKind::kRequest:
      return "request";
    case MessageKind::kOneWay:
      return "one-way";
    case MessageKind::kReply:
      return "reply";
    case MessageKind::kRefused:
      return "refusal";
    case MessageKind::kReset:
      return "reset";
    case MessageKind::kUnsent:
      return "unsent";
  }
  return "";
}

Fate fate_of(const Envelope& header, bool refused, bool late) {
  if (refused) return Fate::kRefused;
  if (header.corrupt) return Fate::kDamaged;
  return late ? Fate::kLate : Fate::kDelivered;
}

}  // namespace

Envelope Envelope::header() const {
  Envelope header{kind, type, from, to, request_id, {}, {}, connection, sequence};
  header.corrupt = corrupt;
  return header;
}

void Network::add_node(NodeIndex node, const Address& address) {
  DOGFS_CHECK(!by_address_.contains(address), "two nodes of one name");
  addresses_.resize(std::max<size_t>(addresses_.size(), node + 1));
  endpoints_.resize(addresses_.size());
  addresses_[node] = address;
  by_address_[address] = node;
  links_.resize(addresses_.size());
  for (std::vector<Link>& ways : links_) ways.resize(addresses_.size());
}

NodeIndex Network::find(const Address& address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? kWorld : found->second;
}

void Network::attach(NodeIndex node, Endpoint& endpoint) {
  endpoints_[node] = &endpoint;
}
void Network::detach(NodeIndex node) {
  endpoints_[node] = nullptr;
}

void Network::unblock(NodeIndex from, NodeIndex to) {
  DOGFS_CHECK(link(from, to).blocks > 0);
  --link(from, to).blocks;
}

RandomStream& Network::draws_of(Link& way, const Envelope& envelope) {
  const uint32_t kind = (static_cast<uint32_t>(envelope.kind) << 16) | static_cast<uint32_t>(envelope.type);
  const auto found = way.draws.find(kind);
  if (found != way.draws.end()) return found->second;
  const StreamKey key = key_.with(addresses_[envelope.from].value).with(addresses_[envelope.to].value).with(kind);
  return way.draws.emplace(kind, RandomStream(key)).first->second;
}

Network::Arrival Network::arrival(Link& way, RandomStream& draws, size_t bytes) {
  Duration delay = draws.between(quality_.delay_min, quality_.delay_max);
  const bool slow = draws.chance(quality_.slow_per_million);
  if (slow) delay += draws.between(Duration::zero(), quality_.slow_max);
  delay += Duration(static_cast<int64_t>(bytes * 1'000'000'000 / quality_.bytes_per_second));
  if (draws.chance(quality_.reorder_per_million)) {
    return {simulator_.now() + delay + draws.between(Duration::zero(), quality_.reorder_max), true, slow};
  }
  way.last_arrival = std::max(way.last_arrival + Duration(1), simulator_.now() + delay);
  return {way.last_arrival, false, slow};
}

bool Network::send(Envelope envelope) {
  Link& way = link(envelope.from, envelope.to);
  RandomStream& draws = draws_of(way, envelope);
  if (way.queued >= quality_.queued_messages || way.queued_bytes + envelope.size() > kMaxQueuedBytes) {
    harms_.count(Harm::kMessageRefused);
    describe(envelope, "queue full");
    record_end(record_sent(envelope, false), Fate::kDropped);
    return false;
  }
  const bool is_answer = envelope.kind != MessageKind::kRequest && envelope.kind != MessageKind::kOneWay;
  if (!is_answer) envelope.connection = way.connection;
  const bool broken = is_broken(envelope);
  if (draws.chance(quality_.loss_per_million) || broken) {
    if (!broken) harms_.count(Harm::kMessageLost);
    record_end(record_sent(envelope, false), Fate::kLost);
    drop(envelope, "lost", draws);
    return true;
  }
  if (envelope.kind == MessageKind::kOneWay && draws.chance(quality_.duplicate_per_million)) {
    depart(way, draws, envelope, true);
  }
  depart(way, draws, std::move(envelope), false);
  return true;
}

void Network::depart(Link& way, RandomStream& draws, Envelope envelope, bool duplicate) {
  envelope.recorded = record_sent(envelope, duplicate);
  envelope.sequence = ++way.last_sent;
  if (quality_.corrupt_per_million > 0 && draws.chance(quality_.corrupt_per_million)) flip_bit(envelope, draws);
  if (duplicate) harms_.count(Harm::kMessageDuplicated);
  const Arrival end = arrival(way, draws, envelope.size());
  envelope.slow = end.slow;
  schedule(end, std::move(envelope));
}

EventId Network::record_sent(const Envelope& envelope, bool duplicate) {
  Recording* recording = simulator_.recording();
  return recording == nullptr ? 0 : recording->message_sent(simulator_.now(), envelope, duplicate);
}

void Network::record_end(EventId message, Fate fate) {
  if (Recording* recording = simulator_.recording()) recording->message_ended(message, simulator_.now(), fate);
}

void Network::schedule(Arrival arrival, Envelope envelope) {
  Link& way = link(envelope.from, envelope.to);
  ++way.queued;
  way.queued_bytes += envelope.size();
  simulator_.at(simulator_.world(), arrival.when, [this, late = arrival.late, message = std::move(envelope)]() mutable {
    deliver(std::move(message), late);
  });
}

template <class F>
void Network::when_it_may(NodeIndex node, F arrive) {
  if (!simulator_.is_held_up(node)) return arrive();
  simulator_.at(simulator_.present(node), simulator_.now(), std::move(arrive));
}

void Network::deliver(Envelope envelope, bool late) {
  Link& way = link(envelope.from, envelope.to);
  --way.queued;
  way.queued_bytes -= envelope.size();
  if (way.blocks > 0) {
    harms_.count(Harm::kMessageCut);
    record_end(envelope.recorded, Fate::kCut);
    drop(envelope, "blocked", draws_of(way, envelope));
    return;
  }
  if (is_broken(envelope)) {
    record_end(envelope.recorded, Fate::kLost);
    drop(envelope, "its connection was lost", draws_of(way, envelope));
    return;
  }
  const NodeIndex to = envelope.to;
  when_it_may(to, [this, late, message = std::move(envelope)]() mutable { hand_over(std::move(message), late); });
}

void Network::hand_over(Envelope envelope, bool late) {
  ++messages_;
  simulator_.note((static_cast<uint64_t>(envelope.from) << 32) ^ (static_cast<uint64_t>(envelope.type) << 8) ^
                  static_cast<uint64_t>(envelope.kind) ^ (envelope.size() << 40));
  describe(envelope, "arrives");
  Endpoint* endpoint = endpoints_[envelope.to];
  count_arrival(envelope);
  const Envelope header = envelope.header();
  const EventId recorded = envelope.recorded;
  const Taken taken = endpoint == nullptr ? Taken::kRefused : endpoint->arrive(std::move(envelope));
  if (taken == Taken::kUnreadable) {
    DOGFS_CHECK(header.corrupt, "what was not damaged on the wire decodes");
    record_end(recorded, Fate::kDamaged);
    break_connection(header.from, header.to);
    drop(header, "does not decode", draws_of(link(header.from, header.to), header));
    return;
  }
  record_end(recorded, fate_of(header, taken == Taken::kRefused, late));
  if (taken == Taken::kRefused && header.kind == MessageKind::kRequest) answer(header, MessageKind::kRefused);
}

void Network::count_arrival(const Envelope& envelope) {
  Link& way = link(envelope.from, envelope.to);
  if (envelope.slow) harms_.count(Harm::kMessageSlow);
  if (envelope.sequence < way.newest_taken) harms_.count(Harm::kMessageReordered);
  way.newest_taken = std::max(way.newest_taken, envelope.sequence);
}

// Of its frame or of its payload: where it has both, as likely in either.
void Network::flip_bit(Envelope& envelope, RandomStream& draws) {
  if (envelope.frame.empty()) return;  // a notice of this world
  const bool in_payload = draws.chance(500'000) && !envelope.payload.empty();
  std::string bytes = in_payload ? std::string(envelope.payload.flatten().view()) : std::move(envelope.frame);
  const uint64_t at = draws.below(bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1U << draws.below(8)));
  envelope.corrupt = true;
  harms_.count(in_payload ? Harm::kPayloadCorrupted : Harm::kFrameCorrupted);
  if (in_payload) {
    envelope.payload = BytesChain(Bytes::copy_of(bytes));
  } else {
    envelope.frame = std::move(bytes);
  }
}

void Network::break_connection(NodeIndex one, NodeIndex other) {
  ++link(one, other).connection;
  link(other, one).connection = link(one, other).connection;
}

// A message that never arrives. Some callers wait in vain, others learn that their connection broke, and where the
// request itself was lost it may be plain that it was.
void Network::drop(const Envelope& envelope, std::string_view why, RandomStream& draws) {
  describe(envelope, why);
  const uint64_t fate = draws.below(3);
  const Duration delay = draws.between(Duration::zero(), kLongestNotice);
  if (fate == 0 || (envelope.kind != MessageKind::kRequest && envelope.kind != MessageKind::kReply)) return;
  const bool unsent = envelope.kind == MessageKind::kRequest && fate == 1;
  const NodeIndex caller = envelope.kind == MessageKind::kRequest ? envelope.from : envelope.to;
  simulator_.at(simulator_.world(), simulator_.now() + delay,
                [this, caller,
                 notice = Envelope{unsent ? MessageKind::kUnsent : MessageKind::kReset,
                                   envelope.type,
                                   caller,
                                   caller,
                                   envelope.request_id,
                                   {},
                                   {}}] {
                  when_it_may(caller, [this, caller, notice] {
                    if (endpoints_[caller] == nullptr) return;
                    static_cast<void>(endpoints_[caller]->arrive(notice));
                  });
                });
}

void Network::answer(const Envelope& request, MessageKind kind) {
  send(Envelope{kind, request.type, request.to, request.from, request.request_id, {}, {}, request.connection});
}

void Network::describe(const Envelope& envelope, std::string_view fate) {
  if (!trace_.printing()) return;
  trace_.print("net", fmt::format("{} {} #{} {} -> {} ({} + {} bytes): {}", message_type_name(envelope.type),
                                  kind_name(envelope.kind), envelope.request_id, addresses_[envelope.from].value,
                                  addresses_[envelope.to].value, envelope.frame.size(), envelope.payload.size(), fate));
}

}  // namespace dogfs::sim
