// What the groups of one process have to say to others, in frames: all that comes up for one peer at one moment goes
// in one frame, or in as few as the limit allows. The heartbeats of all groups fall due at one moment (Raft::tick),
// so there is one frame of them an interval from one process to another, however many groups they share (CockroachDB
// calls that coalesced heartbeats).
#pragma once

#include <map>
#include <optional>

#include "core/base/limits.h"
#include "core/env/env.h"
#include "core/env/sync.h"
#include "core/raft/types.h"
#include "core/wire/raft.pb.h"

namespace dogfs::raft {

// A frame is full at half the limit, which leaves room for any one message beside what is in it already.
inline constexpr size_t kFullFrameBytes = kMaxFrameBodyBytes / 2;
static_assert(kFullFrameBytes + kMaxAppendBytes + kMaxCommandBytes < kMaxFrameBodyBytes);

// What `message` takes in a frame or in memory, at most.
size_t message_bytes(const Message& message);

// The frames that are being filled. Messages of one peer keep their order.
class FramePacker {
 public:
  // The frame that `message` has filled, if it has.
  std::optional<wire::RaftMessages> add(const Address& peer, const Message& message);

  // All that are not full.
  std::map<Address, wire::RaftMessages> take();

 private:
  struct Open {
    wire::RaftMessages body;
    size_t bytes = 0;
  };

  std::map<Address, Open> open_;
};

// Belongs to the node's executor.
class Outbox {
 public:
  explicit Outbox(Env& env) : env_(env), tasks_(env.executor, env.clock) {}

  // From now on frames say that this node listens at `self`.
  void say_address(const Address& self) { self_ = self; }

  // `message` leaves when what is ready to run on the executor has run.
  void add(const Address& peer, const Message& message);

  // Resumes when all has left.
  Task<void> flushed() { return tasks_.join(); }

 private:
  void flush();
  void send(const Address& peer, wire::RaftMessages frame);

  Env& env_;
  Address self_;  // empty: not to be said
  FramePacker frames_;
  bool flushing_ = false;
  TaskGroup tasks_;
};

}  // namespace dogfs::raft
