// Watches how much room is left on the disk of a metadata node's store.
//
// A store whose disk is full fails, and its node ends with it. So a leader whose disk has little room left refuses what
// takes more, with kNoSpace, and goes on with reads and with all that gives room back or ends what has begun; it takes
// everything again when there is twice as much. Belongs to the node's executor.
#pragma once

#include <optional>

#include "core/base/result.h"
#include "core/env/disk_space.h"
#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/env/sync.h"
#include "core/wire/command.pb.h"

namespace dogfs {

// What is kept free on a disk of `total_bytes`: enough for the log, for compactions of the store, and for the deletions
// that make room.
uint64_t metadata_reserve(uint64_t total_bytes);

class RoomWatch {
 public:
  // What is passed must outlive this object.
  RoomWatch(Env& env, const KvStore& store);

  void start();
  // Ends the loop soon.
  void request_stop();
  Task<void> join() { return tasks_.join(); }

  // As it was at the last look, seconds ago; nullopt: not known.
  const std::optional<DiskSpace>& space() const { return space_; }
  bool is_low() const { return low_; }

  // kNoSpace for a change that takes room while there is too little.
  Status admit(const wire::Mutation& mutation) const;

 private:
  Task<void> watch();
  void take(const Result<DiskSpace>& space);

  Env& env_;
  const KvStore& store_;
  TaskGroup tasks_;
  Notifier stop_requested_;
  bool stopping_ = false;
  std::optional<DiskSpace> space_;
  bool low_ = false;
};

}  // namespace dogfs
