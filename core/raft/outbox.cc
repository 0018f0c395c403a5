#include "core/raft/outbox.h"

#include <utility>

#include "core/raft/codec.h"
#include "core/wire/message_type.h"
#include "core/wire/rpc.h"

namespace dogfs::raft {

size_t message_bytes(const Message& message) {
  // The fields beside the commands: at most 11 bytes for each number with its tag.
  constexpr size_t kMessageFieldsBytes = 200;
  constexpr size_t kEntryFieldsBytes = 16;
  // About what one of the most members takes.
  constexpr size_t kConfigurationBytes = 64 * kMaxRaftMembers;
  size_t bytes = kMessageFieldsBytes;
  for (const Entry& entry : message.entries) bytes += entry.bytes() + kEntryFieldsBytes;
  if (message.chunk) bytes += message.chunk->rows.size() + kConfigurationBytes;
  return bytes;
}

std::optional<wire::RaftMessages> FramePacker::add(const Address& peer, const Message& message) {
  Open& frame = open_[peer];
  encode_message(message, *frame.body.add_messages());
  frame.bytes += message_bytes(message);
  if (frame.bytes < kFullFrameBytes) return std::nullopt;
  wire::RaftMessages full = std::move(frame.body);
  open_.erase(peer);
  return full;
}

std::map<Address, wire::RaftMessages> FramePacker::take() {
  std::map<Address, wire::RaftMessages> frames;
  for (auto& [peer, frame] : std::exchange(open_, {})) frames.emplace(peer, std::move(frame.body));
  return frames;
}

void Outbox::add(const Address& peer, const Message& message) {
  if (auto full = frames_.add(peer, message)) return send(peer, *std::move(full));
  if (!std::exchange(flushing_, true)) tasks_.post([this] { flush(); });
}

void Outbox::flush() {
  flushing_ = false;
  for (auto& [peer, frame] : frames_.take()) send(peer, std::move(frame));
}

// The group is in each message: a frame is of them all.
void Outbox::send(const Address& peer, wire::RaftMessages frame) {
  frame.set_from_address(self_.value);
  env_.transport.send(peer, make_request(MessageType::kRaft, GroupId(), frame));
}

}  // namespace dogfs::raft
