#include "core/chunk/shard_remover.h"

#include <algorithm>
#include <utility>

#include "core/base/coverage_mark.h"

namespace dogfs {
namespace {

constexpr size_t kMaxQueued = 65'536;
constexpr size_t kMaxBatch = 256;
// How long a shard that is being sealed or verified is waited for before the others of a batch go on without it.
constexpr Duration kTurnPatience = seconds(1);

}  // namespace

ShardRemover::ShardRemover(Env& env, std::vector<std::unique_ptr<ShardDisk>>& disks, ShardTable& table, KeyTurns& turns,
                           ShardWriters& writers, ShardReader& reader, StopSignal& stop)
    : env_(env),
      disks_(disks),
      table_(table),
      turns_(turns),
      writers_(writers),
      reader_(reader),
      stop_(stop),
      wake_(env.clock) {}

void ShardRemover::request(const std::vector<ShardKey>& keys) {
  for (const ShardKey& key : keys) {
    if (queued_.size() + confirmed_.size() >= kMaxQueued) break;
    if (!confirmed_.contains(key)) queued_.insert(key);
  }
  wake_.notify_all();
}

std::vector<ShardKey> ShardRemover::confirmed(size_t limit) const {
  std::vector<ShardKey> keys;
  for (const ShardKey& key : confirmed_) {
    if (keys.size() == limit) break;
    keys.push_back(key);
  }
  return keys;
}

void ShardRemover::reported(const std::vector<ShardKey>& keys) {
  for (const ShardKey& key : keys) confirmed_.erase(key);
}

Task<void> ShardRemover::run() {
  while (!stop_.stopping()) {
    if (queued_.empty()) {
      co_await wake_.wait();
      continue;
    }
    const auto end = std::next(queued_.begin(), static_cast<ptrdiff_t>(std::min(queued_.size(), kMaxBatch)));
    co_await remove_batch({queued_.begin(), end});
  }
}

Task<void> ShardRemover::remove_batch(std::vector<ShardKey> keys) {
  std::vector<ShardKey> had;
  const MonoTime patience = env_.clock.now() + kTurnPatience;
  for (const ShardKey& key : keys) {
    if (co_await turns_.take(key, patience)) had.push_back(key);
  }
  std::vector<std::vector<ShardKey>> sealed(disks_.size());
  for (const ShardKey& key : had) {
    if (const ShardEntry* entry = table_.find(key)) {
      sealed[entry->disk].push_back(key);
      // What lies beside it on other disks: what cannot be removed now is tried again, as all that is left over.
      co_await writers_.discard(key, Error(ErrorCode::kCancelled, "the shard was deleted"));
    } else if (co_await writers_.discard(key, Error(ErrorCode::kCancelled, "the shard was deleted")) && complete_) {
      confirm(key);
    }
  }
  for (size_t disk = 0; disk < sealed.size(); ++disk) {
    if (!sealed[disk].empty() && !disks_[disk]->is_late())
      co_await remove_sealed(disks_[disk].get(), std::move(sealed[disk]));
  }
  for (const ShardKey& key : had) turns_.give_back(key);
  // What could not be removed is asked for again by the metadata.
  for (const ShardKey& key : keys) queued_.erase(key);
}

Task<void> ShardRemover::remove_sealed(ShardDisk* disk, std::vector<ShardKey> keys) {
  if (disk->bad()) co_return give_up(keys);
  WriteBatch marks;
  for (const ShardKey& key : keys) {
    wire::ShardRecord record;
    record.set_deleting(true);
    put_shard_record(marks, key, record);
  }
  const Status marked = co_await disk->write_records(std::move(marks));
  if (!marked.has_value()) co_return;
  WriteBatch erased;
  std::vector<ShardKey> removed;
  for (const ShardKey& key : keys) {
    table_.set_state(key, ShardState::kDeleting);
    reader_.forget(key);
    const Status status = co_await disk->files().remove(shard_file_name(key));
    if (!status.has_value() && status.error().code != ErrorCode::kNotFound) {
      disk->note_failure(status.error());
      continue;
    }
    erased.erase(shard_record_key(key));
    removed.push_back(key);
  }
  const Status synced = co_await disk->wait_for(disk->start_directory_sync());
  if (!synced.has_value()) co_return;
  // A record that is left over only makes the next start look for a file in vain.
  const Status forgotten = co_await disk->records().write(std::move(erased), Durability::kBuffered);
  if (!forgotten.has_value()) disk->mark_bad(forgotten.error());
  for (const ShardKey& key : removed) {
    table_.erase(key);
    confirm(key);
  }
}

// Nothing can be removed from a disk that takes no writes, and nothing is confirmed. But the metadata has no use for these
// any more: they do not count as what is left on the disk.
void ShardRemover::give_up(const std::vector<ShardKey>& keys) {
  DOGFS_COVERAGE_MARK("chunk: deletions on a failing disk given up");
  for (const ShardKey& key : keys) {
    table_.set_state(key, ShardState::kDeleting);
    reader_.forget(key);
  }
}

void ShardRemover::confirm(const ShardKey& key) {
  env_.log.debug("chunk", "{} is gone", to_string(key));
  writers_.refuse(key);
  confirmed_.insert(key);
}

}  // namespace dogfs
