#include "core/chunk/shard_disk.h"

#include <utility>

#include "core/base/check.h"

namespace dogfs {

ShardDisk::ShardDisk(Env& env, ChunkDisk ports, size_t number, std::function<void(const Error&)> on_bad)
    : env_(env),
      ports_(ports),
      number_(number),
      on_bad_(std::move(on_bad)),
      synced_(env.clock),
      tasks_(env.executor, env.clock) {}

void ShardDisk::mark_bad(const Error& error) {
  if (std::exchange(bad_, true)) return;
  env_.log.error("chunk", "disk {} takes no more shards: {}", number_, error.to_string());
  on_bad_(error);
}

void ShardDisk::note_failure(const Error& error) {
  if (error.code == ErrorCode::kIoError) mark_bad(error);
}

Task<void> ShardDisk::refresh_space() {
  const Result<DiskSpace> space = co_await ports_.files.space();
  if (space.has_value()) {
    space_ = space.value();
  } else {
    env_.log.warning("chunk", "disk {} does not tell its space: {}", number_, space.error().to_string());
  }
}

void ShardDisk::release(uint64_t bytes) {
  DOGFS_CHECK(bytes <= reserved_);
  reserved_ -= bytes;
}

std::shared_ptr<DirectorySync> ShardDisk::start_directory_sync() {
  if (next_sync_ == nullptr) {
    next_sync_ = std::make_shared<DirectorySync>();
    if (!syncing_) {
      syncing_ = true;
      tasks_.spawn(run_directory_syncs());
    }
  }
  return next_sync_;
}

Task<void> ShardDisk::run_directory_syncs() {
  while (next_sync_ != nullptr) {
    const std::shared_ptr<DirectorySync> sync = std::exchange(next_sync_, nullptr);
    // After one failed sync the next says nothing about what the failed one was to cover.
    Status status = Error(ErrorCode::kIoError, "the disk is bad");
    if (!bad_) status = co_await ports_.files.sync_directory();
    if (!status.has_value()) mark_bad(status.error());
    sync->result = std::move(status);
    synced_.notify_all();
  }
  syncing_ = false;
}

Task<Status> ShardDisk::wait_for(std::shared_ptr<DirectorySync> sync) {
  while (!sync->result.has_value()) co_await synced_.wait();
  co_return *sync->result;
}

Task<Status> ShardDisk::write_records(WriteBatch batch) {
  Status status = co_await ports_.records.write(std::move(batch), Durability::kSynced);
  if (!status.has_value()) mark_bad(status.error());
  co_return status;
}

void put_shard_record(WriteBatch& batch, const ShardKey& key, const wire::ShardRecord& record) {
  batch.put(shard_record_key(key), record.SerializeAsString());
}

}  // namespace dogfs
