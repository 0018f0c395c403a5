#include "runtime/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <future>
#include <thread>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/limits.h"

namespace dogfs {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DOGFS_OTHER_ALLOCATOR 1
#endif
#endif

long page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

void use_a_buffer(size_t size) {
  MutableBuffer buffer(size);
  std::memset(buffer.data(), 1, size);
}

TEST(KeepFreedBuffers, LetsTheNextBufferHaveTheSamePages) {
#ifdef DOGFS_OTHER_ALLOCATOR
  GTEST_SKIP() << "the sanitizers bring their own malloc";
#endif
  keep_freed_buffers();
  constexpr int kRounds = 64;
  constexpr long kPagesOfABuffer = 4 * kMiB / 4096;
  // The first ones also take small blocks, which come to lie between them, from a heap that has none free yet.
  for (int i = 0; i < kRounds; ++i) use_a_buffer(4 * kMiB);
  const long before = page_faults();
  for (int i = 0; i < kRounds; ++i) use_a_buffer(4 * kMiB);
  // Without it each round takes all of its pages anew.
  EXPECT_LT(page_faults() - before, kPagesOfABuffer);
}

TEST(KeepFreedBuffers, LetsOneThreadHaveThePagesThatAnotherFreed) {
#ifdef DOGFS_OTHER_ALLOCATOR
  GTEST_SKIP() << "the sanitizers bring their own malloc";
#endif
  keep_freed_buffers();
  constexpr int kThreads = 16;
  constexpr long kPagesOfABuffer = 4 * kMiB / 4096;
  for (int i = 0; i < kThreads; ++i) use_a_buffer(4 * kMiB);
  const long before = page_faults();
  // One after the other, and all alive to the end: glibc gives the heap of a thread that has ended to the next.
  std::vector<std::promise<void>> used(kThreads);
  std::promise<void> all_used;
  const std::shared_future<void> end = all_used.get_future().share();
  std::vector<std::thread> threads;
  for (std::promise<void>& mine : used) {
    threads.emplace_back([&mine, end] {
      use_a_buffer(4 * kMiB);
      mine.set_value();
      end.wait();
    });
    mine.get_future().wait();
  }
  all_used.set_value();
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(page_faults() - before, 2 * kPagesOfABuffer);
}

}  // namespace
}  // namespace dogfs
