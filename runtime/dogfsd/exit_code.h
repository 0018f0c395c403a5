// How `dogfsd` ends.
#pragma once

namespace dogfs {

enum class ExitCode : int {
  kStopped = 0,        // in good order, by a signal
  kCannotStart = 1,    // a directory, store or port is not to be had; the message says which and why
  kBadUsage = 2,       // a flag is missing or wrong
  kStorageFailed = 3,  // a disk failed: what the node would say from now on could not be trusted
  kRefused = 4,        // the cluster does not take this node: it was removed for good, or is another cluster's
  kStopCutShort = 5,   // a second signal, or a stop that took too long; as after kill -9
};

}  // namespace dogfs
