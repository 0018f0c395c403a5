// What happens in a run, by time, then by a drawn tie, then in the order in which it was scheduled.
//
// A heap of four children to a parent: half as deep as a binary one, and the children lie side by side. Most entries are
// timers that are far off and, once whoever waits was woken otherwise, mean nothing any more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

namespace dogfs::sim {

class EventQueue {
 public:
  struct Entry {
    int64_t time;
    uint64_t tie;
    uint64_t sequence;
    uint32_t slot;

    bool operator<(const Entry& other) const {
      return std::tie(time, tie, sequence) < std::tie(other.time, other.tie, other.sequence);
    }
  };

  bool empty() const { return heap_.empty(); }
  // Precondition for this and pop(): not empty.
  const Entry& front() const { return heap_.front(); }

  void push(const Entry& entry) {
    size_t hole = heap_.size();
    heap_.push_back(entry);
    while (hole > 0) {
      const size_t parent = (hole - 1) / kChildren;
      if (!(entry < heap_[parent])) break;
      heap_[hole] = heap_[parent];
      hole = parent;
    }
    heap_[hole] = entry;
  }

  Entry pop() {
    const Entry first = heap_.front();
    const Entry last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sift_down(last);
    return first;
  }

 private:
  static constexpr size_t kChildren = 4;

  // Puts `entry` in its place, from the top.
  void sift_down(const Entry& entry) {
    size_t hole = 0;
    for (size_t child = 1; child < heap_.size(); child = hole * kChildren + 1) {
      const size_t end = std::min(child + kChildren, heap_.size());
      size_t least = child;
      while (++child < end) {
        if (heap_[child] < heap_[least]) least = child;
      }
      if (!(heap_[least] < entry)) break;
      heap_[hole] = heap_[least];
      hole = least;
    }
    heap_[hole] = entry;
  }

  std::vector<Entry> heap_;
};

}  // namespace dogfs::sim
