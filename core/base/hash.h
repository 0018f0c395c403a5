// Hashes and pseudo-random numbers whose values are fixed for ever: unlike std::hash and the std distributions they
// are the same on every machine, compiler and release, which is what a reproducible run needs (P6).
#pragma once

#include <cstdint>
#include <string_view>

namespace dogfs {

// The finaliser of SplitMix64 (Steele, Lea, Flood, 2014): a bijection that scatters every bit.
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// An order-dependent combination of two hashes.
constexpr uint64_t combine64(uint64_t a, uint64_t b) {
  return mix64(mix64(a) ^ (b + 0x9E3779B97F4A7C15ULL));
}

// A 64-bit hash of bytes (FNV-1a, then mixed). Not for hostile input.
uint64_t hash64(std::string_view bytes);

// `hash` reduced to 0..bound-1 without a division (Lemire, 2019). Precondition: bound > 0.
uint64_t reduce64(uint64_t hash, uint64_t bound);

}  // namespace dogfs
