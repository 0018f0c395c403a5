// Which shards to read for a stretch of a block: a decision without waiting.
//
// The cheap way is to read the data shards that hold the stretch, each as far as it is needed. If one of those is
// missing, damaged, late or on a server that failed lately, the stretch is decoded: d shards are read over the whole
// width of the stretch, the most promising first. Where so many servers are suspects that a stretch cannot be decoded
// without one, suspicion says nothing, and the cheap way is taken.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/ids.h"

namespace dogfs {

// What a reader knows of one stored shard.
struct ShardOutlook {
  ShardIndex index;
  bool needed = false;   // holds bytes of the stretch itself
  bool suspect = false;  // on a server that failed lately
  bool failed = false;   // missing, damaged, or not to be had now
  bool late = false;     // asked, and slower than it should be
  // Reads under way or done: of the needed bytes alone, and of the whole width.
  bool narrow_asked = false;
  bool narrow_got = false;
  bool wide_asked = false;
  bool wide_got = false;
};

struct StripeChoice {
  std::vector<ShardIndex> read_narrow;
  std::vector<ShardIndex> read_wide;
};

// True when the stretch can be put together from what has arrived. `required` is d.
bool is_satisfied(const std::vector<ShardOutlook>& shards, uint32_t required);

// What to ask for now, beyond what is under way; nothing when that suffices, or when nothing is left to ask.
StripeChoice choose_reads(const std::vector<ShardOutlook>& shards, uint32_t required);

}  // namespace dogfs
