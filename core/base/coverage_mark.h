// Marks on the paths that a test must have taken: the handler of a rare race, the way out of a failure.
//
//   if (message.term < term_) {
//     DOGFS_COVERAGE_MARK("raft: stale append rejected");
//     return reject(message);
//   }
//
// `dogfs-sim swarm --coverage` counts how often each was passed, and names those that no run has passed: a check that
// never ran has checked nothing. In builds without -DDOGFS_COVERAGE_MARKS=ON a mark is nothing at all. The counters of
// all marks stand in one section of the program, so that those that were never passed are known as well. Marks belong
// into functions that are neither templates nor inline. (TigerBeetle, src/testing/marks.zig; rust-analyzer, cov-mark.)
#pragma once

#include <cstdint>
#include <span>

namespace dogfs {

struct alignas(16) CoverageMark {
  const char* text;
  uint64_t hits;
  // Atomic: a job that a real node has given to its Compute passes marks on another thread.
  void pass() { __atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED); }
};
static_assert(sizeof(CoverageMark) == 16, "marks stand in their section without gaps");

#ifdef DOGFS_COVERAGE_MARKS

inline constexpr bool kCoverageMarksCompiledIn = true;

// In a section of their own, and without what a sanitizer would put between them.
#if defined(__clang__)
#define DOGFS_COVERAGE_SECTION __attribute__((section("dogfs_marks"), used, no_sanitize("address")))
#else
#define DOGFS_COVERAGE_SECTION __attribute__((section("dogfs_marks"), used, no_sanitize_address))
#endif

#define DOGFS_COVERAGE_MARK(text)                                                      \
  do {                                                                                 \
    static constinit ::dogfs::CoverageMark dogfs_mark DOGFS_COVERAGE_SECTION{text, 0}; \
    dogfs_mark.pass();                                                                 \
  } while (false)

#else

inline constexpr bool kCoverageMarksCompiledIn = false;
#define DOGFS_COVERAGE_MARK(text) static_cast<void>(0)

#endif

// All marks of the program, in no promised order. Empty where they are not compiled in.
std::span<CoverageMark> coverage_marks();

}  // namespace dogfs
