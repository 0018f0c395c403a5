// That real programs have a malloc which lets the next buffer have the pages of the one before it. glibc's gives each
// block beyond 128 KiB pages of its own, zeroed by the kernel one by one at their first use, and unmaps them when the
// block is freed: a data path that takes a buffer for each megabyte from a socket pays for that more than for copying
// it.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>

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

TEST(Malloc, LetsTheNextBufferHaveTheSamePages) {
#ifdef DOGFS_OTHER_ALLOCATOR
  GTEST_SKIP() << "the sanitizers bring their own malloc";
#endif
  constexpr int kRounds = 64;
  constexpr long kPagesOfABuffer = 4 * kMiB / 4096;
  for (int i = 0; i < kRounds; ++i) use_a_buffer(4 * kMiB);
  const long before = page_faults();
  for (int i = 0; i < kRounds; ++i) use_a_buffer(4 * kMiB);
  EXPECT_LT(page_faults() - before, kPagesOfABuffer);
}

}  // namespace
}  // namespace dogfs
