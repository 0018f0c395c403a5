#include "core/raft/outbox.h"

#include <map>
#include <utility>

#include "core/raft/codec.h"

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

std::vector<PeerFrame> pack_frames(const std::vector<Message>& messages) {
  struct Open {
    wire::RaftMessages body;
    size_t bytes = 0;
  };
  std::map<NodeId, Open> open;
  std::vector<PeerFrame> frames;
  for (const Message& message : messages) {
    Open& frame = open[message.to];
    encode_message(message, *frame.body.add_messages());
    frame.bytes += message_bytes(message);
    if (frame.bytes >= kFullFrameBytes) frames.push_back(PeerFrame{message.to, std::exchange(frame, Open()).body});
  }
  for (auto& [peer, frame] : open) {
    if (frame.bytes > 0) frames.push_back(PeerFrame{peer, std::move(frame.body)});
  }
  return frames;
}

}  // namespace dogfs::raft
