#include "core/chunk/shard_writers.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/base/check.h"
#include "core/base/mutant.h"

namespace dogfs {
namespace {

constexpr Duration kMaxSweepInterval = seconds(30);

Error turn_not_had(const ShardKey& key) {
  return Error(ErrorCode::kBusy, to_string(key) + " is being worked on");
}

}  // namespace

ShardWriters::ShardWriters(Env& env, const ChunkOptions& options, Disks& disks, ShardTable& table, KeyTurns& turns,
                           StopSignal& stop)
    : env_(env),
      options_(options),
      disks_(disks),
      table_(table),
      turns_(turns),
      stop_(stop),
      budgets_(options.max_write_bytes, disks.size()),
      tasks_(env.executor, env.clock) {}

Task<Status> ShardWriters::open(ShardHeader header, uint64_t length, WritePurpose purpose, MonoTime deadline) {
  const ShardKey key = header.key;
  if (!co_await turns_.take(key, deadline)) co_return turn_not_had(key);
  Status status = co_await open_in_turn(std::move(header), length, purpose);
  turns_.give_back(key);
  co_return status;
}

Task<Status> ShardWriters::open_in_turn(ShardHeader header, uint64_t length, WritePurpose purpose) {
  DOGFS_CO_TRYV(check_openable(header));
  if (const auto found = writers_.find(header.key); found != writers_.end()) {
    const ShardWriter& writer = *found->second.writer;
    // The same request once more, before anything came of it.
    if (writer.sums().length() == 0 && !writer.failure()) co_return ok();
  }
  if (!co_await discard(header.key, Error(ErrorCode::kCancelled, "the shard was opened anew"))) {
    co_return Error(ErrorCode::kIoError, "what there was of " + to_string(header.key) + " cannot be removed");
  }
  if (open_count() >= options_.max_open_writers) {
    co_return Error(ErrorCode::kBusy, fmt::format("{} shards are open", open_count()));
  }
  ++opening_;
  Status status = co_await create(std::move(header), length, purpose);
  --opening_;
  co_return status;
}

Status ShardWriters::check_openable(const ShardHeader& header) const {
  if (deleted_.contains(header.key)) return Error(ErrorCode::kGone, to_string(header.key) + " was deleted");
  if (const ShardEntry* entry = table_.find(header.key)) {
    if (entry->state == ShardState::kUnverified) return Error(ErrorCode::kUnavailable, "the shard is being verified");
    return Error(ErrorCode::kAlreadyExists, to_string(header.key) + " is sealed");
  }
  const auto found = writers_.find(header.key);
  if (found != writers_.end() && found->second.writer->header() != header) {
    return Error(ErrorCode::kConflict, to_string(header.key) + " is open with another geometry");
  }
  return ok();
}

Task<Status> ShardWriters::create(ShardHeader header, uint64_t length, WritePurpose purpose) {
  const ShardKey key = header.key;
  const uint64_t bytes = shard_file_bytes(std::min(length, header.geometry.shard_bytes()));
  DOGFS_CO_TRY(ShardDisk* const disk, choose_disk(bytes, purpose));
  disk->reserve(bytes, purpose);
  Result<std::shared_ptr<ShardFile>> file = co_await disk->files().create(shard_file_name(key));
  if (!file.has_value()) {
    disk->release(bytes, purpose);
    disk->note_failure(file.error());
    co_return file.error();
  }
  auto writer = std::make_shared<ShardWriter>(env_.clock, tasks_, budgets_.of(disk->number()), std::move(header),
                                              std::move(file).value());
  writers_.emplace(key, OpenShard{std::move(writer), disk, bytes, purpose});
  co_return ok();
}

Result<ShardDisk*> ShardWriters::choose_disk(uint64_t bytes, WritePurpose purpose) const {
  ShardDisk* best = nullptr;
  bool busy = false;
  for (const auto& disk : disks_) {
    if (disk->bad()) continue;
    if (purpose == WritePurpose::kRepair && disk->rebuilding() >= options_.max_repairs_per_disk) {
      busy = true;
      continue;
    }
    const auto room = [](const ShardDisk& each) {
      return std::tuple(!each.is_full(), !each.is_late(), each.free_bytes());
    };
    if (best == nullptr || room(*disk) > room(*best)) best = disk.get();
  }
  if (best == nullptr && !busy) return Error(ErrorCode::kIoError, "no disk takes shards");
  if (best == nullptr || best->is_full() || best->free_bytes() < bytes) {
    if (busy) return Error(ErrorCode::kBusy, "as many shards as may be are being rebuilt on each disk with room");
    return Error(ErrorCode::kNoSpace,
                 fmt::format("{} bytes are free; the shard may take {}", best->free_bytes(), bytes));
  }
  return best;
}

Task<Result<uint64_t>> ShardWriters::append(ShardKey key, ShardAppend append, MonoTime deadline) {
  const auto found = writers_.find(key);
  if (found == writers_.end()) {
    if (table_.find(key) != nullptr) co_return Error(ErrorCode::kConflict, to_string(key) + " is sealed");
    co_return table_.missing(key);
  }
  const OpenShard shard = found->second;
  const uint64_t bytes = append.payload.size();
  ByteBudget& budget = budgets_.of(shard.disk->number());
  // One that waits for those before it must not hold what they need.
  const bool taken =
      append.offset <= shard.writer->sums().length() ? budget.try_take(bytes) : budget.try_take_of_first_half(bytes);
  if (!taken) co_return Error(ErrorCode::kBusy, "too many bytes wait for the disk");
  Result<uint64_t> length = co_await shard.writer->append(std::move(append), deadline);
  budget.give_back(bytes);
  if (shard.writer->failure()) shard.disk->note_failure(*shard.writer->failure());
  co_return length;
}

Task<Status> ShardWriters::seal(ShardKey key, uint64_t length, uint32_t crc, MonoTime deadline) {
  if (!co_await turns_.take(key, deadline)) co_return turn_not_had(key);
  Status status = co_await seal_in_turn(key, length, crc);
  turns_.give_back(key);
  co_return status;
}

Task<Status> ShardWriters::seal_in_turn(ShardKey key, uint64_t length, uint32_t crc) {
  if (const ShardEntry* entry = table_.find(key)) co_return check_sealed(key, *entry, length, crc);
  const auto found = writers_.find(key);
  if (found == writers_.end()) co_return table_.missing(key);
  const OpenShard shard = found->second;
  Status durable = shard.writer->check_seal(length, crc);
  // What does not match may still come right; a write that failed will not.
  if (!durable.has_value() && !shard.writer->failure()) co_return durable;
  if (durable.has_value()) durable = co_await make_durable(shard);
  if (!durable.has_value()) {
    shard.disk->note_failure(durable.error());
    co_await discard(key, durable.error());
    co_return durable;
  }
  const Status recorded = co_await shard.disk->record(key, length, crc, false);
  writers_.erase(key);
  shard.disk->release(shard.reserved_bytes, shard.purpose);
  shard.disk->note_written(shard_file_bytes(length));
  // Without a record it is not acknowledged; the file is whole, so the next start may find it good.
  if (!recorded.has_value()) co_return recorded;
  table_.put(key, ShardEntry{ShardState::kSealed, shard.disk->number(), length, crc});
  co_return ok();
}

Task<Status> ShardWriters::make_durable(OpenShard shard) {
  if (shard.disk->bad()) co_return Error(ErrorCode::kIoError, "the disk is bad");
  if (mutant_active(Mutant::kSealBeforeSync)) co_return co_await shard.writer->seal();
  const std::shared_ptr<DirectorySync> directory = shard.disk->start_directory_sync();
  const Status file = co_await shard.writer->seal();
  const Status name = co_await shard.disk->wait_for(directory);
  DOGFS_CO_TRYV(file);
  co_return name;
}

Status ShardWriters::check_sealed(const ShardKey& key, const ShardEntry& entry, uint64_t length, uint32_t crc) const {
  switch (entry.state) {
    case ShardState::kUnverified:
      return Error(ErrorCode::kUnavailable, "the shard is being verified");
    case ShardState::kDamaged:
    case ShardState::kUnreadable:
      return Error(ErrorCode::kCorrupt, to_string(key) + " is damaged");
    case ShardState::kDeleting:
      return table_.missing(key);
    case ShardState::kSealed:
      break;
  }
  if (entry.length != length) {
    return Error(ErrorCode::kConflict, fmt::format("{} is sealed with {} bytes", to_string(key), entry.length));
  }
  if (entry.crc != crc) {
    return Error(ErrorCode::kChecksumMismatch, fmt::format("{} is sealed with {:08x}", to_string(key), entry.crc));
  }
  return ok();
}

Task<Status> ShardWriters::abort(ShardKey key, MonoTime deadline) {
  if (!co_await turns_.take(key, deadline)) co_return turn_not_had(key);
  Status status = ok();
  if (table_.find(key) != nullptr) {
    status = Error(ErrorCode::kConflict, to_string(key) + " is sealed");
  } else if (!co_await discard(key, Error(ErrorCode::kCancelled, "the shard was given up"))) {
    status = Error(ErrorCode::kIoError, "the file of " + to_string(key) + " cannot be removed");
  }
  turns_.give_back(key);
  co_return status;
}

Task<void> ShardWriters::close(ShardKey key, Error why) {
  const auto found = writers_.find(key);
  if (found == writers_.end()) co_return;
  const OpenShard shard = found->second;
  shard.writer->fail(std::move(why));
  co_await shard.writer->quiesce();
  writers_.erase(key);
  shard.disk->release(shard.reserved_bytes, shard.purpose);
  adopt_leftover(key, {.disk = shard.disk->number()});
}

Task<bool> ShardWriters::discard(ShardKey key, Error why) {
  if (would_wait(key)) co_return false;
  co_await close(key, std::move(why));
  bool gone = true;
  for (const size_t disk : leftovers_of(key)) {
    if (!co_await remove_leftover(disks_[disk].get(), key)) gone = false;
  }
  co_return gone;
}

// What there is of the shard is on a disk that is late: whoever has more to do than this one leaves it for another time.
bool ShardWriters::would_wait(const ShardKey& key) const {
  const auto open = writers_.find(key);
  if (open != writers_.end() && open->second.disk->is_late()) return true;
  return std::ranges::any_of(leftovers_of(key), [this](size_t disk) { return disks_[disk]->is_late(); });
}

// The record first: without its file it would be a shard that was lost.
Task<bool> ShardWriters::remove_leftover(ShardDisk* disk, ShardKey key) {
  const std::pair place(key, disk->number());
  Status removed = ok();
  if (leftovers_.at(place).recorded) {
    WriteBatch record;
    record.erase(shard_record_key(key));
    removed = co_await disk->write_records(std::move(record));
  }
  if (removed.has_value()) {
    leftovers_.at(place).recorded = false;
    removed = co_await disk->files().remove(shard_file_name(key));
  }
  if (removed.has_value() || removed.error().code == ErrorCode::kNotFound) {
    leftovers_.erase(place);
    co_return true;
  }
  env_.log.warning("chunk", "the file of {} stays: {}", to_string(key), removed.error().to_string());
  disk->note_failure(removed.error());
  leftovers_.at(place).since = env_.clock.now();
  leftovers_.at(place).until_deleted = false;
  co_return false;
}

void ShardWriters::adopt_leftover(const ShardKey& key, Found found) {
  leftovers_[{key, found.disk}] = Leftover{env_.clock.now(), found.recorded, found.until_deleted};
}

std::vector<size_t> ShardWriters::leftovers_of(const ShardKey& key) const {
  std::vector<size_t> disks;
  for (auto at = leftovers_.lower_bound({key, 0}); at != leftovers_.end() && at->first.first == key; ++at) {
    disks.push_back(at->first.second);
  }
  return disks;
}

Task<void> ShardWriters::run_idle_sweep() {
  const Duration interval = std::min<Duration>(options_.writer_idle_limit / 4, kMaxSweepInterval);
  while (co_await stop_.sleep(interval)) {
    for (const ShardKey& key : idle_keys()) {
      if (!co_await turns_.take(key, env_.clock.now() + interval)) continue;
      if (is_idle(key) && !would_wait(key)) {
        env_.log.info("chunk", "{} is given up: its writer has gone", to_string(key));
        co_await close(key, Error(ErrorCode::kCancelled, "the shard was idle for too long"));
        for (const size_t disk : leftovers_of(key)) {
          if (!leftovers_.at({key, disk}).until_deleted) co_await remove_leftover(disks_[disk].get(), key);
        }
      }
      turns_.give_back(key);
      if (stop_.stopping()) co_return;
    }
  }
}

std::set<ShardKey> ShardWriters::idle_keys() const {
  std::set<ShardKey> keys;
  for (const auto& [key, shard] : writers_) {
    if (is_idle(key)) keys.insert(key);
  }
  for (const auto& [place, leftover] : leftovers_) {
    if (is_idle(place.first)) keys.insert(place.first);
  }
  return keys;
}

bool ShardWriters::is_idle(const ShardKey& key) const {
  const MonoTime limit = env_.clock.now() - options_.writer_idle_limit;
  if (const auto open = writers_.find(key); open != writers_.end()) return open->second.writer->last_used() <= limit;
  return std::ranges::any_of(leftovers_of(key), [&](size_t disk) {
    const Leftover& leftover = leftovers_.at({key, disk});
    return !leftover.until_deleted && leftover.since <= limit;
  });
}

}  // namespace dogfs
