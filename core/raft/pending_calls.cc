#include "core/raft/pending_calls.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"

namespace dogfs::raft {
namespace {

// Whether what was proposed at `proposed` in `term` is committed.
bool is_certain(const Raft& raft, LogIndex proposed, Term term) {
  const Log& log = raft.log();
  return proposed <= raft.commit() && proposed > log.base().index && log.term_at(proposed) == term;
}

}  // namespace

// --- Callers --------------------------------------------------------------------------------------------------------

bool PendingCalls::has_room_for(size_t command_bytes) const {
  return queued_bytes_ + command_bytes <= max_queued_bytes_;
}

Task<Result<std::string>> PendingCalls::propose(std::string command, MonoTime deadline) {
  const auto call = std::make_shared<Call<std::string>>(clock_);
  queued_bytes_ += command.size();
  queued_.push_back(QueuedProposal{std::make_shared<const std::string>(std::move(command)), call});
  ++waiting_;
  co_await call->waiter->wait_until(deadline);
  wait_ended();
  if (!call->result) co_return Error(ErrorCode::kOutcomeUnknown, "the deadline passed before the command was applied");
  co_return *std::move(call->result);
}

Task<Result<LogIndex>> PendingCalls::read(MonoTime deadline) {
  const auto call = std::make_shared<Call<LogIndex>>(clock_);
  queued_reads_.push_back(call);
  ++waiting_;
  co_await call->waiter->wait_until(deadline);
  wait_ended();
  if (!call->result) co_return Error(ErrorCode::kTimeout);
  co_return *std::move(call->result);
}

Task<void> PendingCalls::answers_visible(LogIndex applied) {
  if (answered_ <= applied) co_return;
  const auto call = std::make_shared<Call<LogIndex>>(clock_);
  applying_reads_.emplace(answered_, call);
  ++waiting_;
  co_await call->waiter->wait_until(kNever);
  wait_ended();
}

Task<Status> PendingCalls::watch(WatchList::Judge judge, MonoTime deadline) {
  const auto watch = watches_.add(clock_, std::move(judge));
  ++waiting_;
  co_await watch->waiter->wait_until(deadline);
  wait_ended();
  if (watch->outcome) co_return *watch->outcome;
  co_return Error(ErrorCode::kOutcomeUnknown, "the deadline passed while the change was under way");
}

void PendingCalls::wait_ended() {
  if (--waiting_ == 0) all_ended_.notify_all();
}

Task<void> PendingCalls::drained() {
  while (waiting_ > 0) co_await all_ended_.wait();
}

// --- The replica ----------------------------------------------------------------------------------------------------

void PendingCalls::submit(Raft& raft) {
  submit_proposals(raft);
  submit_reads(raft);
}

void PendingCalls::submit_proposals(Raft& raft) {
  if (queued_.empty()) return;
  std::vector<QueuedProposal> queued = std::exchange(queued_, {});
  queued_bytes_ = 0;
  std::vector<Command> commands;
  commands.reserve(queued.size());
  for (QueuedProposal& proposal : queued) commands.push_back(std::move(proposal.command));
  const Result<Proposed> proposed = raft.propose(std::move(commands));
  const size_t accepted = proposed ? proposed.value().accepted : 0;
  for (size_t i = 0; i < queued.size(); ++i) {
    if (i < accepted) {
      proposed_.emplace(LogIndex(proposed.value().first.value() + i), std::move(queued[i].call));
    } else {
      if (proposed) DOGFS_COVERAGE_MARK("raft: the end of a batch of proposals refused");
      queued[i].call->complete(proposed ? Error(ErrorCode::kOverloaded) : proposed.error());
    }
  }
}

void PendingCalls::submit_reads(Raft& raft) {
  for (ReadCall& call : std::exchange(queued_reads_, {})) {
    const uint64_t context = ++last_read_context_;
    const Status asked = raft.read_index(context);
    if (asked) {
      confirming_reads_.emplace(context, std::move(call));
    } else {
      call->complete(asked.error());
    }
  }
}

void PendingCalls::take_reads(const Effects& effects, LogIndex applied) {
  for (const CompletedReads& reads : effects.reads) complete_reads(reads, applied);
  for (const uint64_t context : effects.failed_reads) {
    const auto found = confirming_reads_.find(context);
    if (found == confirming_reads_.end()) continue;
    found->second->complete(Error(ErrorCode::kNotLeader));
    confirming_reads_.erase(found);
  }
}

void PendingCalls::complete_reads(const CompletedReads& reads, LogIndex applied) {
  for (const uint64_t context : reads.contexts) {
    const auto found = confirming_reads_.find(context);
    if (found == confirming_reads_.end()) continue;
    if (reads.index <= applied) {
      found->second->complete(reads.index);
    } else {
      applying_reads_.emplace(reads.index, std::move(found->second));
    }
    confirming_reads_.erase(found);
  }
}

void PendingCalls::answer(const std::vector<Entry>& entries, std::vector<std::string> replies) {
  DOGFS_CHECK(replies.size() == entries.size(), "a state machine returns one reply an entry");
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto found = proposed_.find(entries[i].index);
    if (found == proposed_.end()) continue;
    found->second->complete(std::move(replies[i]));
    proposed_.erase(found);
    answered_ = entries[i].index;
  }
}

void PendingCalls::complete_applied_reads(LogIndex applied) {
  while (!applying_reads_.empty() && applying_reads_.begin()->first <= applied) {
    applying_reads_.begin()->second->complete(applying_reads_.begin()->first);
    applying_reads_.erase(applying_reads_.begin());
  }
}

void PendingCalls::fail_uncertain_proposals(const Raft& raft, Term term) {
  const Error error(ErrorCode::kOutcomeUnknown, "leadership was lost while the command was under way");
  std::erase_if(proposed_, [&](const auto& item) {
    if (is_certain(raft, item.first, term)) return false;
    item.second->complete(error);
    return true;
  });
}

void PendingCalls::fail_all(const Error& error) {
  for (auto& [index, call] : std::exchange(proposed_, {})) call->complete(error);
  watches_.end_all(error);
  for (QueuedProposal& proposal : std::exchange(queued_, {})) proposal.call->complete(error);
  for (ReadCall& call : std::exchange(queued_reads_, {})) call->complete(error);
  for (auto& [context, call] : std::exchange(confirming_reads_, {})) call->complete(error);
  for (auto& [index, call] : std::exchange(applying_reads_, {})) call->complete(error);
}

}  // namespace dogfs::raft
