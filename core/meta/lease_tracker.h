// When each writer was last heard of: soft state of the leader, on its own monotonic clock.
//
// A lease is overdue only after its full limit within this leader's time, since it was renewed or, for a lease that
// this leader did not see renewed, since it first came across it. So an election never ends a lease early, and a
// leader whose clock jumps cannot end one at all (monotonic). Safety does not rest on this: the epoch fences.
#pragma once

#include <cstdint>
#include <map>

#include "core/base/ids.h"
#include "core/base/time.h"

namespace dogfs {

class LeaseTracker {
 public:
  // Forgets everything: another leader was in between.
  void clear();

  void renew(InodeId inode, LeaseEpoch epoch, MonoTime now);
  // A session that does nothing but renew leases is alive too.
  void session_heard(SessionId session, MonoTime now) { sessions_[session] = now; }
  bool was_heard_since(SessionId session, MonoTime since) const;

  // A scan goes over all open leases between these two; what it does not come across is forgotten.
  void begin_scan() { ++round_; }
  void end_scan();
  // Whether the open lease (inode, epoch) was silent for `limit`.
  bool is_overdue(InodeId inode, LeaseEpoch epoch, MonoTime now, Duration limit);

  // Drops sessions that were last heard of before `since`.
  void forget_sessions_before(MonoTime since);

 private:
  struct Lease {
    LeaseEpoch epoch;
    MonoTime renewed;
    uint64_t round = 0;
  };

  std::map<InodeId, Lease> leases_;
  std::map<SessionId, MonoTime> sessions_;
  uint64_t round_ = 0;
};

}  // namespace dogfs
