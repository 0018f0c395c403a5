#include "runtime/compute.h"

#include <thread>

#include "core/env/sync.h"
#include "tests/runtime/real_harness.h"

namespace dogfs {
namespace {

Task<void> square_elsewhere(ThreadPoolCompute& compute, int number, int& result) {
  const std::thread::id here = std::this_thread::get_id();
  std::thread::id there;
  co_await compute.run([&result, &there, number] {
    there = std::this_thread::get_id();
    result = number * number;
  });
  EXPECT_NE(there, here);
  EXPECT_EQ(std::this_thread::get_id(), here) << "resumed on a thread of the pool";
}

TEST(ThreadPoolCompute, JobsRunElsewhereAndResumeHere) {
  RealHarness harness;
  ThreadPoolCompute compute(2);
  std::vector<int> results(50);
  TaskGroup group(harness.executor(), harness.clock());
  for (int i = 0; i < 50; ++i) group.spawn(square_elsewhere(compute, i, results[i]));
  harness.run(group.join());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(results[i], i * i);
}

}  // namespace
}  // namespace dogfs
