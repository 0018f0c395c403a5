#include "runtime/cli/tree_transfer.h"

#include <algorithm>

namespace dogfs::cli {

TreeTransfer::TreeTransfer(Session& session)
    : session_(session),
      tasks_(session.env().executor, session.env().clock),
      places_(session.env().clock, kFiles),
      memory_(session.env().clock, kBytes),
      changed_(session.env().clock) {}

Task<void> TreeTransfer::run(TransferItem root) {
  pending_.push_back(std::move(root));
  for (size_t i = 0; i < kWorkers; ++i) tasks_.spawn(work());
  co_await tasks_.join();
}

Task<void> TreeTransfer::work() {
  for (;;) {
    if (stopped()) pending_.clear();
    if (pending_.empty() && busy_workers_ == 0) break;
    if (pending_.empty()) {
      co_await changed_.wait();
      continue;
    }
    TransferItem directory = std::move(pending_.back());
    pending_.pop_back();
    ++busy_workers_;
    co_await enter(std::move(directory));
    --busy_workers_;
    changed_.notify_all();
  }
}

void TreeTransfer::add_directory(TransferItem directory) {
  pending_.push_back(std::move(directory));
  changed_.notify_all();
}

Task<void> TreeTransfer::add_file(TransferItem file) {
  const uint64_t bytes = std::clamp<uint64_t>(file.size, kMiB, kMostBytesOfFile);
  co_await places_.acquire(1);
  co_await memory_.acquire(bytes);
  tasks_.spawn(transfer_and_release(std::move(file), bytes));
}

Task<void> TreeTransfer::transfer_and_release(TransferItem file, uint64_t bytes) {
  if (!stopped()) co_await transfer(std::move(file));
  memory_.release(bytes);
  places_.release(1);
}

void TreeTransfer::fail(std::string_view subject, const Error& error) {
  // What comes after the failure that ended the walk says nothing new.
  if (!stopped_) session_.fail(subject, error);
  if (ends_transfer(error.code)) stopped_ = true;
}

}  // namespace dogfs::cli
