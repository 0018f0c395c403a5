#include "sim/exponential.h"

#include <algorithm>
#include <bit>

#include "core/base/check.h"

namespace dogfs::sim {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr int kFractionBits = 32;
constexpr uint64_t kLogOfTwo = 2'977'044'472;  // ln 2, in units of 2^-32

// The fraction of log2(x / 2^63), digit by digit: squaring doubles the logarithm, and its whole part is the next digit.
uint64_t log2_fraction(uint64_t x) {
  uint64_t digits = 0;
  for (int i = 0; i < kFractionBits; ++i) {
    const Wide square = static_cast<Wide>(x) * x;
    const auto carry = static_cast<uint64_t>(square >> 127);
    digits = digits << 1 | carry;
    x = static_cast<uint64_t>(square >> (63 + carry));
  }
  return digits;
}

}  // namespace

uint64_t minus_log(uint64_t u) {
  DOGFS_CHECK(u > 0);
  const int zeros = std::countl_zero(u);
  const uint64_t log2 = (static_cast<uint64_t>(63 - zeros) << kFractionBits) + log2_fraction(u << zeros);
  const uint64_t doublings = (uint64_t{64} << kFractionBits) - log2;
  return static_cast<uint64_t>(static_cast<Wide>(doublings) * kLogOfTwo >> kFractionBits);
}

milliseconds exponential(RandomStream& draws, milliseconds mean) {
  DOGFS_CHECK(mean.count() > 0);
  const uint64_t factor = minus_log(std::max<uint64_t>(draws.next(), 1));
  return milliseconds(
      static_cast<int64_t>(static_cast<Wide>(factor) * static_cast<uint64_t>(mean.count()) >> kFractionBits));
}

}  // namespace dogfs::sim
