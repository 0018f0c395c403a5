// The rows of a state machine as the parts of a snapshot: read from a view of the state, staged beside the state of
// another member, and put in its place.
//
// The store takes batches in order, and all of a batch or nothing. So the state is replaced in steps of bounded size:
// while RaftInstall stands in the store (core/raft/raft_store.h), the staged rows are the state, and whatever is left of
// the old one is to be erased; after a crash the steps begin anew. Pure functions, for Compute jobs.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/env/kv_store.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

// Rows in the order of their keys.
struct RowsPart {
  std::string rows;      // a serialised wire::RaftSnapshotRows
  std::string last_key;  // the part goes up to here
  bool last = false;     // there are no rows behind it
};

// Those of `state` behind key `after` (empty: from the first on) that fill `bytes`, or a single larger one. Fails as the
// view does.
Result<RowsPart> read_rows(const KvReader& view, const KeyRange& state, std::string_view after, size_t bytes);

// What stages a part behind those before it, and says so (StagedParts); the first one replaces whatever was staged.
// kProtocolError for rows that do not parse, do not ascend, or are not of `state`.
Result<WriteBatch> encode_stage(GroupId group, const KeyRange& state, const SnapshotStage& stage);

// A step of an installation.
struct InstallStep {
  WriteBatch batch;
  std::string last_key;  // of the state: what the next step goes on behind
  bool last = false;     // to be synced; afterwards the state is the snapshot's, and nothing is staged
};

// `after`: the last step's last_key, empty for the first one, which also erases the old state.
Result<InstallStep> install_step(const KvReader& store, GroupId group, const KeyRange& state, std::string_view after,
                                 size_t bytes);

}  // namespace dogfs::raft
