#include "runtime/memory.h"

#include <malloc.h>

#include "core/base/limits.h"

namespace dogfs {
namespace {

// The largest block that comes from the heap; more than any buffer of the data path.
constexpr int kHeapBlockBytes = static_cast<int>(32 * kMiB);
// Free memory at the end of a heap that is not given back.
constexpr int kKeptFreeBytes = static_cast<int>(32 * kMiB);
static_assert(kHeapBlockBytes > static_cast<int>(2 * kMaxTransferBytes));

}  // namespace

void keep_freed_buffers() {
  // Another malloc than glibc's (a sanitizer's) refuses, and the process is only slower for it.
  // Setting either also stops glibc from adapting them by what is freed.
  ::mallopt(M_MMAP_THRESHOLD, kHeapBlockBytes);
  ::mallopt(M_TRIM_THRESHOLD, kKeptFreeBytes);
  // A heap for each thread would keep its own free buffers, and unmap them as soon as it is empty.
  ::mallopt(M_ARENA_MAX, 1);
}

}  // namespace dogfs
