#include "sim/harms.h"

namespace dogfs::sim {

std::string harm_name(Harm harm) {
  switch (harm) {
    case Harm::kMessageLost:
      return "message lost";
    case Harm::kMessageDuplicated:
      return "message duplicated";
    case Harm::kMessageReordered:
      return "message overtaken by a later one";
    case Harm::kMessageSlow:
      return "message slower than usual";
    case Harm::kMessageCut:
      return "message cut off by a partition";
    case Harm::kMessageRefused:
      return "message refused by a full queue";
    case Harm::kFrameCorrupted:
      return "bit of a frame flipped on the wire";
    case Harm::kPayloadCorrupted:
      return "bit of a payload flipped on the wire";
    case Harm::kConnectionReset:
      return "connection of a caller reset";
    case Harm::kReplyTooLate:
      return "reply that came too late";
    case Harm::kProcessKilled:
      return "process killed";
    case Harm::kPowerLost:
      return "power lost";
    case Harm::kProcessEnded:
      return "process ended by itself";
    case Harm::kServerLost:
      return "node lost for good";
    case Harm::kPaused:
      return "event held back by a pause";
    case Harm::kSlowed:
      return "event held back by a slow processor";
    case Harm::kClockDrift:
      return "clock drifting";
    case Harm::kClockJump:
      return "monotonic clock jumped";
    case Harm::kWallJump:
      return "wall clock jumped";
    case Harm::kReadError:
      return "read error";
    case Harm::kWriteError:
      return "write error";
    case Harm::kRowReadError:
      return "read error of rows";
    case Harm::kRowWriteError:
      return "write error of rows";
    case Harm::kMisdirectedRead:
      return "misdirected read";
    case Harm::kMisdirectedWrite:
      return "misdirected write";
    case Harm::kFull:
      return "write to a full disk";
    case Harm::kRowsFull:
      return "write of rows to a full disk";
    case Harm::kRowsNearlyFull:
      return "a disk of rows that is nearly full";
    case Harm::kReadOnly:
      return "write to a read-only disk";
    case Harm::kDelay:
      return "slow operation on a shard file";
    case Harm::kRowDelay:
      return "slow sync of rows";
    case Harm::kFailedSync:
      return "failed sync of a shard file";
    case Harm::kRowFailedSync:
      return "failed sync of rows";
    case Harm::kUnsyncedLost:
      return "unsynced write lost";
    case Harm::kUnsyncedReordered:
      return "unsynced write kept that came after a lost one";
    case Harm::kTornWrite:
      return "torn write";
    case Harm::kNameLost:
      return "unsynced creation or removal of a file lost";
    case Harm::kRowsLost:
      return "unsynced batch of rows lost";
    case Harm::kBitRot:
      return "bit of a stored shard flipped";
    case Harm::kLatentError:
      return "read of a lost sector";
    case Harm::kDiskEmptied:
      return "disk emptied";
    case Harm::kUnanswered:
      return "operation that a disk does not answer";
  }
  return "";
}

void Harms::add(const Harms& other) {
  for (size_t i = 0; i < kHarms; ++i) counts_[i] += other.counts_[i];
}

}  // namespace dogfs::sim
