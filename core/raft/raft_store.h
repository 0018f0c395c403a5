// Where a group's log and hard state live in a KvStore, and how it is told that they are whole.
//
//   'R' group 'C'        RaftGroupConfig: who this member is, and the configuration that it began with
//   'R' group 'B'        RaftLogBase: what the log begins behind; absent until it was compacted
//   'R' group 'H'        RaftHardState: term, vote, and where the log ends
//   'R' group 'I'        RaftInstall: the snapshot that was staged is to replace the state; absent otherwise
//   'R' group 'L' index  RaftEntry
//   'R' group 'P'        RaftStaged: of which snapshot parts are staged, and how many; absent otherwise
//   'R' group 'S' key    a row of a snapshot that is being received (core/raft/state_rows.h)
//
// Numbers in keys are big endian, so that keys sort as the log does; several groups share a store. Each value ends with
// the CRC-32C of key and value: a record that rotted, or sits under another's key, is told from one that is absent.
// Every batch writes the hard state and with it the end of the log, and batches take effect whole: a log that ends
// elsewhere was damaged, whereas a batch that a crash swallowed leaves no trace.
//
// The functions are pure or only read; they are called from Compute jobs too.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/env/kv_store.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

struct StoreIdentity {
  GroupId group;
  NodeId self;
  // Of a new group; none where the node waits to be added to one that exists. It says nothing about a store that is not
  // new: that knows its configuration.
  Configuration initial;
  // Of a new store: what is to tell it from all others of this node.
  StoreId store = StoreId();
};

struct LoadedLog {
  bool is_new = false;  // nothing was ever stored for this group
  StoreId store;        // none where it is new, or was made before stores had ids
  HardState hard_state;
  ConfigurationHistory configurations;
  TermRuns terms;
  LogSizes sizes;
  std::deque<Entry> tail;  // the last entries, as many as the cache takes
};

// What makes a new store this member's, for load_log() to find. Precondition: the store has nothing of the group.
WriteBatch encode_new_store(const StoreIdentity& identity);

WriteBatch encode_batch(GroupId group, const PersistBatch& batch);

// Reads and validates everything. kCorrupt, with a text that says what, when something acknowledged is damaged or gone;
// kConflict when the store is another member's.
Result<LoadedLog> load_log(const KvReader& store, const StoreIdentity& identity, size_t max_tail_bytes);

// What the staged snapshot includes that is to replace the state; none where there is none to be installed.
Result<std::optional<LogPosition>> load_install(const KvReader& store, GroupId group);
void erase_install(WriteBatch& batch, GroupId group);
// What is staged of a snapshot whose transfer can go on; none where nothing is, or where that is of an earlier term or
// no news any more.
Result<std::optional<StagedParts>> load_staged(const KvReader& store, GroupId group);
void put_staged(WriteBatch& batch, GroupId group, const StagedParts& staged);
void erase_staged(WriteBatch& batch, GroupId group);
// Where the rows of a snapshot are staged: key `k` of the state is at `begin` + k.
KeyRange staged_rows(GroupId group);

// The entries that `fetch` asks for: at least the first. kCorrupt when it is not there.
Result<std::vector<Entry>> read_entries(const KvReader& store, GroupId group, const LogFetch& fetch);

}  // namespace dogfs::raft
