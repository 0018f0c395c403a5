// What every client program of the benchmarks stands on: the real ports on one event loop.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "core/env/env.h"
#include "net/transport.h"
#include "runtime/clock.h"
#include "runtime/compute.h"
#include "runtime/log.h"
#include "runtime/random.h"

namespace dogfs::bench {

struct Node {
  boost::asio::io_context loop{1};
  Executor executor = loop.get_executor();
  SystemClock clock{executor};
  SystemRandom random;
  StderrLog log{LogLevel::kWarning, ""};
  ThreadPoolCompute compute{2};
  TcpTransport transport{executor, clock, log};
  Env env{executor, clock, random, transport, compute, log};
};

// Both outlive the loop that this runs on.
inline Task<void> store_result(Task<Status> task, std::optional<Status>& result) {
  result.emplace(co_await std::move(task));
}

// Runs a task to its end on the node's event loop.
inline Status run(Node& node, Task<Status> task) {
  std::optional<Status> result;
  boost::asio::co_spawn(node.executor, store_result(std::move(task), result), [&](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
    node.loop.stop();
  });
  node.loop.run();
  return std::move(*result);
}

}  // namespace dogfs::bench
