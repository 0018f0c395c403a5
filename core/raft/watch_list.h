// Callers that wait until something is true of a step machine. It is judged after each of its turns.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/env/clock.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

class WatchList {
 public:
  // Nothing as long as it cannot be told; else how the wait ends.
  using Judge = std::function<std::optional<Status>(const Raft&)>;

  // One caller's wait, shared by its coroutine and the list.
  struct Watch {
    Judge judge;
    std::unique_ptr<Waiter> waiter;
    std::optional<Status> outcome;

    void end(Status status) {
      outcome = std::move(status);
      waiter->notify();
    }
  };

  std::shared_ptr<Watch> add(Clock& clock, Judge judge) {
    auto watch = std::make_shared<Watch>(Watch{std::move(judge), clock.make_waiter(), std::nullopt});
    watches_.push_back(watch);
    return watch;
  }

  // Ends those waits that can be told.
  void judge(const Raft& raft) {
    if (watches_.empty()) return;
    std::erase_if(watches_, [&raft](const std::shared_ptr<Watch>& watch) {
      // Its caller has gone at its deadline.
      if (watch.use_count() == 1) return true;
      std::optional<Status> outcome = watch->judge(raft);
      if (!outcome) return false;
      watch->end(*std::move(outcome));
      return true;
    });
  }

  void end_all(const Error& error) {
    for (const std::shared_ptr<Watch>& watch : std::exchange(watches_, {})) watch->end(error);
  }

 private:
  std::vector<std::shared_ptr<Watch>> watches_;
};

}  // namespace dogfs::raft
