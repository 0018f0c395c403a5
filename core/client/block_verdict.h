// When a block that is being written may be committed, and when it is given up: a decision without waiting.
//
// The aim is every stored shard sealed. What is left behind once d + 1 are is sent to other servers after a while, which
// is longer than it takes to find that a server hangs, and to send its shard to another. A block goes without those
// shards that have no server to go to, and after as many replacements as the writer's patience allows, but never below
// d + 1: one spare, so that losing any one server at once after the commit loses nothing.
//
// Too few servers end a block after a while, since they may only be restarting, and a writer that is under way outlives
// that. A file of which nothing was stored yet has nothing to lose: when its servers refuse connections and there are no
// others, it is refused as soon as that is confirmed. And however many servers there are to try: a block that gets no
// further with enough of its shards, one failing after the other, is given up in the end.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/error.h"
#include "core/base/time.h"

namespace dogfs {

struct BlockProgress {
  uint32_t stored = 0;    // d + m
  uint32_t required = 0;  // d + 1
  uint32_t sealed = 0;
  uint32_t stalled = 0;       // not sealed, and nowhere to go for now
  Duration since_required{};  // how long `required` shards have been sealed
  Duration since_stuck{};     // how long so many have been stalled that the others do not suffice
  Duration since_behind{};    // how long so few have been got ahead with, or sealed, that they do not suffice
  bool refused = false;       // nothing of the file was stored, and all that are stalled were refused or have no server
};

struct BlockPatience {
  Duration straggler_timeout{};
  Duration stuck_timeout{};
  Duration refused_timeout{};  // instead of stuck_timeout
  Duration write_patience{};
};

enum class BlockVerdict : uint8_t {
  kWait,
  kCommit,
  kBeginAnew,  // on other servers, if there are enough; else the block is given up
  kGiveUp
};

constexpr bool is_stuck(const BlockProgress& progress) {
  return progress.stored - progress.stalled < progress.required;
}

// Whether an error of the metadata, asked for a server, concerns the one shard or block alone, and not the file.
constexpr bool leaves_other_shards(ErrorCode code) {
  return code == ErrorCode::kInsufficientServers || code == ErrorCode::kLimitExceeded || code == ErrorCode::kConflict;
}

// Whether a shard that is on its way to a server for so long is to be sent to another one.
constexpr bool is_straggler(Duration since_sent, const BlockProgress& progress, const BlockPatience& patience) {
  return progress.sealed >= progress.required &&
         std::min(since_sent, progress.since_required) >= patience.straggler_timeout;
}

// Whether there may be servers for a block a moment later: what is restarting may return, and what is full may get room.
constexpr bool may_pass(ErrorCode code) {
  return code == ErrorCode::kInsufficientServers || code == ErrorCode::kNoSpace;
}

constexpr BlockVerdict judge(const BlockProgress& progress, const BlockPatience& patience) {
  if (progress.sealed == progress.stored) return BlockVerdict::kCommit;
  if (progress.sealed >= progress.required) {
    const bool nobody_left = progress.sealed + progress.stalled == progress.stored;
    if (nobody_left || progress.since_required >= patience.write_patience) return BlockVerdict::kCommit;
  }
  if (progress.sealed < progress.required && progress.since_behind >= patience.write_patience) {
    return BlockVerdict::kGiveUp;
  }
  const Duration timeout = progress.refused ? patience.refused_timeout : patience.stuck_timeout;
  if (is_stuck(progress) && progress.since_stuck >= timeout) return BlockVerdict::kBeginAnew;
  return BlockVerdict::kWait;
}

}  // namespace dogfs
