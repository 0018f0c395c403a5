// What the leader does unasked: gives a new cluster its identity, reclaims what was deleted, takes leases and sessions
// from clients that fell silent, ends the keeping of what is due in the trash, writes down which garbage is gone, and
// tells servers that fell silent who leads.
//
// Each duty is a loop that looks, in a bounded read, whether there is something to do, and proposes one bounded command
// at a time. A node that does not lead sleeps. Whatever a duty believes is checked again by apply, so a leader that was
// deposed meanwhile, or is wrong about the time, does no harm. Belongs to the node's executor.
#pragma once

#include "core/env/sync.h"
#include "core/meta/parts.h"

namespace dogfs {

class Duties {
 public:
  explicit Duties(MetaParts& parts);

  void start();
  // Ends the loops soon; call Replica::stop before join, which ends what they wait for.
  void request_stop();
  Task<void> join() { return tasks_.join(); }

  // This node was elected, or is leader of a new term.
  void lead();

 private:
  using Duty = Task<void> (Duties::*)();
  // Runs `duty` now and then, at most `interval` apart, while this node leads.
  Task<void> repeat(Duty duty, Duration interval, Notifier& wake);

  Task<void> initialize();
  Task<void> reclaim();
  Task<void> expire_trash();
  Task<void> expire_leases();
  Task<void> expire_sessions();
  Task<void> confirm_deletions();
  Task<void> tell_members();
  Task<void> tell(ServerId server, Address address);

  MetaParts& parts_;
  TaskGroup tasks_;
  Notifier wake_;
  bool stopping_ = false;
  MonoTime leader_since_{};
  ServerId last_told_;
};

}  // namespace dogfs
