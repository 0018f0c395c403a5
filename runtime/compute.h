// The Compute port: a pool of threads.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <functional>

#include "core/env/compute.h"

namespace dogfs {

class ThreadPoolCompute final : public Compute {
 public:
  explicit ThreadPoolCompute(size_t threads) : pool_(threads) {}
  // Waits for the jobs that were given. The event loops of all callers must still exist.
  ~ThreadPoolCompute() override { pool_.join(); }

  Task<void> run(std::function<void()> job) override;

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace dogfs
