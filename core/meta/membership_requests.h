// What operators ask of the metadata group itself: who is in it, to change that, and to hand leadership over.
#pragma once

#include "core/meta/parts.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class MembershipRequests {
 public:
  explicit MembershipRequests(MetaParts& parts) : parts_(parts) {}

  // Answered by every node, as far as it knows; how the members fare is known to the leader only.
  Task<Reply> describe(Request request, MonoTime deadline);
  // Answered when the change is complete. One that is complete or under way already counts as done by this request, so
  // a retry is safe.
  Task<Reply> change(Request request, MonoTime deadline);
  // Answered when this node does not lead any more.
  Task<Reply> transfer(Request request, MonoTime deadline);

 private:
  wire::MembershipReply describe_now() const;

  MetaParts& parts_;
};

}  // namespace dogfs
