// What a failed read says of the shard, and the word to the metadata that one is or may be damaged.
#pragma once

#include "core/base/error.h"
#include "core/client/context.h"
#include "core/client/shard.h"

namespace dogfs {

// The server does not have the shard that the metadata said it has.
constexpr bool is_stale(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kWrongGeneration || code == ErrorCode::kNotSealed;
}

// The shard is there, and its bytes are not what was committed.
constexpr bool is_damage(ErrorCode code) {
  return code == ErrorCode::kChecksumMismatch || code == ErrorCode::kCorrupt;
}

// The shard's server could not read it. Others may have better luck; it has to be looked at.
constexpr bool is_unreadable(ErrorCode code) {
  return code == ErrorCode::kIoError;
}

// Tells the leader, which believes nothing but has the shard's own server look. Repair follows from what that finds.
// `context` must outlive the call.
Task<Status> report_damage(ClientContext& context, BlockId block, Shard shard);

}  // namespace dogfs
