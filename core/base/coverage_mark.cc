#include "core/base/coverage_mark.h"

#ifdef DOGFS_COVERAGE_MARKS
// The linker defines these around the section, where there is one.
extern "C" {
extern dogfs::CoverageMark __start_dogfs_marks[]
    __attribute__((weak, visibility("hidden")));  // NOLINT(bugprone-reserved-identifier)
extern dogfs::CoverageMark __stop_dogfs_marks[]
    __attribute__((weak, visibility("hidden")));  // NOLINT(bugprone-reserved-identifier)
}
#endif

namespace dogfs {

std::span<CoverageMark> coverage_marks() {
#ifdef DOGFS_COVERAGE_MARKS
  return {__start_dogfs_marks, __stop_dogfs_marks};
#else
  return {};
#endif
}

}  // namespace dogfs
