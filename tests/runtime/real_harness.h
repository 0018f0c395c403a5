// The Harness of the real world: an event loop on the calling thread.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

#include "runtime/clock.h"
#include "tests/conformance/harness.h"

namespace dogfs {

class RealHarness final : public Harness {
 public:
  Executor executor() override { return io_.get_executor(); }
  Clock& clock() override { return clock_; }

  void run(Task<void> task) override {
    bool ended = false;
    boost::asio::co_spawn(io_, std::move(task), [&ended](const std::exception_ptr& thrown) {
      if (thrown) std::rethrow_exception(thrown);
      ended = true;
    });
    io_.restart();
    while (!ended) io_.run_one();
  }

  boost::asio::io_context& io() { return io_; }

 private:
  boost::asio::io_context io_{1};
  SystemClock clock_{io_.get_executor()};
};

}  // namespace dogfs
