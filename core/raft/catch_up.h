// Whether a learner keeps up with the log well enough to be given a vote (thesis, 4.2.1).
//
// A voter that lacks most of the log cannot help to commit anything: as long as it fetches, the group may stand still.
// So the leader replicates in rounds: a round ends when the learner has all that the log held when the round began.
// Under load the learner never has everything, but if its last round was short, it will soon have what a new entry
// needs. A learner that has everything has caught up, however long ago that was asked: its next round begins when the log
// grows again.
//
// That it lives is not said here: who has died has no more of the log to acknowledge, as has who has everything.
#pragma once

#include "core/base/ids.h"
#include "core/base/time.h"

namespace dogfs::raft {

class CatchUp {
 public:
  CatchUp(LogIndex last, MonoTime now) : goal_(last), began_(now) {}

  // The log has grown up to `last`.
  void appended(LogIndex last, MonoTime now) {
    if (!idle_ || last <= goal_) return;
    idle_ = false;
    goal_ = last;
    began_ = now;
  }

  // The learner has acknowledged everything up to `match` of a log that ends at `last`.
  void acknowledged(LogIndex match, LogIndex last, MonoTime now) {
    if (match < goal_ || idle_) return;
    last_round_ = now - began_;
    idle_ = match >= last;
    goal_ = last;
    began_ = now;
  }

  // Whether the last round was no longer than `limit`, nor is the one under way.
  bool is_caught_up(LogIndex match, LogIndex last, MonoTime now, Duration limit) const {
    if (match >= last) return true;
    return last_round_ <= limit && now - began_ <= limit;
  }

 private:
  LogIndex goal_;
  MonoTime began_;
  bool idle_ = false;  // it has everything: no round is under way
  Duration last_round_ = Duration::max();
};

}  // namespace dogfs::raft
