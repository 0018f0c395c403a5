#include "core/meta/room_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "core/base/limits.h"

namespace dogfs {
namespace {

constexpr Duration kLookInterval = seconds(5);
constexpr uint64_t kMostReserved = 1024 * kMiB;
constexpr uint64_t kReservedShare = 50;  // of a small disk

bool takes_room(wire::Mutation::OperationCase operation) {
  switch (operation) {
    case wire::Mutation::kMakeDirectory:
    case wire::Mutation::kCreateFile:
    case wire::Mutation::kAllocateBlock:
    case wire::Mutation::kCommitTail:
    case wire::Mutation::kSetQuota:
      return true;
    default:
      return false;
  }
}

}  // namespace

uint64_t metadata_reserve(uint64_t total_bytes) {
  return std::min(kMostReserved, total_bytes / kReservedShare);
}

RoomWatch::RoomWatch(Env& env, const KvStore& store)
    : env_(env), store_(store), tasks_(env.executor, env.clock), stop_requested_(env.clock) {}

void RoomWatch::start() {
  tasks_.spawn(watch());
}

void RoomWatch::request_stop() {
  stopping_ = true;
  stop_requested_.notify_all();
}

Status RoomWatch::admit(const wire::Mutation& mutation) const {
  if (!low_ || !takes_room(mutation.operation_case())) return ok();
  DOGFS_COVERAGE_MARK("meta: a change refused, since the disk is nearly full");
  return Error(ErrorCode::kNoSpace,
               fmt::format("the disk of the metadata leader has {} MiB left", space_->free_bytes / kMiB));
}

Task<void> RoomWatch::watch() {
  while (!stopping_) {
    Result<DiskSpace> space = Error(ErrorCode::kInternal);
    co_await env_.compute.run([&] { space = store_.space(); });
    take(space);
    co_await stop_requested_.wait_until(env_.clock.now() + kLookInterval);
  }
}

void RoomWatch::take(const Result<DiskSpace>& space) {
  if (!space) {
    env_.log.warning("meta", "the disk does not tell its space: {}", space.error().to_string());
    return;
  }
  space_ = space.value();
  const uint64_t reserve = metadata_reserve(space_->total_bytes);
  const bool low = space_->free_bytes < (low_ ? kRelievedTimes * reserve : reserve);
  if (low == low_) return;
  low_ = low;
  if (low) {
    env_.log.error("meta", "{} MiB are left on the disk: as a leader, this node refuses what takes more room",
                   space_->free_bytes / kMiB);
  } else {
    env_.log.info("meta", "there is room on the disk again: {} MiB", space_->free_bytes / kMiB);
  }
}

}  // namespace dogfs
