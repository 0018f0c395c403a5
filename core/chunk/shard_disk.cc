#include "core/chunk/shard_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/base/printable.h"
#include "core/chunk/shard_format.h"

namespace dogfs {

ShardDisk::ShardDisk(Env& env, ChunkDisk ports, size_t number, std::function<void(const Error&)> on_bad)
    : env_(env),
      ports_(std::move(ports)),
      watch_(env.clock, ports_.files, ports_.records),
      number_(number),
      on_bad_(std::move(on_bad)),
      synced_(env.clock),
      tasks_(env.executor, env.clock) {
  if (ports_.name.empty()) ports_.name = fmt::format("disk {}", number);
  ports_.name = printable(ports_.name, kMaxDiskNameBytes);
}

void ShardDisk::mark_bad(const Error& error) {
  ++errors_;
  if (bad()) return;
  DOGFS_COVERAGE_MARK("chunk: a failing disk taken out");
  fail(error);
}

void ShardDisk::fail(const Error& error) {
  enter(wire::DiskInfo::FAILING, error.to_string());
  on_bad_(error);
}

void ShardDisk::check_that_it_answers() {
  if (!watch_.hangs()) return;
  DOGFS_COVERAGE_MARK("chunk: a disk that hangs given up");
  watch_.give_up();
  ++errors_;
  // Whatever it was taken out for before: now nothing of it can be read.
  fail(Error(ErrorCode::kIoError,
             fmt::format("does not answer: an operation has been under way for {} s", kDiskHangLimit / seconds(1))));
}

void ShardDisk::note_failure(const Error& error) {
  if (error.code == ErrorCode::kIoError) mark_bad(error);
}

bool ShardDisk::count_read_failure(const ShardKey& key, const Error& error) {
  if (error.code != ErrorCode::kIoError) return false;
  ++errors_;
  const MonoTime now = env_.clock.now();
  std::erase_if(read_errors_, [now](const auto& entry) { return entry.second < now - kReadErrorsWithin; });
  if (read_errors_.size() < kMaxReadErrors || read_errors_.contains(key)) read_errors_[key] = now;
  return read_errors_.size() == kMaxReadErrors;
}

void ShardDisk::take_out(State state, std::string alarm) {
  if (!bad()) enter(state, std::move(alarm));
}

void ShardDisk::enter(State state, std::string alarm) {
  state_ = state;
  env_.log.error("chunk", "disk {} ({}) takes no more shards: {}", number_, name(), alarm);
  alarm_ = std::move(alarm);
}

void ShardDisk::raise_alarm(std::string alarm) {
  if (!alarm_.empty()) return;
  env_.log.error("chunk", "disk {} ({}): {}", number_, name(), alarm);
  alarm_ = std::move(alarm);
}

bool ShardDisk::is_full() const {
  return space_.total_bytes > 0 && space_.free_bytes < full_below(space_.total_bytes);
}

void ShardDisk::choose_what_to_give_away(const ShardTable& table) {
  const uint64_t relieved = kRelievedTimes * full_below(space_.total_bytes);
  const bool begun = is_full() || gives_up_to_;
  gives_up_to_.reset();
  if (!begun || space_.free_bytes >= relieved) return;
  uint64_t room = space_.free_bytes;
  for (const auto& [key, entry] : table.entries()) {
    if (room >= relieved) return;
    const bool makes_room = entry.state == ShardState::kSealed || entry.state == ShardState::kDeleting;
    if (entry.disk != number_ || !makes_room) continue;
    DOGFS_COVERAGE_MARK("chunk: a full disk gives shards away");
    room += shard_file_bytes(entry.length);
    gives_up_to_ = key;
  }
}

wire::DiskInfo ShardDisk::describe() const {
  wire::DiskInfo info;
  info.set_id(id_);
  info.set_name(name());
  info.set_state(!bad() && is_full() ? wire::DiskInfo::FULL : state_);
  info.set_total_bytes(total_bytes());
  info.set_free_bytes(bad() ? 0 : free_bytes());
  info.set_errors(errors_);
  std::string alarm = alarm_;
  if (alarm.empty() && info.state() == wire::DiskInfo::FULL) alarm = "full";
  info.set_alarm(printable(alarm, kMaxDiskAlarmBytes));
  return info;
}

Task<void> ShardDisk::refresh_space() {
  const Result<DiskSpace> space = co_await files().space();
  if (space.has_value()) {
    space_ = space.value();
    written_ = 0;
    if (space_.read_only) take_out(wire::DiskInfo::READ_ONLY, "its file system is read-only");
  } else {
    env_.log.warning("chunk", "disk {} does not tell its space: {}", number_, space.error().to_string());
  }
}

void ShardDisk::reserve(uint64_t bytes, WritePurpose purpose) {
  reserved_ += bytes;
  if (purpose == WritePurpose::kRepair) ++rebuilding_;
}

void ShardDisk::release(uint64_t bytes, WritePurpose purpose) {
  DOGFS_CHECK(bytes <= reserved_);
  reserved_ -= bytes;
  if (purpose == WritePurpose::kRepair) --rebuilding_;
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
    if (!bad()) status = co_await files().sync_directory();
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
  Status status = co_await records().write(std::move(batch), Durability::kSynced);
  if (!status.has_value()) mark_bad(status.error());
  co_return status;
}

Task<Status> ShardDisk::record(ShardKey key, uint64_t length, uint32_t crc, bool damaged) {
  wire::ShardRecord record;
  record.set_length(length);
  record.set_crc32c(crc);
  record.set_damaged(damaged);
  WriteBatch batch;
  put_shard_record(batch, key, record);
  co_return co_await write_records(std::move(batch));
}

void note_read_failure(const std::vector<std::unique_ptr<ShardDisk>>& disks, ShardDisk& disk, const ShardKey& key,
                       const Error& error) {
  if (!disk.count_read_failure(key, error)) return;
  distrust(disks, disk,
           fmt::format("reads failed of {} shards of late, the last: {}", kMaxReadErrors, error.to_string()));
}

void distrust(const std::vector<std::unique_ptr<ShardDisk>>& disks, ShardDisk& disk, std::string alarm) {
  if (disk.bad()) return;
  const bool others = std::ranges::any_of(
      disks, [&](const auto& other) { return other.get() != &disk && !other->bad() && !other->is_full(); });
  if (others) {
    disk.take_out(wire::DiskInfo::FAILING, std::move(alarm));
  } else {
    disk.raise_alarm(std::move(alarm));
  }
}

void put_shard_record(WriteBatch& batch, const ShardKey& key, const wire::ShardRecord& record) {
  batch.put(shard_record_key(key), record.SerializeAsString());
}

}  // namespace dogfs
