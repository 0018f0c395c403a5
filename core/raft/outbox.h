// Packs messages into frames: everything for one peer goes in one frame, or in as few as the limit allows.
#pragma once

#include <vector>

#include "core/base/limits.h"
#include "core/raft/types.h"
#include "core/wire/raft.pb.h"

namespace dogfs::raft {

// A frame is full at half the limit, which leaves room for any one message beside what is in it already.
inline constexpr size_t kFullFrameBytes = kMaxFrameBodyBytes / 2;
static_assert(kFullFrameBytes + kMaxAppendBytes + kMaxCommandBytes < kMaxFrameBodyBytes);

struct PeerFrame {
  NodeId peer;
  wire::RaftMessages body;
};

// What `message` takes in a frame or in memory, at most.
size_t message_bytes(const Message& message);

// The frames in the order in which they are to be sent: messages of one peer keep their order.
std::vector<PeerFrame> pack_frames(const std::vector<Message>& messages);

}  // namespace dogfs::raft
