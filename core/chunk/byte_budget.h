// How many bytes of memory one purpose may hold at once.
#pragma once

#include <cstdint>

#include "core/base/check.h"

namespace dogfs {

class ByteBudget {
 public:
  explicit ByteBudget(uint64_t limit) : limit_(limit) {}

  // False if that would be more than the limit.
  bool try_take(uint64_t bytes) {
    if (used_ > limit_ || bytes > limit_ - used_) return false;
    used_ += bytes;
    return true;
  }
  // Takes them even beyond the limit: for memory that is in use already.
  void take(uint64_t bytes) { used_ += bytes; }
  void give_back(uint64_t bytes) {
    DOGFS_CHECK(bytes <= used_);
    used_ -= bytes;
  }
  uint64_t used() const { return used_; }

 private:
  uint64_t limit_;
  uint64_t used_ = 0;
};

}  // namespace dogfs
