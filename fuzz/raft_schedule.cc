// Raft's step machine under any schedule: messages in any order, lost, doubled and late, disks that lag, crashes that
// lose what was not synced, members that join, vote and leave, leadership that is handed over, leases. All invariants of
// core/raft/invariants.h hold after every step, no read is stale, and a group that is left in peace agrees.
#include "fuzz/raft_group.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::Input input(data, size);
  dogfs::fuzz::RaftGroup group(input);
  while (!input.empty()) {
    group.step(input);
    group.check();
  }
  group.converge();
  return 0;
}
