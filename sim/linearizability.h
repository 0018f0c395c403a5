// Linearizability of the metadata: whether what clients saw can be explained by one order of all operations that agrees
// with real time (Herlihy and Wing, 1990).
//
// To find such an order in general is to search (Wing and Gong's algorithm, and Knossos after it, need exponential
// time). Here there is no need to: the Raft log *is* the order that the system claims. So it is taken as the witness
// and held to three things, in time that is linear but for a sort:
//   - real time: of two operations, one of which was answered before the other was begun, that one comes first
//   - results: each answer is that of an independent model of the metadata (sim/metadata_model.h), which runs the log
//   - reads, which leave no trace in the log: there is a place for each, behind all that was answered before it began,
//     and before all that began after it was answered, where the model gives that answer. Places are handed out in the
//     order of the log, the earliest that fits, which leaves every later read as many places as there can be.
// An operation of unknown outcome may be anywhere in the log behind its beginning, or nowhere; but in effect only once,
// as for every change: the model runs a session's request once, and whoever ran it twice answers or looks otherwise.
//
// Whether the log is the same on all nodes is for other oracles (core/raft/invariants.h, StateOracle).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/state_machine.h"
#include "sim/history.h"
#include "sim/metadata_model.h"

namespace dogfs::sim {

struct LinearizabilityResult {
  std::optional<std::string> violation;  // the first, in words
  uint64_t changes = 0;                  // operations that were found in the log
  uint64_t reads = 0;
  uint64_t unknown = 0;   // changes that were never answered
  uint64_t repeated = 0;  // log entries that repeat a request
};

// `log`: everything that was applied, from index 1 and without a gap.
LinearizabilityResult check_linearizability(const std::vector<HistoryOperation>& history,
                                            const std::vector<CommittedEntry>& log);

// The model after `log`, which is of that history.
MetadataModel replay(const std::vector<HistoryOperation>& history, const std::vector<CommittedEntry>& log);

}  // namespace dogfs::sim
