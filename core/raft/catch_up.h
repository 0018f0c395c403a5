// Whether a learner keeps up with the log well enough to be given a vote (thesis, 4.2.1).
//
// A voter that lacks most of the log cannot help to commit anything: as long as it fetches, the group may stand still.
// So the leader replicates in rounds: a round ends when the learner has all that the log held when the round began.
// Under load the learner never has everything, but if its last round was short, it will soon have what a new entry
// needs. A learner that has everything has caught up in any case.
#pragma once

#include "core/base/ids.h"
#include "core/base/time.h"

namespace dogfs::raft {

class CatchUp {
 public:
  CatchUp(LogIndex last, MonoTime now) : goal_(last), began_(now) {}

  // The learner has acknowledged everything up to `match` of a log that ends at `last`.
  void acknowledged(LogIndex match, LogIndex last, MonoTime now) {
    if (match < goal_) return;
    // What was asked of it when it had everything began when there was more to have, which was not seen.
    if (!idle_) last_round_ = now - began_;
    idle_ = match >= last;
    goal_ = last;
    began_ = now;
  }

  // Whether the last round was no longer than `limit`, nor is the one under way.
  bool is_caught_up(LogIndex match, LogIndex last, MonoTime now, Duration limit) const {
    if (match >= last) return true;
    return last_round_ <= limit && (idle_ || now - began_ <= limit);
  }

 private:
  LogIndex goal_;
  MonoTime began_;
  bool idle_ = false;
  Duration last_round_ = Duration::max();
};

}  // namespace dogfs::raft
