#include "runtime/memory.h"

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

TEST(KeepFreedBuffers, LetsTheNextBufferHaveTheSamePages) {
#ifdef DOGFS_OTHER_ALLOCATOR
  GTEST_SKIP() << "the sanitizers bring their own malloc";
#endif
  keep_freed_buffers();
  constexpr int kRounds = 64;
  constexpr long kPagesOfABuffer = 4 * kMiB / 4096;
  use_a_buffer(4 * kMiB);
  const long before = page_faults();
  for (int i = 0; i < kRounds; ++i) use_a_buffer(4 * kMiB);
  // Without it each round takes all of its pages anew.
  EXPECT_LT(page_faults() - before, kPagesOfABuffer);
}

}  // namespace
}  // namespace dogfs
