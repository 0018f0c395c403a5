#include "sim/trace_events.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "sim/trace_messages.h"

namespace dogfs::sim {

TextId Recording::intern(std::string_view text) {
  const auto found = text_ids_.find(text);
  if (found != text_ids_.end()) return found->second;
  const auto id = static_cast<TextId>(texts_.size());
  texts_.emplace_back(text);
  text_ids_.emplace(text, id);
  return id;
}

NodeIndex Recording::find(std::string_view node_name) const {
  const auto found = std::find(nodes_.begin(), nodes_.end(), node_name);
  return found == nodes_.end() ? kWorld : static_cast<NodeIndex>(found - nodes_.begin());
}

template <class Event>
EventId Recording::keep(std::vector<Event>& events, Event event) {
  if (size_ >= most_events_) {
    truncated_ = true;
    return 0;
  }
  ++size_;
  events.push_back(std::move(event));
  return static_cast<EventId>(events.size());
}

void Recording::add_node(NodeIndex node, const std::string& name) {
  nodes_.resize(std::max<size_t>(nodes_.size(), node + 1));
  nodes_[node] = name;
}

EventId Recording::message_sent(VirtualTime now, const Envelope& envelope, bool duplicate) {
  const MessageText text = describe_message(envelope);
  return keep(messages_, {.sent = now,
                          .from = envelope.from,
                          .to = envelope.to,
                          .kind = envelope.kind,
                          .duplicate = duplicate,
                          .request_id = envelope.request_id,
                          .bytes = envelope.size(),
                          .label = intern(text.label),
                          .detail = intern(text.detail)});
}

void Recording::message_ended(EventId message, VirtualTime now, Fate fate) {
  if (message == 0) return;
  messages_[message - 1].end = now;
  messages_[message - 1].fate = fate;
}

void Recording::member_changed(const MemberEvent& member) {
  keep(members_, member);
}

// Operations of a client that dies are never finished.
void Recording::life_changed(VirtualTime now, NodeIndex node, LifeChange change) {
  keep(lives_, {now, node, change});
  if (change == LifeChange::kBoots) return;
  for (auto operation = operations_.rbegin(); operation != operations_.rend(); ++operation) {
    if (operation->node == node && operation->end == kUnended) operation->end = now;
  }
}

EventId Recording::fault_begins(VirtualTime now, std::string_view text, std::string_view who,
                                std::vector<NodeIndex> nodes) {
  return keep(faults_, {.begin = now, .text = intern(text), .who = intern(who), .nodes = std::move(nodes)});
}

void Recording::fault_ends(EventId fault, VirtualTime now) {
  if (fault != 0) faults_[fault - 1].end = now;
}

EventId Recording::operation_begins(VirtualTime now, std::string_view node_name) {
  return keep(operations_, {.begin = now, .node = find(node_name)});
}

void Recording::operation_is(EventId operation, std::string_view text) {
  if (operation != 0) operations_[operation - 1].text = intern(text);
}

void Recording::operation_ends(EventId operation, VirtualTime now, const Status& status) {
  if (operation == 0) return;
  OperationEvent& event = operations_[operation - 1];
  event.end = now;
  event.outcome = status.has_value() ? Outcome::kOk : Outcome::kFailed;
  if (!status.has_value()) event.error = intern(status.error().to_string());
}

void Recording::synced(VirtualTime begin, VirtualTime end, NodeIndex node) {
  keep(syncs_, {begin, end, node});
}

void Recording::logged(VirtualTime now, std::string_view node_name, LogLevel level, std::string_view text) {
  keep(logs_, {now, find(node_name), level, intern(text)});
}

}  // namespace dogfs::sim
