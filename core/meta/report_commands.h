// What chunk servers say of their shards, as it enters the map: damage, shards that the map lacks, and shards that it has
// no use for.
//
// By the map, a shard that a server has is one of these (design.md, section 6):
//   listed       the map has it there
//   reserved     it is, or may become, part of an allocated block or of a repair
//   adoptable    the map misses this index, and the bytes are those of the commit; also where it was to be deleted, since
//                another shard of this index had taken its place; and where it is listed, but was called damaged or gone
//   superseded   another shard of this index took its place
//   abandoned    its block is gone, or it was never more than an attempt
//   impossible   nobody can have written it: an alarm, and never a reason to delete
// Only superseded and abandoned ones are ever deleted.
#pragma once

#include "core/base/result.h"
#include "core/meta/apply_context.h"

namespace dogfs {

inline constexpr int kMaxReportedPerCommand = 1'000;
// How long an unknown shard is kept.
inline constexpr int64_t kUnknownGraceMs = 60'000;

enum class ReportedShard : uint8_t {
  kListed,
  kReserved,
  kAdoptable,
  kSuperseded,
  kAbandoned,
  kImpossible,
  kGarbage,  // its deletion is decided already
};

Result<ReportedShard> classify(const MetaTables& tables, const wire::CountersRow& counters,
                               const wire::ServerShard& shard);

// All three: kInvalidArgument for too many shards. Shards that do not fit (any more) are left out.
Status mark_damaged(ApplyContext& context, const wire::MarkDamaged& operation);
Status adopt_shards(ApplyContext& context, const wire::AdoptShards& operation);
Status discard_reported(ApplyContext& context, const wire::DiscardShards& operation);

}  // namespace dogfs
