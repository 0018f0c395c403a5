// The Compute port: a job runs whole, at a later virtual time, while the node goes on.
#pragma once

#include "core/env/compute.h"
#include "sim/executor.h"

namespace dogfs::sim {

class SimCompute final : public Compute {
 public:
  SimCompute(SimExecutor executor, StreamKey key) : executor_(executor), delays_(key) {}
  Task<void> run(std::function<void()> job) override;

 private:
  SimExecutor executor_;
  RandomStream delays_;
};

}  // namespace dogfs::sim
