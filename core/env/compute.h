// Work that would hold up the executor: arithmetic over megabytes, and reads of the KvStore that may wait for a disk.
//
// Simulated twin: sim/compute.h (runs at a later virtual time). Real twin: runtime/compute.h (a thread pool).
#pragma once

#include <functional>

#include "core/env/task.h"

namespace dogfs {

class Compute {
 public:
  virtual ~Compute() = default;

  // Runs `job` somewhere else and resumes on the caller's executor when it is done. The job must not touch what the
  // executor may change meanwhile: it gets its inputs by value, as Bytes or as a KvStore snapshot, and leaves its
  // result in memory that the caller keeps alive (a local of the awaiting coroutine will do). It must not throw.
  virtual Task<void> run(std::function<void()> job) = 0;
};

}  // namespace dogfs
