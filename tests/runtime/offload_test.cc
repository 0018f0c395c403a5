#include "runtime/offload.h"

#include <gtest/gtest.h>

#include <latch>
#include <vector>

#include "core/base/result.h"
#include "core/env/sync.h"
#include "tests/runtime/real_harness.h"

namespace dogfs {
namespace {

Task<void> wait_for_it(Offloads& offloads, boost::asio::thread_pool& pool, std::latch& latch, Result<int>& result) {
  result = co_await offloads.run<Result<int>>(pool, [&latch]() -> Result<int> {
    latch.wait();
    return 1;
  });
}

Task<void> give_up(Offloads& offloads) {
  offloads.give_up(Error(ErrorCode::kIoError));
  co_return;
}

TEST(Offloads, WhoeverWaitsWhenItIsGivenUpIsAnsweredOnceAndTheWorkGoesOn) {
  RealHarness harness;
  boost::asio::thread_pool pool(1);
  std::latch latch(1);
  Offloads offloads;
  std::vector<Result<int>> results(3, Error(ErrorCode::kInternal));
  TaskGroup group(harness.executor(), harness.clock());
  // The first is at work, the second waits for the thread.
  group.spawn(wait_for_it(offloads, pool, latch, results[0]));
  group.spawn(wait_for_it(offloads, pool, latch, results[1]));
  group.spawn(give_up(offloads));
  harness.run(group.join());
  EXPECT_EQ(code_of(results[0]), ErrorCode::kIoError);
  EXPECT_EQ(code_of(results[1]), ErrorCode::kIoError);
  latch.count_down();
  group.spawn(wait_for_it(offloads, pool, latch, results[2]));
  harness.run(group.join());
  EXPECT_EQ(results[2].value(), 1);
}

}  // namespace
}  // namespace dogfs
