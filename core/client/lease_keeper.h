// Renews the write leases of all files that this client has open, with one request for all of them.
//
// The metadata takes a lease away that was not renewed for a while (MetaOptions::lease_limit), so that a client that
// died blocks nobody for ever. A renewal that fails is only tried again at the next turn: whether the lease still
// holds is decided by the next commit, not here. Belongs to the node's executor.
#pragma once

#include <set>

#include "core/client/context.h"

namespace dogfs {

inline constexpr Duration kLeaseRenewalInterval = seconds(15);

class LeaseKeeper {
 public:
  explicit LeaseKeeper(ClientContext& context) : context_(context), changed_(context.env.clock) {}

  void add(InodeId inode);
  void remove(InodeId inode);
  // No more renewals. The background task ends in context.tasks.
  void stop();

 private:
  Task<void> renew_until_idle();
  Task<void> renew();

  ClientContext& context_;
  std::set<InodeId> inodes_;
  bool running_ = false;
  bool stopping_ = false;
  Notifier changed_;
};

}  // namespace dogfs
