// Counts bytes that are under way, by the log index at which they will be done: a follower's appends in flight, a
// leader's uncommitted proposals.
#pragma once

#include <deque>

#include "core/base/ids.h"

namespace dogfs::raft {

class ByteWindow {
 public:
  // Precondition: `last` is beyond every index added before.
  void add(LogIndex last, size_t bytes) {
    parts_.push_back(Part{last, bytes});
    bytes_ += bytes;
  }

  // Everything that ends at or before `index` is done.
  void release_up_to(LogIndex index) {
    while (!parts_.empty() && parts_.front().last <= index) {
      bytes_ -= parts_.front().bytes;
      parts_.pop_front();
    }
  }

  void clear() {
    parts_.clear();
    bytes_ = 0;
  }

  size_t count() const { return parts_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Part {
    LogIndex last;
    size_t bytes;
  };
  std::deque<Part> parts_;
  size_t bytes_ = 0;
};

}  // namespace dogfs::raft
