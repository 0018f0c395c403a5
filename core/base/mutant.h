// Famous bugs as named switches, to measure the simulator: each must be caught (docs: `dogfs-sim run --mutant=…`).
//
// They exist only in a build tree configured with -DDOGFS_MUTANTS=ON; elsewhere mutant_active() is constant false and
// the switch leaves no trace in the program.
#pragma once

#include <cstdint>
#include <string_view>

namespace dogfs {

// X(name, spelling on the command line, what goes wrong)
#define DOGFS_MUTANT_LIST(X)                                                                                   \
  X(kAckBeforeSync, "ack-before-sync", "votes and appends are acknowledged before they are durable")           \
  X(kCommitOlderTerm, "commit-older-term", "an entry of an older term is committed by counting its copies")    \
  X(kVoteTwice, "vote-twice", "a second candidate of the same term is given a vote")                           \
  X(kSealBeforeSync, "seal-before-sync", "a sealed shard is acknowledged before it is durable")                \
  X(kCommitUnsealed, "commit-unsealed", "a block commit lists shards that were not sealed")                    \
  X(kPublishUnchecked, "publish-unchecked-repair", "a shard rebuilt as another index is published unchecked")  \
  X(kPurgeUnreachable, "purge-unreachable", "good shards of a block are deleted since others are unreachable") \
  X(kFinishStaleRepair, "finish-stale-repair", "a repair is published that was given up and started anew")

enum class Mutant : uint8_t {
  kNone,
#define X(name, spelling, text) name,
  DOGFS_MUTANT_LIST(X)
#undef X
};

constexpr std::string_view mutant_name(Mutant mutant) {
  switch (mutant) {
    case Mutant::kNone:
      return "none";
#define X(name, spelling, text) \
  case Mutant::name:            \
    return spelling;
      DOGFS_MUTANT_LIST(X)
#undef X
  }
  return "unknown";
}

#ifdef DOGFS_MUTANTS

inline constexpr bool kMutantsCompiledIn = true;
namespace internal {
inline Mutant active_mutant = Mutant::kNone;
}
// Process-wide; set before a run begins.
inline void set_active_mutant(Mutant mutant) {
  internal::active_mutant = mutant;
}
inline bool mutant_active(Mutant mutant) {
  return internal::active_mutant == mutant;
}

#else

inline constexpr bool kMutantsCompiledIn = false;
constexpr bool mutant_active(Mutant) {
  return false;
}

#endif

}  // namespace dogfs
