// What the simulated world does to its nodes, counted where it really strikes: a fault that is planned, or a rate of
// faults that is set, has done nothing until it hits a message, a disk's operation or a process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dogfs::sim {

enum class Harm : uint8_t {
  // Messages
  kMessageLost,
  kMessageDuplicated,
  kMessageReordered,  // one that was sent later was handed over earlier
  kMessageSlow,       // took longer than the link's usual delays
  kMessageCut,        // by a partition
  kMessageRefused,    // the queue of its link was full
  kFrameCorrupted,    // a bit of its header or message flipped
  kPayloadCorrupted,  // a bit of its payload flipped
  kConnectionReset,   // a caller was told that its connection is lost
  kReplyTooLate,      // a reply whose caller waits no more
  // Processes
  kProcessKilled,
  kPowerLost,
  kProcessEnded,  // by itself, because of a failure
  kServerLost,    // with its disks, for good
  kPaused,        // an event that was due while its node was paused
  kSlowed,        // an event that waited for a slow processor
  // Clocks
  kClockDrift,  // a running clock began to run faster or slower
  kClockJump,
  kWallJump,
  // Disks
  kReadError,
  kWriteError,
  kRowReadError,
  kRowWriteError,
  kMisdirectedRead,
  kMisdirectedWrite,
  kFull,
  kRowsFull,
  kRowsNearlyFull,  // a disk told that little of it is left
  kReadOnly,
  kDelay,
  kRowDelay,
  kFailedSync,
  kRowFailedSync,
  kUnsyncedLost,       // a write to a file, whole, at a power cut
  kUnsyncedReordered,  // a write that outlived an earlier one of the same file
  kTornWrite,          // some of its sectors
  kNameLost,           // an unsynced creation or removal of a file, at a power cut
  kRowsLost,           // an unsynced batch of rows, at a crash
  kBitRot,
  kLatentError,  // a read of a sector that cannot be read any more
  kDiskEmptied,
  kUnanswered,  // an operation of a disk that hangs
};
inline constexpr size_t kHarms = static_cast<size_t>(Harm::kUnanswered) + 1;

// "message lost"
std::string harm_name(Harm harm);

class Harms {
 public:
  void count(Harm harm, uint64_t times = 1) { counts_[static_cast<size_t>(harm)] += times; }
  uint64_t of(Harm harm) const { return counts_[static_cast<size_t>(harm)]; }
  void add(const Harms& other);
  std::vector<uint64_t> counts() const { return {counts_.begin(), counts_.end()}; }

 private:
  std::array<uint64_t, kHarms> counts_{};
};

}  // namespace dogfs::sim
