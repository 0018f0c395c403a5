// What a Raft group replicates: a deterministic machine that turns committed commands into state and replies. Called on the
// executor of the replica.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/env/kv_store.h"
#include "core/env/task.h"

namespace dogfs {

// A committed entry. Entries that are not commands (a new leader's no-op) come too, with an empty command, so that
// the applied index leaves no gap.
struct CommittedEntry {
  LogIndex index;
  Term term;
  std::string command;
};

// What applying a batch of entries comes to.
struct Applied {
  std::vector<std::string> replies;  // one an entry
  // The write of the effects, which is under way: resumes when they are visible in the store. Fails as apply does.
  Task<Status> visible;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // Applies `entries`, which follow the applied index without a gap, in one atomic write together with the new applied
  // index. The replies are certain, for the log is, before that write has ended: so clients need not wait for it. Called
  // again only after `visible` has resumed. Fails only when the store failed: the node must then end.
  virtual Task<Result<Applied>> apply(std::vector<CommittedEntry> entries) = 0;

  // The index of the last entry whose effect is in the store, as read at start-up and after a snapshot has replaced all
  // rows().
  virtual Task<Result<LogIndex>> load_applied() = 0;

  // Where all rows of the state are, and nothing else is. The applied index is one of them.
  virtual KeyRange rows() const = 0;
};

}  // namespace dogfs
