#include "core/chunk/disk_recovery.h"

#include <algorithm>
#include <set>

#include "core/base/coverage_mark.h"
#include "core/chunk/piece_sums.h"
#include "core/chunk/shard_verifier.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr Duration kRetryInterval = seconds(10);
// A file that so many looks cannot read is damaged: others wait for their turn, and the metadata for word of it.
constexpr int kLooksAtUnreadable = 4;

// A record that does not parse is passed over, which makes its file one without a record.
Result<std::map<ShardKey, wire::ShardRecord>> load_records(const KvReader& store, uint64_t& unreadable) {
  std::map<ShardKey, wire::ShardRecord> records;
  const Status scanned = store.scan(kShardRecords, kShardRecordsEnd, [&](std::string_view key, std::string_view value) {
    const std::optional<ShardKey> shard = parse_shard_record_key(key);
    Result<wire::ShardRecord> record = parse_message<wire::ShardRecord>(value);
    if (shard && record.has_value() && record.value().length() <= kMaxShardBytes) {
      records.emplace(*shard, std::move(record).value());
    } else {
      ++unreadable;
    }
    return true;
  });
  DOGFS_TRYV(scanned);
  return records;
}

}  // namespace

RecoveryPlan plan_recovery(const std::map<ShardKey, wire::ShardRecord>& records,
                           const std::vector<std::string>& names) {
  RecoveryPlan plan;
  std::set<ShardKey> files;
  for (const std::string& name : names) {
    if (const std::optional<ShardKey> key = parse_shard_file_name(name)) {
      files.insert(*key);
    } else {
      ++plan.foreign;
    }
  }
  for (const auto& [key, record] : records) {
    const bool has_file = files.erase(key) > 0;
    if (record.deleting()) {
      plan.going.push_back(key);
    } else if (has_file) {
      plan.served.emplace_back(key, record);
    } else {
      plan.lost.push_back(key);
    }
  }
  plan.unrecorded.assign(files.begin(), files.end());
  return plan;
}

Task<Status> DiskRecovery::load(ShardDisk* disk) {
  const std::shared_ptr<const KvReader> store = disk->records().snapshot();
  uint64_t unreadable = 0;
  Result<std::map<ShardKey, wire::ShardRecord>> records = Error(ErrorCode::kInternal);
  co_await env_.compute.run([&] { records = load_records(*store, unreadable); });
  if (!records.has_value()) co_return records.error();
  if (unreadable > 0) env_.log.error("chunk", "{} records of disk {} do not parse", unreadable, disk->number());
  DOGFS_CO_TRY(const std::vector<std::string> names, co_await disk->files().list());
  take_plan(disk, plan_recovery(records.value(), names));
  co_return ok();
}

void DiskRecovery::take_plan(ShardDisk* disk, const RecoveryPlan& plan) {
  for (const auto& [key, record] : plan.served) take_served(disk, key, record);
  for (const ShardKey& key : plan.lost) {
    if (!take_without_file(disk, key, ShardState::kDamaged)) continue;
    ++counts_.lost;
    env_.log.error("chunk", "{} has a record on disk {} and no file", to_string(key), disk->number());
  }
  for (const ShardKey& key : plan.going) take_without_file(disk, key, ShardState::kDeleting);
  remover_.request(plan.going);
  for (const ShardKey& key : plan.unrecorded) unrecorded_.push_back({disk, key});
  counts_.foreign += plan.foreign;
  if (plan.foreign > 0) env_.log.warning("chunk", "{} unknown files on disk {}", plan.foreign, disk->number());
}

void DiskRecovery::take_served(ShardDisk* disk, const ShardKey& key, const wire::ShardRecord& record) {
  const ShardEntry* other = table_.find(key);
  const bool lost_there = other != nullptr && other->state == ShardState::kDamaged;
  if (lost_there) writers_.adopt_leftover(key, {.disk = other->disk, .recorded = true});
  if (other == nullptr || lost_there) {
    const ShardState state = record.damaged() ? ShardState::kUnreadable : ShardState::kSealed;
    table_.put(key, {state, disk->number(), record.length(), record.crc32c()});
    recorded_.push_back({disk, key});
    ++counts_.recorded;
  } else if (other->state == ShardState::kDeleting) {
    writers_.adopt_leftover(key, {.disk = disk->number(), .recorded = true});
  } else {
    if (const auto first = std::ranges::find(recorded_, key, &Pending::key); first != recorded_.end()) {
      unrecorded_.push_back({first->disk, key, true});
      table_.put(key, {ShardState::kUnverified, other->disk, 0, 0});
      recorded_.erase(first);
      --counts_.recorded;
    }
    unrecorded_.push_back({disk, key, true});
  }
}

bool DiskRecovery::take_without_file(ShardDisk* disk, const ShardKey& key, ShardState state) {
  if (table_.find(key) != nullptr) {
    writers_.adopt_leftover(key, {.disk = disk->number(), .recorded = true});
    return false;
  }
  table_.put(key, {state, disk->number(), 0, 0});
  return true;
}

void DiskRecovery::take_unrecorded() {
  std::vector<Pending> firsts;
  for (Pending& file : unrecorded_) {
    const ShardEntry* entry = table_.find(file.key);
    const bool is_first = entry != nullptr && entry->state == ShardState::kUnverified && file.recorded &&
                          entry->disk == file.disk->number();
    file.second = entry != nullptr && !is_first;
    if (file.second) continue;
    table_.put(file.key, {ShardState::kUnverified, file.disk->number(), 0, 0});
    firsts.push_back(file);
  }
  // What becomes of the second ones is known when the first were looked at.
  std::erase_if(unrecorded_, [](const Pending& file) { return !file.second; });
  unrecorded_.insert(unrecorded_.end(), firsts.begin(), firsts.end());
}

Task<void> DiskRecovery::inspect(std::string cluster_uuid) {
  while (!unrecorded_.empty() && !stop_.stopping()) {
    const Pending next = unrecorded_.back();
    unrecorded_.pop_back();
    if (!co_await turns_.take(next.key, kNever)) continue;
    if (next.second) {
      co_await inspect_second(next, cluster_uuid);
    } else {
      co_await inspect_unrecorded(next, cluster_uuid);
    }
    turns_.give_back(next.key);
  }
  while (!recorded_.empty() && !stop_.stopping()) {
    const Pending next = recorded_.back();
    recorded_.pop_back();
    co_await check_size(next);
  }
}

Task<void> DiskRecovery::check_size(Pending pending) {
  const Result<std::shared_ptr<ShardFile>> file = co_await pending.disk->files().open(shard_file_name(pending.key));
  if (!file.has_value()) co_return;  // deleted meanwhile, or its readers will see the error
  const Result<uint64_t> size = co_await file.value()->size();
  const ShardEntry* entry = table_.find(pending.key);
  if (!size.has_value() || entry == nullptr || entry->state != ShardState::kSealed) co_return;
  if (size.value() == shard_file_bytes(entry->length)) co_return;
  ++counts_.damaged;
  env_.log.error("chunk", "{} is damaged: its file has {} bytes", to_string(pending.key), size.value());
  table_.set_state(pending.key, ShardState::kDamaged);
}

// Whether the shard is served, and all of it was read just now.
Task<bool> DiskRecovery::is_whole(ShardKey key) {
  const ShardEntry* entry = table_.find(key);
  if (entry == nullptr || entry->state != ShardState::kSealed) co_return false;
  const Status verified = co_await verify_shard(env_, disks_[entry->disk].get(), key, *entry);
  entry = table_.find(key);
  co_return verified.has_value() && entry != nullptr && entry->state == ShardState::kSealed;
}

// What was found first may be sealed, on its way out, damaged, or nothing. Its record alone is no reason to give up the
// second, which may be the better.
Task<void> DiskRecovery::inspect_second(Pending second, std::string cluster_uuid) {
  const bool first_is_whole = co_await is_whole(second.key);
  const ShardEntry* entry = table_.find(second.key);
  if (entry == nullptr) {
    table_.put(second.key, {ShardState::kUnverified, second.disk->number(), 0, 0});
    co_return co_await inspect_unrecorded(second, std::move(cluster_uuid));
  }
  if (first_is_whole || entry->state == ShardState::kDeleting) {
    DOGFS_COVERAGE_MARK("chunk: a second file of a shard on another disk");
    writers_.adopt_leftover(second.key, {.disk = second.disk->number(), .recorded = second.recorded});
    co_return;
  }
  const size_t first = entry->disk;
  const Inspection found = co_await examine_twice(second, std::move(cluster_uuid));
  if (found.finding == Finding::kWhole && co_await record_again(second, found)) {
    writers_.adopt_leftover(second.key, {.disk = first, .recorded = true});
    co_return;
  }
  if (found.finding != Finding::kForeign) {
    const bool is_of_no_use = found.finding == Finding::kUnsealed;
    writers_.adopt_leftover(
        second.key, {.disk = second.disk->number(), .recorded = second.recorded, .until_deleted = !is_of_no_use});
    if (is_of_no_use) co_return;
  }
  ++counts_.foreign;
  env_.log.error("chunk", "{} is on two disks; that of disk {} is not served", to_string(second.key),
                 second.disk->number());
}

Task<void> DiskRecovery::inspect_unrecorded(Pending pending, std::string cluster_uuid) {
  for (int look = 1;; ++look) {
    const ShardEntry* entry = table_.find(pending.key);
    if (entry == nullptr || entry->state != ShardState::kUnverified) co_return;
    const Inspection found = co_await examine_twice(pending, cluster_uuid);
    if (found.finding != Finding::kUnreadable || look == kLooksAtUnreadable) {
      co_await settle(pending, found);
      co_return;
    }
    env_.log.warning("chunk", "{} cannot be verified yet: {}", to_string(pending.key), found.detail);
    if (!co_await stop_.sleep(kRetryInterval)) co_return;
  }
}

// What would give a shard up is seen twice before it is believed: a read may have gone to the wrong place, for once.
Task<DiskRecovery::Inspection> DiskRecovery::examine_twice(Pending pending, std::string cluster_uuid) {
  Inspection first = co_await examine(pending, cluster_uuid);
  if (first.finding == Finding::kWhole || first.finding == Finding::kUnreadable) co_return first;
  const Inspection second = co_await examine(pending, std::move(cluster_uuid));
  if (second.finding == first.finding) co_return first;
  co_return Inspection{Finding::kUnreadable, 0, 0, "two looks at it differ"};
}

Task<DiskRecovery::Inspection> DiskRecovery::examine(Pending pending, std::string cluster_uuid) {
  const auto unreadable = [](const Error& error) { return Inspection{Finding::kUnreadable, 0, 0, error.to_string()}; };
  const Result<std::shared_ptr<ShardFile>> file = co_await pending.disk->files().open(shard_file_name(pending.key));
  if (!file.has_value()) co_return unreadable(file.error());
  const Status dropped = co_await file.value()->drop_cache();
  if (!dropped.has_value()) co_return unreadable(dropped.error());
  const Result<uint64_t> size = co_await file.value()->size();
  if (!size.has_value()) co_return unreadable(size.error());
  if (size.value() < kShardHeaderBytes) co_return Inspection{Finding::kUnsealed, 0, 0, {}};

  const Result<Bytes> head = co_await file.value()->read(0, kShardHeaderBytes);
  if (!head.has_value()) co_return unreadable(head.error());
  const Result<ShardHeader> header = decode_shard_header(head.value().span());
  if (header.has_value() && (header.value().key != pending.key || header.value().cluster_uuid != cluster_uuid)) {
    co_return Inspection{Finding::kForeign, 0, 0, {}};
  }
  const Result<Bytes> end = co_await file.value()->read(size.value() - kShardAlignment, kShardAlignment);
  if (!end.has_value()) co_return unreadable(end.error());
  const std::optional<uint64_t> length = find_shard_footer(end.value().span(), size.value());
  if (!length) co_return Inspection{Finding::kUnsealed, 0, 0, {}};
  if (!header.has_value()) co_return Inspection{Finding::kDamaged, 0, 0, header.error().to_string()};
  co_return co_await examine_sealed(pending, file.value(), head.value(), *length);
}

Task<DiskRecovery::Inspection> DiskRecovery::examine_sealed(Pending pending, std::shared_ptr<ShardFile> file,
                                                            Bytes head, uint64_t length) {
  const auto failed = [](const Error& error) {
    const bool damaged = error_class(error.code) == ErrorClass::kCorrupt;
    return Inspection{damaged ? Finding::kDamaged : Finding::kUnreadable, 0, 0, error.to_string()};
  };
  const Result<Bytes> bytes = co_await file->read(shard_footer_offset(length), shard_footer_bytes(length));
  if (!bytes.has_value()) co_return failed(bytes.error());
  const Result<ShardFooter> footer = decode_shard_footer(bytes.value().span());
  if (!footer.has_value()) co_return failed(footer.error());
  if (footer.value().key != pending.key) {
    co_return failed(Error(ErrorCode::kCorrupt, "the footer is of another shard"));
  }
  const Status verified = co_await verify_data(pending, file, footer.value());
  if (!verified.has_value()) co_return failed(verified.error());
  Status durable = co_await write_anew(pending, file, 0, std::move(head));
  if (durable.has_value()) durable = co_await write_anew(pending, file, shard_footer_offset(length), bytes.value());
  if (durable.has_value()) durable = co_await file->sync();
  if (!durable.has_value()) {
    pending.disk->note_failure(durable.error());
    co_return failed(durable.error());
  }
  co_return Inspection{Finding::kWhole, length, footer.value().crc, {}};
}

// The data is also written anew. It may have been written just before a kill, and be in memory only; and a sync alone
// does not help where an earlier one has failed: its pages count as clean since then, although they are not on the disk.
Task<Status> DiskRecovery::verify_data(Pending pending, std::shared_ptr<ShardFile> file, ShardFooter footer) {
  for (uint64_t at = 0; at < footer.length; at += kMaxTransferBytes) {
    const uint64_t take = std::min<uint64_t>(kMaxTransferBytes, footer.length - at);
    DOGFS_CO_TRY(const Bytes bytes, co_await file->read(kShardHeaderBytes + at, shard_align_up(take)));
    const std::span<const uint32_t> crcs =
        std::span(footer.piece_crcs).subspan(at / kChecksumPieceBytes, piece_count(take));
    Status status = ok();
    co_await env_.compute.run([&] { status = verify_pieces(BytesChain(bytes.slice(0, take)), crcs); });
    DOGFS_CO_TRYV(status);
    DOGFS_CO_TRYV(co_await write_anew(pending, file, kShardHeaderBytes + at, bytes));
  }
  co_return ok();
}

Task<Status> DiskRecovery::write_anew(Pending pending, std::shared_ptr<ShardFile> file, uint64_t offset, Bytes bytes) {
  Status written = co_await file->write(offset, BytesChain(std::move(bytes)));
  if (!written.has_value()) pending.disk->note_failure(written.error());
  co_return written;
}

Task<void> DiskRecovery::settle(Pending pending, Inspection found) {
  switch (found.finding) {
    case Finding::kWhole:
      co_await record_again(pending, found);
      break;
    case Finding::kUnsealed:
      DOGFS_COVERAGE_MARK("chunk: a file without a footer found");
      ++counts_.unsealed;
      table_.erase(pending.key);
      writers_.adopt_leftover(pending.key, {.disk = pending.disk->number(), .recorded = pending.recorded});
      break;
    case Finding::kForeign:
      ++counts_.foreign;
      env_.log.warning("chunk", "the file of {} is not ours", to_string(pending.key));
      table_.erase(pending.key);
      break;
    case Finding::kDamaged:
    case Finding::kUnreadable:
      DOGFS_COVERAGE_MARK("chunk: an unrecorded file that is damaged");
      ++counts_.damaged;
      env_.log.error("chunk", "{} has no record and is damaged: {}", to_string(pending.key), found.detail);
      table_.set_state(pending.key, ShardState::kDamaged);
      break;
  }
}

// Whether that is done.
Task<bool> DiskRecovery::record_again(Pending pending, Inspection found) {
  const Status named = co_await pending.disk->wait_for(pending.disk->start_directory_sync());
  if (!named.has_value()) co_return false;
  const Status recorded = co_await pending.disk->record(pending.key, found.length, found.crc, false);
  if (!recorded.has_value()) co_return false;
  DOGFS_COVERAGE_MARK("chunk: a record rebuilt from its file");
  ++counts_.rebuilt;
  env_.log.info("chunk", "{} was sealed without a record, and is whole", to_string(pending.key));
  table_.put(pending.key, {ShardState::kSealed, pending.disk->number(), found.length, found.crc});
  co_return true;
}

}  // namespace dogfs
