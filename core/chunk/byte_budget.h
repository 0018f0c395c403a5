// How many bytes of memory one purpose may hold at once, and which part of it each disk may: what waits for a disk that
// does not answer must leave room for what goes to the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "core/base/check.h"

namespace dogfs {

class ByteBudget {
 public:
  explicit ByteBudget(uint64_t limit) : limit_(limit) {}
  // A part of `whole`, which must outlive it: what it takes is taken of both.
  ByteBudget(uint64_t limit, ByteBudget& whole) : limit_(limit), whole_(&whole) {}

  // False if that would be more than the limit.
  bool try_take(uint64_t bytes) {
    if (used_ > limit_ || bytes > limit_ - used_) return false;
    if (whole_ != nullptr && !whole_->try_take(bytes)) return false;
    used_ += bytes;
    return true;
  }
  // False if less than half of it would be left: for what will hold them until others have had theirs.
  bool try_take_of_first_half(uint64_t bytes) {
    return used_ <= limit_ / 2 && bytes <= limit_ / 2 - used_ && try_take(bytes);
  }
  // Takes them even beyond the limit: for memory that is in use already.
  void take(uint64_t bytes) {
    used_ += bytes;
    if (whole_ != nullptr) whole_->take(bytes);
  }
  void give_back(uint64_t bytes) {
    DOGFS_CHECK(bytes <= used_);
    used_ -= bytes;
    if (whole_ != nullptr) whole_->give_back(bytes);
  }

 private:
  uint64_t limit_;
  uint64_t used_ = 0;
  ByteBudget* whole_ = nullptr;
};

// A budget of which each of several disks may take no more than half.
class DiskBudgets {
 public:
  DiskBudgets(uint64_t limit, size_t disks) : whole_(limit) {
    for (size_t i = 0; i < disks; ++i) parts_.emplace_back(disks == 1 ? limit : limit / 2, whole_);
  }
  DiskBudgets(const DiskBudgets&) = delete;
  DiskBudgets& operator=(const DiskBudgets&) = delete;

  ByteBudget& of(size_t disk) { return parts_[disk]; }

 private:
  ByteBudget whole_;
  std::deque<ByteBudget> parts_;
};

}  // namespace dogfs
