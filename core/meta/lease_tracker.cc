#include "core/meta/lease_tracker.h"

namespace dogfs {

void LeaseTracker::clear() {
  leases_.clear();
  sessions_.clear();
}

void LeaseTracker::renew(InodeId inode, LeaseEpoch epoch, MonoTime now) {
  leases_[inode] = Lease{.epoch = epoch, .renewed = now, .round = round_};
}

bool LeaseTracker::was_heard_since(SessionId session, MonoTime since) const {
  const auto heard = sessions_.find(session);
  return heard != sessions_.end() && heard->second >= since;
}

void LeaseTracker::end_scan() {
  std::erase_if(leases_, [&](const auto& lease) { return lease.second.round != round_; });
}

bool LeaseTracker::is_overdue(InodeId inode, LeaseEpoch epoch, MonoTime now, Duration limit) {
  const auto [lease, first_seen] = leases_.try_emplace(inode);
  if (first_seen || lease->second.epoch != epoch) lease->second = Lease{.epoch = epoch, .renewed = now};
  lease->second.round = round_;
  return now - lease->second.renewed > limit;
}

void LeaseTracker::forget_sessions_before(MonoTime since) {
  std::erase_if(sessions_, [&](const auto& session) { return session.second < since; });
}

}  // namespace dogfs
