// Tells the leader, now and then, which shards this server has: digests of buckets of block ids first, and the shards of
// those buckets where the leader's map says otherwise. What comes of that is the metadata's to decide; nothing is changed
// here. Belongs to the node's executor.
#pragma once

#include <map>
#include <set>

#include "core/base/shard_digest.h"
#include "core/chunk/chunk_server.h"
#include "core/chunk/identity.h"
#include "core/chunk/shard_remover.h"
#include "core/chunk/shard_table.h"
#include "core/chunk/stop_signal.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

class BlockReporter {
 public:
  // What is passed must outlive this object.
  BlockReporter(Env& env, const ChunkOptions& options, const Identity& identity, const ShardTable& table,
                const ShardRemover& remover, StopSignal& stop)
      : env_(env), options_(options), identity_(identity), table_(table), remover_(remover), stop_(stop) {}

  // The leader's reply to a heartbeat of `incarnation`: who leads, and what it has applied.
  void heard(const Address& leader, uint64_t incarnation, uint64_t applied_index);
  // A disk could not be read: what is not known may be there. It is said so for one interval between reports, and after
  // that counts as absent, so that it is rebuilt: the disk may never be read again, and if it is, what it has is found.
  void set_incomplete() { incomplete_until_ = env_.clock.now() + options_.report_interval; }

  // Works until the stop signal.
  Task<void> run();

 private:
  struct Summary {
    std::map<uint64_t, ShardDigest> digests;
    std::set<uint64_t> damaged;  // buckets that have something damaged
  };

  // Whether nothing differed.
  Task<Result<bool>> report();
  Task<Summary> sum_up();
  Task<Status> report_bucket_of(uint64_t bucket, uint64_t heard_index, Address leader);

  Env& env_;
  const ChunkOptions& options_;
  const Identity& identity_;
  const ShardTable& table_;
  const ShardRemover& remover_;
  StopSignal& stop_;
  MonoTime incomplete_until_;
  Address leader_;
  uint64_t incarnation_ = 0;
  uint64_t heard_index_ = 0;
  uint64_t sequence_ = 0;
};

}  // namespace dogfs
