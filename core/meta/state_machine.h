// The metadata as a replicated state machine: committed commands in, rows and replies out.
//
// A batch of entries is applied over an overlay of the store, in which each command sees those before it, and written
// as one batch together with the applied index: after a crash the store is at the end of some entry, never inside one.
// Nothing here depends on how the log was cut into batches. Belongs to the node's executor; the work itself is done in
// Compute jobs.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/env/compute.h"
#include "core/env/kv_store.h"
#include "core/raft/state_machine.h"

namespace dogfs {

class MetaStateMachine final : public StateMachine {
 public:
  // What is passed must outlive the machine.
  MetaStateMachine(KvStore& store, Compute& compute, GroupId group) : store_(store), compute_(compute), group_(group) {}

  // Each reply is a serialised wire::CommandReply; that to an empty command is empty.
  Task<Result<Applied>> apply(std::vector<CommittedEntry> entries) override;
  Task<Result<LogIndex>> load_applied() override;
  KeyRange rows() const override;

 private:
  KvStore& store_;
  Compute& compute_;
  GroupId group_;
};

struct AppliedBatch {
  std::vector<std::string> replies;
  WriteBatch changes;
};

// What applying `entries` to `base` changes, and replies. Fails only where is_store_error or is_missing_row.
Result<AppliedBatch> apply_entries(const KvReader& base, GroupId group, const std::vector<CommittedEntry>& entries);

}  // namespace dogfs
