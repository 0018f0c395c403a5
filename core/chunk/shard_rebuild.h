// The rebuilding of one shard from others of its block: any d of them, stretch by stretch, in bounded memory.
//
// A stretch of the wanted shard follows from the same stretch of d others. They are read at once; one that fails, or
// whose bytes are not what they should be, is left out from then on and another takes its place, in this stretch
// already. Every read has memory of its own that nobody writes to again, so that an answer which comes after its
// replacement can spoil nothing (HDFS-15240). Only the wanted shard is computed, by its index: no list of indices
// stands beside a list of buffers (HDFS-16333, HADOOP-19180).
#pragma once

#include <map>
#include <set>

#include "core/chunk/background_pace.h"
#include "core/chunk/rebuild_order.h"
#include "core/ec/codec.h"
#include "core/env/env.h"

namespace dogfs {

class ShardRebuild {
 public:
  // What is passed must outlive this object.
  ShardRebuild(Env& env, BackgroundPace& pace, RebuildOrder order);

  // How many bytes a stretch has: memory is bounded by d + 1 of them.
  uint64_t stretch_bytes() const { return stretch_bytes_; }

  // Bytes [offset, offset + length) of the wanted shard: offset is a multiple of stretch_bytes(), the length that or
  // what is left. kDataLoss when too few sources are left that are not damaged, kUnavailable when they may be whole but
  // did not answer.
  Task<Result<Bytes>> stretch(uint64_t offset, uint64_t length);

  // The sources whose bytes were not what was committed, or could not be read.
  std::vector<wire::Shard> suspects() const;

 private:
  struct Source {
    wire::Shard shard;
    std::optional<Error> failure;
  };
  using Stretches = std::map<uint32_t, Bytes>;  // by index

  // Reads what `chosen` have of the stretch into `read`, all at once; failures are noted with the sources.
  Task<void> read(std::vector<size_t> chosen, ShardRange range, Stretches& read);
  Task<void> read_one(size_t source, ShardRange range, Stretches& read);
  Task<Result<Bytes>> copy(ShardRange range);
  Task<Result<Bytes>> decode(ShardRange range, const Stretches& read);
  std::vector<size_t> next_sources(const Stretches& read) const;
  Error too_few() const;

  Env& env_;
  BackgroundPace& pace_;
  RebuildOrder order_;
  Codec codec_;
  uint64_t stretch_bytes_;
  std::vector<Source> sources_;
};

}  // namespace dogfs
