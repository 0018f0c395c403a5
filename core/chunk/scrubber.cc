#include "core/chunk/scrubber.h"

#include <algorithm>

#include "core/base/coverage_mark.h"
#include "core/chunk/shard_format.h"
#include "core/chunk/shard_verifier.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr std::string_view kProgressKey = "scrub";
constexpr int kShardsPerSave = 256;
constexpr int kReadAttempts = 3;
// A read may have gone to the wrong place, for once: damage is what is seen twice.
constexpr int kLooksAtDamage = 2;
static_assert(kLooksAtDamage <= kReadAttempts);
constexpr Duration kReadRetryPause = seconds(1);
constexpr Duration kIdlePause = seconds(1);
constexpr size_t kMaxWaitingSuspects = 4'096;
// What every look failed to read with an I/O error, over this time, cannot be read.
constexpr int kLooksAtUnreadable = 4;
constexpr Duration kPauseBetweenLooks = seconds(10);
constexpr size_t kMaxDoubts = 4'096;
// Between looks at what counts as unreadable, as long as they fail.
constexpr Duration kPauseBetweenHopes = std::chrono::minutes(1);
constexpr size_t kNeighbours = 3;
constexpr size_t kLookedForNeighbours = 20'000;
// How long one who works on a shard is waited for. Only its removal takes long, and then there is nothing to record.
constexpr Duration kTurnPatience = seconds(10);

bool is_looked_at(ShardState state) {
  return state == ShardState::kSealed || state == ShardState::kUnreadable;
}

}  // namespace

Scrubber::Scrubber(Env& env, const ChunkOptions& options, std::vector<std::unique_ptr<ShardDisk>>& disks,
                   ShardTable& table, KeyTurns& turns, ShardReader& reader, StopSignal& stop)
    : env_(env),
      options_(options),
      disks_(disks),
      table_(table),
      turns_(turns),
      reader_(reader),
      stop_(stop),
      suspected_(env.clock) {}

void Scrubber::start(TaskGroup& tasks) {
  for (const auto& disk : disks_) {
    passes_.push_back(std::make_unique<Pass>(
        Pass{disk.get(), {}, TokenBucket(options_.scrub_bytes_per_s, options_.scrub_bytes_per_s)}));
    tasks.spawn(run_passes(passes_.back().get()));
  }
  for (const ShardKey& key : table_.damaged()) {
    if (is_looked_at(table_.find(key)->state)) suspect(key);
  }
  tasks.spawn(run_suspects());
}

void Scrubber::verify_soon(const std::vector<ShardKey>& keys) {
  for (const ShardKey& key : keys) {
    const ShardEntry* entry = table_.find(key);
    // One in doubt has its looks already.
    if (entry == nullptr || entry->state != ShardState::kSealed || doubts_.contains(key)) continue;
    suspect(key);
  }
  suspected_.notify_all();
}

void Scrubber::suspect(const ShardKey& key) {
  if (suspects_.size() < kMaxWaitingSuspects && waiting_.insert(key).second) suspects_.push_back(key);
}

int64_t Scrubber::wall_ms() const {
  return std::chrono::floor<milliseconds>(env_.clock.wall().time_since_epoch()).count();
}

int64_t Scrubber::last_pass_ms() const {
  int64_t oldest = wall_ms();
  for (const auto& pass : passes_) {
    if (pass->progress.finished_wall_ms() == 0) return -1;
    oldest = std::min(oldest, pass->progress.finished_wall_ms());
  }
  return passes_.empty() ? -1 : wall_ms() - oldest;
}

// What stands before the cursor was read by the pass that is under way, and the rest by the last full one: nothing longer
// ago than that one began. What was written since then was read by nobody yet, and is younger.
void Scrubber::describe(size_t disk, wire::DiskInfo& info) const {
  info.set_last_scrub_ms(-1);
  info.set_all_read_ms(-1);
  if (disk >= passes_.size()) return;
  const wire::ScrubProgress& progress = passes_[disk]->progress;
  if (progress.finished_wall_ms() > 0) info.set_last_scrub_ms(wall_ms() - progress.finished_wall_ms());
  if (progress.full_began_wall_ms() > 0) info.set_all_read_ms(wall_ms() - progress.full_began_wall_ms());
}

Task<void> Scrubber::load(Pass* pass) {
  const std::shared_ptr<const KvReader> store = pass->disk->records().snapshot();
  Result<std::optional<std::string>> value = std::optional<std::string>();
  co_await env_.compute.run([&] { value = store->get(kProgressKey); });
  if (!value.has_value()) {
    co_return distrust(disks_, *pass->disk, "its records cannot be read: " + value.error().to_string());
  }
  if (!value.value()) co_return;
  Result<wire::ScrubProgress> progress = parse_message<wire::ScrubProgress>(*value.value());
  if (progress.has_value()) {
    pass->progress = std::move(progress).value();
  } else {
    env_.log.warning("chunk", "where the scrub of disk {} was cannot be told: it begins anew", pass->disk->number());
  }
}

// Where a pass is may be lost: some shards are then read again.
Task<void> Scrubber::save(Pass* pass) {
  WriteBatch batch;
  batch.put(std::string(kProgressKey), pass->progress.SerializeAsString());
  const Status saved = co_await pass->disk->records().write(std::move(batch), Durability::kBuffered);
  if (!saved.has_value()) pass->disk->mark_bad(saved.error());
}

Task<void> Scrubber::run_passes(Pass* pass) {
  co_await load(pass);
  while (!stop_.stopping() && !pass->disk->bad()) {
    const int64_t since_ms = wall_ms() - pass->progress.began_wall_ms();
    const int64_t interval_ms = std::chrono::floor<milliseconds>(options_.scrub_interval).count();
    // A wall clock that was set back must not stop the scrubbing: the wait is at most one interval.
    const bool due = !pass->progress.next().empty() || since_ms >= interval_ms || since_ms < 0;
    if (!due && !co_await stop_.sleep(std::min<Duration>(kIdlePause, options_.scrub_interval))) co_return;
    if (due && !co_await run_pass(pass)) co_return;
  }
}

const ShardKey* Scrubber::next_key(const Pass& pass) const {
  const std::optional<ShardKey> from = parse_shard_record_key(pass.progress.next());
  const auto& entries = table_.entries();
  for (auto entry = from ? entries.lower_bound(*from) : entries.begin(); entry != entries.end(); ++entry) {
    if (entry->second.disk == pass.disk->number() && is_looked_at(entry->second.state)) return &entry->first;
  }
  return nullptr;
}

// Goes on with the pass, or begins one. False when the server stops.
Task<bool> Scrubber::run_pass(Pass* pass) {
  if (pass->progress.next().empty()) pass->progress.set_began_wall_ms(wall_ms());
  int unsaved = 0;
  while (const ShardKey* next = next_key(*pass)) {
    const ShardKey key = *next;
    pass->progress.set_next(shard_record_key(key));
    if (++unsaved % kShardsPerSave == 0) co_await save(pass);
    const Duration wait = pass->bucket.take(table_.find(key)->length, env_.clock.now());
    if (wait > Duration(0) && !co_await stop_.sleep(wait)) co_return false;
    if (!doubts_.contains(key)) co_await verify(key, kReadAttempts);
    if (stop_.stopping() || pass->disk->bad()) co_return false;
    pass->progress.set_next(
        shard_record_key({.block = key.block, .index = key.index, .generation = key.generation.next()}));
  }
  pass->progress.clear_next();
  pass->progress.set_finished_wall_ms(wall_ms());
  pass->progress.set_full_began_wall_ms(pass->progress.began_wall_ms());
  co_await save(pass);
  // Also where there is nothing to read: others get their turn.
  co_return co_await stop_.sleep(milliseconds(1));
}

Task<void> Scrubber::run_suspects() {
  while (!stop_.stopping()) {
    const std::optional<ShardKey> key = next_suspect();
    if (!key) {
      co_await suspected_.wait_until(env_.clock.now() + kIdlePause);
      continue;
    }
    const ShardEntry* entry = table_.find(*key);
    const bool failed_before = doubts_.contains(*key) || (entry != nullptr && is_damaged(entry->state));
    co_await verify(*key, failed_before ? 1 : kReadAttempts);
  }
}

// What was named first, then what is due for another look.
std::optional<ShardKey> Scrubber::next_suspect() {
  if (!suspects_.empty()) {
    const ShardKey key = suspects_.front();
    suspects_.pop_front();
    waiting_.erase(key);
    return key;
  }
  const MonoTime now = env_.clock.now();
  const auto due = std::ranges::find_if(doubts_, [now](const auto& doubt) { return doubt.second.next <= now; });
  return due == doubts_.end() ? next_unreadable() : due->first;
}

// Those that count as unreadable have their turns one by one.
std::optional<ShardKey> Scrubber::next_unreadable() {
  if (env_.clock.now() < next_hope_) return std::nullopt;
  next_hope_ = env_.clock.now() + kPauseBetweenHopes;
  const std::set<ShardKey>& damaged = table_.damaged();
  const auto is_unreadable = [this](const ShardKey& key) { return table_.find(key)->state == ShardState::kUnreadable; };
  auto next = std::find_if(damaged.upper_bound(last_hope_), damaged.end(), is_unreadable);
  if (next == damaged.end()) next = std::ranges::find_if(damaged, is_unreadable);
  if (next == damaged.end()) return std::nullopt;
  last_hope_ = *next;
  return last_hope_;
}

Task<void> Scrubber::verify(ShardKey key, int attempts) {
  Status found = ok();
  int corrupt = 0;
  for (int attempt = 1; attempt <= attempts; ++attempt) {
    const ShardEntry* entry = table_.find(key);
    if (entry == nullptr || !is_looked_at(entry->state)) break;
    const size_t disk = entry->disk;
    found = co_await verify_shard(env_, disks_[disk].get(), key, *entry);
    if (found.has_value()) break;
    note_read_failure(disks_, *disks_[disk], key, found.error());
    const bool is_corrupt = error_class(found.error().code) == ErrorClass::kCorrupt;
    // Damage is looked at twice, whoever has asked for one look only.
    if (is_corrupt && ++corrupt == kLooksAtDamage) break;
    if (is_corrupt) attempts = std::max(attempts, attempt + 1);
    if (attempt < attempts && !co_await stop_.sleep(kReadRetryPause)) co_return;
  }
  const bool unreadable = !found.has_value() && found.error().code == ErrorCode::kIoError;
  const bool disk_reads = unreadable && co_await disk_reads_anything(key);
  if (stop_.stopping()) co_return;
  // It may have been deleted meanwhile, or its file may be on its way out.
  const ShardEntry* entry = table_.find(key);
  if (entry == nullptr || !is_looked_at(entry->state)) {
    doubts_.erase(key);
  } else if (corrupt == kLooksAtDamage) {
    co_await mark(key, ShardState::kDamaged, found.error());
  } else {
    co_await judge(key, found, disk_reads);
  }
}

// After a look that found no damage.
Task<void> Scrubber::judge(ShardKey key, Status found, bool disk_reads) {
  const bool was_unreadable = table_.find(key)->state == ShardState::kUnreadable;
  if (found.has_value()) {
    doubts_.erase(key);
    table_.set_read_through(key, env_.clock.now());
    if (!was_unreadable) co_return;
    env_.log.warning("chunk", "{} can be read again", to_string(key));
    next_hope_ = env_.clock.now();  // others may be, too
    co_return co_await set_state(key, ShardState::kSealed);
  }
  table_.set_read_through(key, std::nullopt);
  if (was_unreadable) co_return;
  env_.log.warning("chunk", "{} cannot be verified: {}", to_string(key), found.error().to_string());
  if (!doubts_.contains(key) && doubts_.size() == kMaxDoubts) co_return;
  Doubt& doubt = doubts_[key];
  doubt.next = env_.clock.now() + kPauseBetweenLooks;
  ++(disk_reads ? doubt.looks : doubt.silent_looks);
  ShardDisk& disk = *disks_[table_.find(key)->disk];
  const bool silent = doubt.silent_looks >= kLooksAtUnreadable;
  if (silent) distrust(disks_, disk, "all reads failed of late, the last: " + found.error().to_string());
  // From a disk that has been taken out all is moved anyway.
  const bool lost = doubt.looks >= kLooksAtUnreadable || (silent && !disk.bad());
  if (!lost) co_return;
  DOGFS_COVERAGE_MARK("chunk: a shard that cannot be read");
  co_await mark(key, ShardState::kUnreadable, found.error());
}

Task<void> Scrubber::mark(ShardKey key, ShardState state, Error found) {
  doubts_.erase(key);
  env_.log.error("chunk", "{} {}: {}", to_string(key),
                 state == ShardState::kDamaged ? "is damaged" : "cannot be read and counts as damaged",
                 found.to_string());
  reader_.forget(key);
  co_await set_state(key, state);
}

// In memory at once, then on record. What is being removed must not get a record again.
Task<void> Scrubber::set_state(ShardKey key, ShardState state) {
  table_.set_state(key, state);
  if (!co_await turns_.take(key, env_.clock.now() + kTurnPatience)) {
    env_.log.warning("chunk", "{} is not recorded as it was found: it is being worked on", to_string(key));
    co_return;
  }
  const ShardEntry* entry = table_.find(key);
  ShardDisk* const disk = entry == nullptr ? nullptr : disks_[entry->disk].get();
  if (disk != nullptr && entry->state == state && !disk->bad()) {
    const Status recorded = co_await disk->record(key, entry->length, entry->crc, is_damaged(state));
    if (!recorded.has_value()) {
      env_.log.error("chunk", "{} is not recorded as it was found: {}", to_string(key), recorded.error().to_string());
    }
  }
  turns_.give_back(key);
}

// Whether the disk of a shard that gives I/O errors reads some other part of it, or of its neighbours.
Task<bool> Scrubber::disk_reads_anything(ShardKey failing) {
  const ShardEntry* entry = table_.find(failing);
  if (entry == nullptr) co_return false;
  ShardDisk* const disk = disks_[entry->disk].get();
  const uint64_t footer_at = shard_footer_offset(entry->length);
  const std::vector<ShardKey> others = neighbours(failing);
  if (co_await can_read(disk, failing, 0) || co_await can_read(disk, failing, footer_at)) co_return true;
  for (const ShardKey& other : others) {
    if (co_await can_read(disk, other, 0)) co_return true;
  }
  co_return false;
}

Task<bool> Scrubber::can_read(ShardDisk* disk, ShardKey key, uint64_t offset) {
  const Result<std::shared_ptr<ShardFile>> file = co_await disk->files().open(shard_file_name(key));
  if (!file.has_value()) co_return false;
  const Result<Bytes> read = co_await file.value()->read(offset, kShardAlignment);
  co_return read.has_value();
}

// Of the same disk, in the order of the keys.
std::vector<ShardKey> Scrubber::neighbours(const ShardKey& key) const {
  const std::map<ShardKey, ShardEntry>& entries = table_.entries();
  const size_t disk = table_.find(key)->disk;
  std::vector<ShardKey> found;
  auto next = entries.upper_bound(key);
  const size_t steps = std::min(entries.size(), kLookedForNeighbours);
  for (size_t i = 0; i < steps && found.size() < kNeighbours; ++i) {
    if (next == entries.end()) next = entries.begin();
    const auto& [other, entry] = *next++;
    if (other != key && entry.disk == disk && entry.state == ShardState::kSealed) found.push_back(other);
  }
  return found;
}

}  // namespace dogfs
