#include "core/chunk/scrubber.h"

#include <algorithm>

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

}  // namespace

Scrubber::Scrubber(Env& env, const ChunkOptions& options, std::vector<std::unique_ptr<ShardDisk>>& disks,
                   ShardTable& table, ShardReader& reader, StopSignal& stop)
    : env_(env), options_(options), disks_(disks), table_(table), reader_(reader), stop_(stop), suspected_(env.clock) {}

void Scrubber::start(TaskGroup& tasks) {
  for (const auto& disk : disks_) {
    passes_.push_back(std::make_unique<Pass>(
        Pass{disk.get(), {}, TokenBucket(options_.scrub_bytes_per_s, options_.scrub_bytes_per_s)}));
    tasks.spawn(run_passes(passes_.back().get()));
  }
  tasks.spawn(run_suspects());
}

void Scrubber::verify_soon(const std::vector<ShardKey>& keys) {
  for (const ShardKey& key : keys) {
    if (suspects_.size() < kMaxWaitingSuspects) suspects_.push_back(key);
  }
  suspected_.notify_all();
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
  if (!value.has_value() || !value.value()) co_return;
  Result<wire::ScrubProgress> progress = parse_message<wire::ScrubProgress>(*value.value());
  if (progress.has_value()) pass->progress = std::move(progress).value();
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
    if (entry->second.disk == pass.disk->number() && entry->second.state == ShardState::kSealed) return &entry->first;
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
    co_await verify(key);
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
    if (suspects_.empty()) {
      co_await suspected_.wait_until(env_.clock.now() + kIdlePause);
      continue;
    }
    const ShardKey key = suspects_.front();
    suspects_.pop_front();
    co_await verify(key);
  }
}

Task<void> Scrubber::verify(ShardKey key) {
  Status found = ok();
  int corrupt = 0;
  for (int attempt = 1; attempt <= kReadAttempts; ++attempt) {
    const ShardEntry* entry = table_.find(key);
    if (entry == nullptr || entry->state != ShardState::kSealed) co_return;
    const size_t disk = entry->disk;
    found = co_await verify_shard(env_, disks_[disk].get(), key, *entry);
    if (found.has_value()) co_return;
    note_read_failure(disks_, *disks_[disk], found.error());
    if (error_class(found.error().code) == ErrorClass::kCorrupt && ++corrupt == kLooksAtDamage) break;
    if (!co_await stop_.sleep(kReadRetryPause)) co_return;
  }
  // It may have been deleted meanwhile, or its file may be on its way out.
  const ShardEntry* entry = table_.find(key);
  if (entry == nullptr || entry->state != ShardState::kSealed) co_return;
  if (corrupt < kLooksAtDamage) {
    env_.log.warning("chunk", "{} cannot be verified: {}", to_string(key), found.error().to_string());
    co_return;
  }
  env_.log.error("chunk", "{} is damaged: {}", to_string(key), found.error().to_string());
  table_.set_state(key, ShardState::kDamaged);
  reader_.forget(key);
}

}  // namespace dogfs
