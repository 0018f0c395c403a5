// Reads that wait for proof that this node still leads (ReadIndex: Ongaro's thesis, 6.4).
//
// A round of heartbeats that a majority answers proves it for every read that came before the round began. Rounds
// follow one another, one at a time: what arrives during a round waits for the next, so a thousand reads cost the
// same messages as one.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/ids.h"

namespace dogfs::raft {

// Reads that may be served from state that includes `index`.
struct CompletedReads {
  LogIndex index;
  std::vector<uint64_t> contexts;
};

class ReadQueue {
 public:
  void add(uint64_t context) { waiting_.push_back(context); }

  bool wants_round() const { return !under_way_ && !waiting_.empty(); }
  // The latest round that was begun; rounds count from 1.
  uint64_t round() const { return round_; }

  // Begins a round for all that wait. `commit` is what is committed now. Precondition: wants_round().
  void begin_round(LogIndex commit) {
    DOGFS_CHECK(wants_round());
    ++round_;
    under_way_ = CompletedReads{commit, std::move(waiting_)};
    waiting_.clear();
  }

  // A majority has answered round `round`: the reads that it proves, if it is the one under way.
  std::optional<CompletedReads> confirm(uint64_t round) {
    if (!under_way_ || round < round_) return std::nullopt;
    return std::exchange(under_way_, std::nullopt);
  }

  // Gives up all reads.
  std::vector<uint64_t> take_all() {
    std::vector<uint64_t> all = under_way_ ? std::move(under_way_->contexts) : std::vector<uint64_t>();
    all.insert(all.end(), waiting_.begin(), waiting_.end());
    under_way_.reset();
    waiting_.clear();
    return all;
  }

 private:
  uint64_t round_ = 0;
  std::vector<uint64_t> waiting_;
  std::optional<CompletedReads> under_way_;
};

}  // namespace dogfs::raft
