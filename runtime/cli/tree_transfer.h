// The walk of `put -r` and `get -r`: directories first, files beside each other within limits.
//
// A few workers take directories from a stack (so that few are pending at a time), make each at the target before what
// is in it, and start its files. A file waits for one of `kFiles` places and for as much of `kBytes` as it may hold in
// memory: many small files go at once, and of large ones only as many as memory allows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/env/sync.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

// One directory or file of a tree, by its path on both sides.
struct TransferItem {
  std::string source;
  std::string target;
  uint64_t size = 0;
  uint32_t mode = 0;
};

class TreeTransfer {
 public:
  explicit TreeTransfer(Session& session);
  virtual ~TreeTransfer() = default;

  // Transfers the directory `root` with all that is under it. Failures are reported to the session one by one.
  Task<void> run(TransferItem root);

 protected:
  // Makes the target directory, then lists the source and calls add_directory and add_file. Reports failures.
  virtual Task<void> enter(TransferItem directory) = 0;
  // Transfers one file. Reports failures.
  virtual Task<void> transfer(TransferItem file) = 0;

  void add_directory(TransferItem directory);
  // Waits until there is room for one more file, and starts it.
  Task<void> add_file(TransferItem file);

  // Reports a failure; one that all the rest would meet as well ends the walk.
  void fail(std::string_view subject, const Error& error);
  bool stopped() const { return stopped_ || session_.interrupted(); }
  Session& session() { return session_; }

 private:
  static constexpr size_t kWorkers = 4;
  static constexpr uint64_t kFiles = 16;
  static constexpr uint64_t kBytes = 256 * kMiB;
  // What one file holds in memory at most: the client's buffer for a writer.
  static constexpr uint64_t kMostBytesOfFile = 192 * kMiB;
  static_assert(kMostBytesOfFile <= kBytes);

  Task<void> work();
  Task<void> transfer_and_release(TransferItem file, uint64_t bytes);

  Session& session_;
  TaskGroup tasks_;
  Semaphore places_;
  Semaphore memory_;
  Notifier changed_;
  std::vector<TransferItem> pending_;
  size_t busy_workers_ = 0;
  bool stopped_ = false;
};

}  // namespace dogfs::cli
