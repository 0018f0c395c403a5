#include "core/client/lease_keeper.h"

namespace dogfs {

void LeaseKeeper::add(InodeId inode) {
  inodes_.insert(inode);
  if (running_ || stopping_) return;
  running_ = true;
  context_.tasks.spawn(renew_until_idle());
}

void LeaseKeeper::remove(InodeId inode) {
  inodes_.erase(inode);
  changed_.notify_all();
}

void LeaseKeeper::stop() {
  stopping_ = true;
  changed_.notify_all();
}

Task<void> LeaseKeeper::renew_until_idle() {
  MonoTime due = context_.env.clock.now() + kLeaseRenewalInterval;
  while (!stopping_ && !inodes_.empty()) {
    if (context_.env.clock.now() < due) {
      co_await changed_.wait_until(due);
      continue;
    }
    co_await renew();
    due = context_.env.clock.now() + kLeaseRenewalInterval;
  }
  running_ = false;
}

Task<void> LeaseKeeper::renew() {
  wire::RenewLeasesRequest request;
  request.set_session(context_.session.id().value());
  for (const InodeId inode : inodes_) request.add_inodes(inode.value());
  const Result<wire::RenewLeasesReply> reply =
      co_await context_.channel.ask<wire::RenewLeasesReply>(MessageType::kRenewLeases, request);
  if (!reply) {
    context_.env.log.warning("client", "leases were not renewed: {}", reply.error().to_string());
    co_return;
  }
  for (const uint64_t inode : reply.value().lost()) {
    context_.env.log.warning("client", "the write lease of inode {} is lost", inode);
  }
}

}  // namespace dogfs
