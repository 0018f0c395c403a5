#include "runtime/memory.h"

#include <malloc.h>

#include "core/base/check.h"
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
  // Setting either also stops glibc from adapting them by what is freed.
  DOGFS_CHECK(::mallopt(M_MMAP_THRESHOLD, kHeapBlockBytes) == 1);
  DOGFS_CHECK(::mallopt(M_TRIM_THRESHOLD, kKeptFreeBytes) == 1);
  // A heap for each thread would keep its own free buffers, and unmap them as soon as it is empty.
  DOGFS_CHECK(::mallopt(M_ARENA_MAX, 1) == 1);
}

}  // namespace dogfs
