// What users and operators ask of the trash: what is in it, and how long it keeps things. To restore and to purge are
// changes like any other (client_requests.h).
#pragma once

#include "core/meta/parts.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class TrashRequests {
 public:
  explicit TrashRequests(MetaParts& parts) : parts_(parts) {}

  // As query_trash (queries.h).
  Task<Reply> list(Request request, MonoTime deadline);
  // Answered when it is committed. Refused as set_trash_period (trash.h).
  Task<Reply> administer(Request request, MonoTime deadline);

 private:
  MetaParts& parts_;
};

}  // namespace dogfs
