#include "core/raft/progress.h"

#include <algorithm>

#include "core/base/check.h"

namespace dogfs::raft {

void Progress::sent(LogIndex last, size_t bytes) {
  if (state_ == State::kProbe) {
    probe_sent_ = true;
    return;
  }
  if (last < next_) return;
  inflight_.add(last, bytes);
  next_ = last.next();
}

bool Progress::accepted(LogIndex index) {
  const bool news = index > match_;
  if (news) match_ = index;
  next_ = std::max(next_, match_.next());
  inflight_.release_up_to(match_);
  // An acceptance at the known match counts too: it answers the probe that found the place where the logs meet.
  if (state_ == State::kProbe && index >= match_) become_replicate();
  return news;
}

bool Progress::rejected(LogIndex rejected, LogIndex resume_after) {
  // What is known to match cannot be rejected: an old answer, or a follower that lost its data. It gets no second
  // append at once, or the two would go on for ever.
  if (rejected <= match_) return false;
  if (state_ == State::kSnapshot) return false;
  if (state_ == State::kReplicate) {
    become_probe();
    return true;
  }
  // Only the last probe's answer counts: it was sent behind the entry before next.
  if (rejected != next_.previous()) return false;
  next_ = std::max(std::min(rejected, resume_after.next()), match_.next());
  probe_sent_ = false;
  return true;
}

void Progress::begin_snapshot(uint64_t number) {
  state_ = State::kSnapshot;
  probe_sent_ = false;
  inflight_.clear();
  snapshot_.emplace();
  snapshot_->number = number;
}

void Progress::end_snapshot() {
  DOGFS_CHECK(state_ == State::kSnapshot);
  snapshot_.reset();
  become_probe();
}

void Progress::become_probe() {
  state_ = State::kProbe;
  probe_sent_ = false;
  inflight_.clear();
  next_ = match_.next();
}

void Progress::become_replicate() {
  state_ = State::kReplicate;
  probe_sent_ = false;
  inflight_.clear();
  next_ = match_.next();
  DOGFS_CHECK(match_ < next_);
}

}  // namespace dogfs::raft
