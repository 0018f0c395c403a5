// Keyed randomness: every draw of a run is a function of (seed, name of the stream, counter of the stream).
//
// One generator for all would make each draw depend on every draw before it: without one client, or one fault, the
// whole rest of the run would turn out differently, and a failing run could not be made smaller. With a stream for
// each node and purpose, each link and kind of message, each client and operation, what is left stays as it was.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/hash.h"
#include "core/base/time.h"
#include "core/env/random.h"

namespace dogfs::sim {

// The key of a stream, made from the seed by adding one word or name after the other.
class StreamKey {
 public:
  constexpr explicit StreamKey(uint64_t seed) : value_(mix64(seed)) {}
  StreamKey with(std::string_view name) const { return StreamKey(combine64(value_, hash64(name)), Raw{}); }
  constexpr StreamKey with(uint64_t number) const { return StreamKey(combine64(value_, number), Raw{}); }
  constexpr uint64_t value() const { return value_; }

 private:
  struct Raw {};
  constexpr StreamKey(uint64_t value, Raw) : value_(value) {}
  uint64_t value_;
};

// A stream of draws. Copying one repeats its draws.
class RandomStream {
 public:
  constexpr explicit RandomStream(StreamKey key) : key_(key.value()) {}

  constexpr uint64_t next() { return combine64(key_, ++counter_); }
  // A number below `bound`. Precondition: bound > 0.
  uint64_t below(uint64_t bound) { return reduce64(next(), bound); }
  // A number in [low, high]. Precondition: low <= high.
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  // A duration in [low, high]. Precondition: 0 <= low <= high.
  Duration between(Duration low, Duration high);
  // True with a probability of `per_million` / 1,000,000. Always draws, so that a rate of zero shifts nothing.
  bool chance(uint32_t per_million) { return below(1'000'000) < per_million; }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

// The Random port of one node: a stream for each name, which goes on over the node's restarts.
class SimRandom final : public Random {
 public:
  explicit SimRandom(StreamKey node) : node_(node) {}
  uint64_t draw(std::string_view stream) override;

 private:
  StreamKey node_;
  std::map<std::string, RandomStream, std::less<>> streams_;
};

}  // namespace dogfs::sim
