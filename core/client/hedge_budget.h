// How many requests a client may add to overtake late ones.
//
// A hedge helps against a slow server and hurts when all are slow because there is too much to do. So hedges are a
// small share of the requests: each request earns a tenth of one, and a burst is saved up for a server that hangs. (Dean
// and Barroso, "The Tail at Scale", 2013: a few percent more requests suffice.) Belongs to the node's executor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dogfs {

class HedgeBudget {
 public:
  // A request was sent that had to be.
  void earn() { tenths_ = std::min(tenths_ + 1, kMostTenths); }

  // Whether `requests` more may be sent; they are then paid for.
  bool take(size_t requests) {
    const uint64_t price = 10 * static_cast<uint64_t>(requests);
    if (price > tenths_) return false;
    tenths_ -= price;
    return true;
  }

 private:
  // Enough to overtake a server that hangs under a few reads of a wide stripe at once.
  static constexpr uint64_t kMostTenths = 10 * 64;

  uint64_t tenths_ = kMostTenths;
};

}  // namespace dogfs
