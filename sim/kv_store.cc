#include "sim/kv_store.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/limits.h"
#include "sim/trace_events.h"

namespace dogfs::sim {

class KvDisk::Snapshot final : public KvReader {
 public:
  Snapshot(std::shared_ptr<KvDisk> disk, uint64_t sequence) : disk_(std::move(disk)), sequence_(sequence) {}
  ~Snapshot() override { disk_->release_snapshot(sequence_); }

  Result<std::optional<std::string>> get(std::string_view key) const override {
    const auto row = disk_->rows_.find(key);
    const std::string* value = row == disk_->rows_.end() ? nullptr : disk_->visible(row->second, sequence_);
    return value == nullptr ? std::optional<std::string>() : std::optional<std::string>(*value);
  }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return disk_->scan_at(begin, end, visit, sequence_);
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return disk_->scan_backward_at(begin, end, visit, sequence_);
  }

 private:
  std::shared_ptr<KvDisk> disk_;
  uint64_t sequence_;
};

const std::string* KvDisk::visible(const Row& row, uint64_t sequence) const {
  const Version* version = &row.newest;
  for (size_t i = row.older.size(); version->sequence > sequence; --i) {
    if (i == 0) return nullptr;
    version = &row.older[i - 1];
  }
  return version->value ? &*version->value : nullptr;
}

Result<std::optional<std::string>> KvDisk::get(std::string_view key) const {
  const auto row = rows_.find(key);
  return row == rows_.end() ? std::optional<std::string>() : row->second.newest.value;
}

Status KvDisk::scan(std::string_view begin, std::string_view end, const Visitor& visit) const {
  return scan_at(begin, end, visit, sequence_);
}

Status KvDisk::scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const {
  return scan_backward_at(begin, end, visit, sequence_);
}

KvDisk::Rows::const_iterator KvDisk::end_of(std::string_view end) const {
  return end.empty() ? rows_.end() : rows_.lower_bound(end);
}

Status KvDisk::scan_at(std::string_view begin, std::string_view end, const Visitor& visit, uint64_t sequence) const {
  if (!end.empty() && end <= begin) return ok();
  const auto last = end_of(end);
  for (auto row = rows_.lower_bound(begin); row != last; ++row) {
    const std::string* value = visible(row->second, sequence);
    if (value != nullptr && !visit(row->first, *value)) break;
  }
  return ok();
}

Status KvDisk::scan_backward_at(std::string_view begin, std::string_view end, const Visitor& visit,
                                uint64_t sequence) const {
  if (!end.empty() && end <= begin) return ok();
  const auto first = rows_.lower_bound(begin);
  for (auto row = end_of(end); row != first;) {
    --row;
    const std::string* value = visible(row->second, sequence);
    if (value != nullptr && !visit(row->first, *value)) break;
  }
  return ok();
}

std::shared_ptr<const KvReader> KvDisk::snapshot() {
  snapshots_.insert(sequence_);
  return std::make_shared<Snapshot>(shared_from_this(), sequence_);
}

void KvDisk::release_snapshot(uint64_t sequence) {
  const auto held = snapshots_.find(sequence);
  DOGFS_CHECK(held != snapshots_.end());
  const bool was_oldest = held == snapshots_.begin();
  snapshots_.erase(held);
  if (!was_oldest) return;
  const uint64_t oldest = snapshots_.empty() ? sequence_ : *snapshots_.begin();
  for (auto key = stale_.begin(); key != stale_.end();) {
    const auto row = rows_.find(*key);
    if (row != rows_.end()) prune(row, oldest);
    const auto kept = rows_.find(*key);
    const bool clean = kept == rows_.end() || (kept->second.older.empty() && kept->second.newest.value);
    key = clean ? stale_.erase(key) : std::next(key);
  }
}

// Drops the versions of `row` that no snapshot from `oldest_snapshot` on can see.
void KvDisk::prune(Rows::iterator row, uint64_t oldest_snapshot) {
  std::vector<Version>& older = row->second.older;
  while (!older.empty()) {
    const uint64_t successor = older.size() > 1 ? older[1].sequence : row->second.newest.sequence;
    if (successor > oldest_snapshot) return;
    older.erase(older.begin());
  }
  if (!row->second.newest.value && row->second.newest.sequence <= oldest_snapshot) rows_.erase(row);
}

// Sets one row in the present batch, and adds what it was to `undo`.
void KvDisk::set(const std::string& key, std::optional<std::string> value, std::vector<Undo>* undo) {
  auto row = rows_.find(key);
  if (watcher_ && key.starts_with(watched_prefix_)) {
    digest_change(key, row == rows_.end() ? std::nullopt : row->second.newest.value, value);
  }
  if (row == rows_.end()) {
    if (undo != nullptr) undo->push_back({key, std::nullopt});
    if (value) rows_.emplace(key, Row{{sequence_, std::move(value)}, {}});
    return;
  }
  Version& newest = row->second.newest;
  const bool seen = !snapshots_.empty() && *snapshots_.rbegin() >= newest.sequence;
  if (undo != nullptr) undo->push_back({key, seen ? newest.value : std::move(newest.value)});
  if (seen) {
    row->second.older.push_back(std::move(newest));
    stale_.insert(key);
  }
  newest = Version{sequence_, std::move(value)};
  if (!newest.value && row->second.older.empty()) rows_.erase(row);
}

void KvDisk::erase_range(const WriteBatch::EraseRange& range, std::vector<Undo>& undo) {
  std::vector<std::string> keys;
  const Status scanned = scan_at(
      range.begin, range.end,
      [&](std::string_view key, std::string_view) {
        keys.emplace_back(key);
        return true;
      },
      sequence_);
  DOGFS_CHECK(scanned.has_value());
  for (const std::string& key : keys) set(key, std::nullopt, &undo);
}

void KvDisk::apply(const WriteBatch& batch) {
  ++sequence_;
  std::vector<Undo>& undo = unsynced_.emplace_back();
  for (const WriteBatch::Operation& operation : batch.operations()) {
    if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) {
      set(put->key, put->value, &undo);
    } else if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) {
      set(erase->key, std::nullopt, &undo);
    } else {
      erase_range(std::get<WriteBatch::EraseRange>(operation), undo);
    }
  }
  tell_watcher();
  if (on_apply_) on_apply_(batch);
}

void KvDisk::watch(std::string prefix, std::function<void()> changed) {
  watched_prefix_ = std::move(prefix);
  watcher_ = std::move(changed);
  watched_digest_ = 0;
  for (auto row = rows_.lower_bound(watched_prefix_); row != rows_.end() && row->first.starts_with(watched_prefix_);
       ++row) {
    digest_change(row->first, std::nullopt, row->second.newest.value);
  }
}

// The digest is a sum, so that it does not depend on the order of the changes, and a row is taken back by subtraction.
void KvDisk::digest_change(std::string_view key, const std::optional<std::string>& before,
                           const std::optional<std::string>& after) {
  const uint32_t key_sum = crc32c(key);
  const auto digest = [key_sum](const std::string& value) {
    return mix64((uint64_t{key_sum} << 32) | crc32c(value, key_sum));
  };
  if (before) watched_digest_ -= digest(*before);
  if (after) watched_digest_ += digest(*after);
  watched_changed_ = true;
}

void KvDisk::tell_watcher() {
  if (std::exchange(watched_changed_, false)) watcher_();
}

void KvDisk::mark_durable(uint64_t sequence) {
  DOGFS_CHECK(sequence <= sequence_);
  while (sequence_ - unsynced_.size() < sequence) unsynced_.pop_front();
}

DiskSpace KvDisk::space() {
  if (trouble_.rows_nearly_full == 0) return space_;
  harms_.count(Harm::kRowsNearlyFull);
  return {.total_bytes = space_.total_bytes, .free_bytes = kMiB};
}

void KvDisk::wipe() {
  // Of a program that died in this same moment there may be snapshots left: they stay what they were.
  ++sequence_;
  std::vector<std::string> keys;
  keys.reserve(rows_.size());
  for (const auto& [key, row] : rows_) keys.push_back(key);
  for (const std::string& key : keys) set(key, std::nullopt, nullptr);
  unsynced_.clear();
  watched_changed_ = false;
  fail_next_sync_ = false;
  hangs_ = false;
  space_ = DiskSpace{.total_bytes = kRowsDiskBytes, .free_bytes = kRowsDiskBytes};
}

bool KvDisk::hangs() {
  if (hangs_) harms_.count(Harm::kUnanswered);
  return hangs_;
}

bool KvDisk::take_sync_failure() {
  if (!std::exchange(fail_next_sync_, false)) return false;
  harms_.count(Harm::kRowFailedSync);
  return true;
}

void KvDisk::crash(RandomStream& draws) {
  hangs_ = false;
  const uint64_t kept = draws.below(unsynced_.size() + 1);
  harms_.count(Harm::kRowsLost, unsynced_.size() - kept);
  // Undoing is a batch of its own, so that a snapshot that somebody still holds stays what it was.
  ++sequence_;
  while (unsynced_.size() > kept) {
    std::vector<Undo>& undo = unsynced_.back();
    for (auto change = undo.rbegin(); change != undo.rend(); ++change) {
      set(change->key, std::move(change->value), nullptr);
    }
    unsynced_.pop_back();
  }
  unsynced_.clear();
  tell_watcher();
}

Task<Status> SimKvStore::write(WriteBatch batch, Durability durability) {
  auto done = std::make_shared<Done>();
  Simulator& simulator = executor_.simulator();
  const Duration delay = delays_.between(speed_.write_min, speed_.write_max);
  last_visible_ = std::max(last_visible_ + Duration(1), simulator.now() + delay);
  simulator.at(executor_.incarnation(), last_visible_,
               [this, batch = std::move(batch), durability, done] { become_visible(batch, durability, done); });
  return Done::wait(executor_, std::move(done));
}

void SimKvStore::give_up() {
  given_up_ = true;
  std::vector<std::shared_ptr<Done>> left = std::exchange(stuck_, {});
  std::ranges::move(std::exchange(waiting_for_sync_, {}), std::back_inserter(left));
  for (const std::shared_ptr<Done>& done : left) {
    done->set(executor_.simulator(), Error(ErrorCode::kIoError, "given up"));
  }
}

void SimKvStore::hold(const std::vector<std::shared_ptr<Done>>& writes) {
  stuck_.insert(stuck_.end(), writes.begin(), writes.end());
  if (given_up_) give_up();
}

void SimKvStore::become_visible(const WriteBatch& batch, Durability durability, const std::shared_ptr<Done>& done) {
  if (disk_->hangs()) return hold({done});
  if (failed_) {
    done->set_and_resume(executor_.simulator(), Error(ErrorCode::kIoError, "an earlier write or sync failed"));
    return;
  }
  if (disk_->trouble().read_only > 0) {
    disk_->harms().count(Harm::kReadOnly);
    done->set_and_resume(executor_.simulator(), Error(ErrorCode::kIoError, "read-only"));
    return;
  }
  if (Status struck = strike_write(); !struck.has_value()) {
    done->set_and_resume(executor_.simulator(), std::move(struck));
    return;
  }
  disk_->apply(batch);
  if (durability == Durability::kBuffered) {
    done->set_and_resume(executor_.simulator(), ok());
    return;
  }
  waiting_for_sync_.push_back(done);
  start_sync();
}

// A store that could not write once takes no more writes: it does not know what of the batch is in its log.
Status SimKvStore::strike_write() {
  const DiskTrouble& trouble = disk_->trouble();
  if (trouble.rows_full > 0) {
    failed_ = true;
    disk_->harms().count(Harm::kRowsFull);
    return Error(ErrorCode::kNoSpace, "no room for rows");
  }
  if (trouble.row_write_errors_per_million > 0 && trouble_draws_.chance(trouble.row_write_errors_per_million)) {
    failed_ = true;
    disk_->harms().count(Harm::kRowWriteError);
    return Error(ErrorCode::kIoError, "write failed");
  }
  return ok();
}

void SimKvStore::start_sync() {
  if (syncing_ || waiting_for_sync_.empty()) return;
  syncing_ = true;
  Duration delay = delays_.between(speed_.sync_min, speed_.sync_max);
  if (delays_.chance(10'000)) delay = delays_.between(speed_.sync_max, speed_.slow_sync_max);
  delay += trouble_delay();
  Simulator& simulator = executor_.simulator();
  simulator.at(
      executor_.incarnation(), simulator.now() + delay,
      [this, begin = simulator.now(), covered = disk_->sequence(), served = std::exchange(waiting_for_sync_, {})] {
        Simulator& world = executor_.simulator();
        if (Recording* recording = world.recording()) {
          recording->synced(begin, world.now(), executor_.incarnation().node);
        }
        finish_sync(covered, served);
      });
}

Duration SimKvStore::trouble_delay() {
  const DiskTrouble& trouble = disk_->trouble();
  if (trouble.delay_max == Duration::zero()) return Duration::zero();
  disk_->harms().count(Harm::kRowDelay);
  return trouble_draws_.between(trouble.delay_min, trouble.delay_max);
}

void SimKvStore::finish_sync(uint64_t covered, const std::vector<std::shared_ptr<Done>>& served) {
  if (disk_->hangs()) return hold(served);
  syncing_ = false;
  failed_ = failed_ || disk_->take_sync_failure();
  if (!failed_) disk_->mark_durable(covered);
  for (const std::shared_ptr<Done>& done : served) {
    done->set(executor_.simulator(), failed_ ? Status(Error(ErrorCode::kIoError, "sync failed")) : ok());
  }
  start_sync();
}

}  // namespace dogfs::sim
