// What must hold of the rows after every command, checked from scratch: for tests, and for the simulator's oracles.
//
//   I1  The root exists and is a directory. Every other inode has exactly one directory entry, which agrees with it,
//       or is detached or in the trash and has none.
//   I2  A directory counts its entries, and is higher than each of them. From every attached inode the root is reached, in
//       kMaxPathDepth steps at most: there are no cycles, and everything has a path.
//   I3  The blocks of a file follow each other without a gap from 0 on, and its inline tail from there to its length.
//       (Of a detached file the first blocks may be gone.) It shows all of a block, or a beginning where it was
//       truncated. Each block row belongs to one file: committed and listed there, or allocated and pending there.
//   I4  A committed block has exactly the shards of its geometry, each with its length; the durable ones are on
//       different servers, that are registered, and at least d + 1.
//   I5  The targets of an allocated block are on different servers.
//   I6  A file is open exactly when it has a lease row, which agrees with it; only an open file has pending blocks.
//   I7  A generation is named once: by one shard of one block, or as garbage.
//   I8  Counters count what there is, and no id has been used that they have not given out.
//   I9  Kept replies belong to a session, within its window.
//   I10 What is derived from committed blocks agrees with them: the blocks of each server, those that need work by
//       risk, those with reservations, and the counts of these.
//   I11 Reservations are of different indices that the block has, on servers that hold no shard of it, but for a
//       damaged one that is rebuilt in place.
//   I12 A server is what its operator wants, or dead. One that was removed has no shard and gets none, and once that was
//       swept there is no garbage on it either.
//   I13 What is in the trash has one row there, which agrees with it, and is not detached.
//   I14 A file's stored bytes are those of its blocks. A quota is its directory's, and is charged with exactly what is
//       there of that, or was and is not reclaimed.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/env/kv_store.h"

namespace dogfs {

// One line for each violation; empty when all is well. Reads every row of the group into memory. Fails with kIoError
// or kCorrupt where the rows cannot be read.
Result<std::vector<std::string>> check_meta_invariants(const KvReader& reader, GroupId group);

}  // namespace dogfs
