// What a byte does to a RaftGroup: also for who writes seeds (fuzz/raft_seeds.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace dogfs::fuzz {

enum class RaftOperation : uint8_t {
  kDeliver,
  kLose,
  kTick,
  kPersist,
  kApply,
  kFetch,
  kReadState,
  kStage,
  kInstall,
  kPropose,
  kRead,
  kCampaign,
  kTransfer,
  kChange,
  kCrash,
};

// A byte chooses one of these. Deliveries are what most schedules lack most.
inline constexpr RaftOperation kRaftOperations[] = {
    RaftOperation::kDeliver, RaftOperation::kDeliver,  RaftOperation::kDeliver,  RaftOperation::kDeliver,
    RaftOperation::kDeliver, RaftOperation::kLose,     RaftOperation::kTick,     RaftOperation::kTick,
    RaftOperation::kPersist, RaftOperation::kPersist,  RaftOperation::kApply,    RaftOperation::kFetch,
    RaftOperation::kPropose, RaftOperation::kCampaign, RaftOperation::kTransfer, RaftOperation::kRead,
    RaftOperation::kCrash,   RaftOperation::kStage,    RaftOperation::kInstall,  RaftOperation::kReadState,
    RaftOperation::kChange,
};

// The first byte that chooses it.
inline char byte_of(RaftOperation operation) {
  return static_cast<char>(std::ranges::find(kRaftOperations, operation) - std::begin(kRaftOperations));
}

}  // namespace dogfs::fuzz
