#include "core/raft/group_host.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/raft.pb.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

using google::protobuf::internal::WireFormatLite;

// Whether a frame holds more messages, or entries, than any node sends: found out before they are parsed, since what is two
// bytes in a frame may be hundreds in memory.
bool holds_too_many(std::string_view frame) {
  constexpr size_t kLeastBytes = 2;
  if (frame.size() <= kLeastBytes * std::min(kMaxRaftInboxMessages, kMaxRaftFrameEntries)) return false;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(frame.data()),
                                            static_cast<int>(frame.size()));
  constexpr uint32_t kMessage =
      WireFormatLite::MakeTag(wire::RaftMessages::kMessagesFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  constexpr uint32_t kEntry =
      WireFormatLite::MakeTag(wire::RaftMessage::kEntriesFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  size_t messages = 0;
  size_t entries = 0;
  int message_end = 0;
  while (const uint32_t tag = in.ReadTag()) {
    const bool in_message = in.CurrentPosition() <= message_end;
    uint32_t length = 0;
    if (!in_message && tag == kMessage) {
      if (++messages > kMaxRaftInboxMessages) return true;
      if (!in.ReadVarint32(&length)) return false;  // the parser will say so
      message_end = in.CurrentPosition() + static_cast<int>(std::min(length, uint32_t{kMaxFrameBodyBytes}));
      continue;
    }
    if (in_message && tag == kEntry && ++entries > kMaxRaftFrameEntries) return true;
    if (!WireFormatLite::SkipField(&in, tag)) return false;
  }
  return false;
}

}  // namespace

GroupHost::GroupHost(Env& env, KvStore& store, std::function<void(Error)> on_fatal)
    : env_(env), store_(store), on_fatal_(std::move(on_fatal)), outbox_(env) {}

Replica& GroupHost::add(StateMachine& machine, ReplicaOptions options) {
  const GroupId group = options.group;
  Replica::Hooks hooks;
  hooks.on_due = [this] { tick_all(); };
  // The store is everybody's: when it has failed, each group says so.
  hooks.on_fatal = [this](Error error) {
    if (on_fatal_) std::exchange(on_fatal_, nullptr)(std::move(error));
  };
  auto replica = std::make_unique<Replica>(env_, store_, machine, outbox_, std::move(options), std::move(hooks));
  const auto [at, is_new] = groups_.emplace(group, std::move(replica));
  DOGFS_CHECK(is_new, "a node has one member of a group");
  return *at->second;
}

Replica* GroupHost::find(GroupId group) {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : found->second.get();
}

void GroupHost::receive(const Request& frame) {
  if (holds_too_many(frame.body)) {
    env_.log.warning("raft", "dropped a frame of more messages, or entries, than any node sends");
    return;
  }
  Result<wire::RaftMessages> parsed = parse_message<wire::RaftMessages>(frame.body);
  if (!parsed) {
    env_.log.warning("raft", "dropped a malformed frame from another node");
    return;
  }
  const Address from{parsed.value().from_address()};
  if (from.value.size() > kMaxAddressBytes) {
    env_.log.warning("raft", "dropped a frame whose sender has too long an address");
    return;
  }
  std::set<GroupId> addressed;
  for (wire::RaftMessage& message : *parsed.value().mutable_messages()) {
    const GroupId group(message.group());
    Replica* replica = find(group);
    if (replica == nullptr) continue;
    replica->receive(std::move(message), from);
    addressed.insert(group);
  }
  // At once, so that what they answer shares a frame too.
  for (const GroupId group : addressed) find(group)->take_turn();
}

// Heartbeats of all groups fall due at one moment: all are in the outbox before it sends any.
void GroupHost::tick_all() {
  for (const auto& [group, replica] : groups_) replica->tick();
}

Task<void> GroupHost::stop() {
  for (const auto& [group, replica] : groups_) co_await replica->stop();
  co_await outbox_.flushed();
}

}  // namespace dogfs
