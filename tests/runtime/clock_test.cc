#include "runtime/clock.h"

#include "runtime/random.h"
#include "tests/conformance/clock_conformance.h"
#include "tests/runtime/real_harness.h"

namespace dogfs {
namespace {

struct SystemClockWorld {
  RealHarness real;
  Harness& harness() { return real; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(System, ClockConformance, SystemClockWorld);

TEST(SystemRandom, DrawsDiffer) {
  SystemRandom one;
  SystemRandom other;
  const uint64_t first = one.draw("a");
  EXPECT_NE(first, one.draw("a"));
  EXPECT_NE(first, one.draw("b"));
  EXPECT_NE(first, other.draw("a"));
}

}  // namespace
}  // namespace dogfs
