// What callers wait for at a replica: proposals and reads, each from its call to its reply, and changes of the group.
//
// A call waits in a queue for the replica's next turn, so that all which come at one moment are handed to the step
// machine together: hundreds of proposals become one append. What it has taken waits on: a proposal until its entry is
// applied, a read until leadership is confirmed and then until what was committed by then is applied here. Whoever waits
// may go at its deadline; the outcome that comes later is dropped. Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/env/clock.h"
#include "core/env/sync.h"
#include "core/env/task.h"
#include "core/raft/raft.h"
#include "core/raft/types.h"
#include "core/raft/watch_list.h"

namespace dogfs::raft {

class PendingCalls {
 public:
  // Commands of `max_queued_bytes` may wait to be submitted.
  PendingCalls(Clock& clock, size_t max_queued_bytes)
      : clock_(clock), max_queued_bytes_(max_queued_bytes), all_ended_(clock) {}

  // --- Callers: each is queued, or watched, by the time that this suspends ---

  // Whether the queue takes a command of so many bytes beside those that wait already.
  bool has_room_for(size_t command_bytes) const;
  // Resumes with the state machine's reply, with what the step machine refused it for, or with kOutcomeUnknown.
  Task<Result<std::string>> propose(std::string command, MonoTime deadline);
  // Resumes with the index that a linearizable read must have seen applied, with why there is none, or with kTimeout.
  Task<Result<LogIndex>> read(MonoTime deadline);
  // Resumes when the effects of all commands that were answered are in the store, where `applied` is what is now.
  Task<void> answers_visible(LogIndex applied);
  // Resumes as soon as `judge` can tell, with what it says, or with kOutcomeUnknown.
  Task<Status> watch(WatchList::Judge judge, MonoTime deadline);
  // Resumes when nobody waits any more.
  Task<void> drained();

  // --- The replica ---

  // Hands what is queued to the step machine.
  void submit(Raft& raft);
  // What the step machine says of reads that were submitted.
  void take_reads(const Effects& effects, LogIndex applied);
  // Entries were applied, to these replies, though their effects need not be in the store.
  void answer(const std::vector<Entry>& entries, std::vector<std::string> replies);
  // The effects of all entries to `applied` are in the store.
  void complete_applied_reads(LogIndex applied);
  void judge_watches(const Raft& raft) { watches_.judge(raft); }
  // This node leads `term` no more. What of its proposals is committed will be applied and answered all the same.
  void fail_uncertain_proposals(const Raft& raft, Term term);
  void fail_all(const Error& error);

 private:
  // One caller that waits for a T. Shared by the caller's coroutine and whoever completes it.
  template <class T>
  struct Call {
    explicit Call(Clock& clock) : waiter(clock.make_waiter()) {}

    void complete(Result<T> value) {
      if (result) return;
      result = std::move(value);
      waiter->notify();
    }

    std::unique_ptr<Waiter> waiter;
    std::optional<Result<T>> result;
  };
  using ProposeCall = std::shared_ptr<Call<std::string>>;
  using ReadCall = std::shared_ptr<Call<LogIndex>>;

  struct QueuedProposal {
    Command command;
    ProposeCall call;
  };

  void submit_proposals(Raft& raft);
  void submit_reads(Raft& raft);
  void complete_reads(const CompletedReads& reads, LogIndex applied);
  void wait_ended();

  Clock& clock_;
  const size_t max_queued_bytes_;

  // For the next turn.
  std::vector<QueuedProposal> queued_;
  size_t queued_bytes_ = 0;
  std::vector<ReadCall> queued_reads_;

  // What the step machine has taken. Proposals are of this node's present leadership.
  std::map<LogIndex, ProposeCall> proposed_;
  std::map<uint64_t, ReadCall> confirming_reads_;
  std::multimap<LogIndex, ReadCall> applying_reads_;
  uint64_t last_read_context_ = 0;
  LogIndex answered_;  // the last command whose caller has its reply

  WatchList watches_;
  size_t waiting_ = 0;
  Notifier all_ended_;
};

}  // namespace dogfs::raft
