#include "sim/years_rebuilds.h"

#include <algorithm>
#include <utility>

#include "core/chunk/chunk_server.h"
#include "core/ec/geometry.h"
#include "core/ec/policy_wire.h"

namespace dogfs::sim {
namespace {

// As BackgroundPace: a quarter of a second's bytes at once.
constexpr uint64_t kBurstsPerSecond = 4;
// How long a target tries before it says that it cannot.
constexpr Duration kReadTimeout = seconds(10);

ShardKey key_of(const wire::RepairOrder& order) {
  const wire::ShardName& name = order.shard();
  return {BlockId(name.block()), ShardIndex(name.index()), ShardGeneration(name.generation())};
}

MonoTime mono(VirtualTime time) {
  return MonoTime(time.time_since_epoch());
}

}  // namespace

YearsRebuilds::YearsRebuilds(Simulator& simulator, YearsFleet& fleet, const YearsLedger& ledger,
                             const YearsOptions& options)
    : simulator_(simulator), fleet_(fleet), ledger_(ledger), options_(options) {
  const uint64_t rate = options.repair_bytes_per_s;
  for (SlotIndex slot = 0; slot < fleet.slots(); ++slot) {
    workers_.push_back({.bucket = TokenBucket(rate, rate / kBurstsPerSecond + 1)});
  }
}

bool YearsRebuilds::idle() const {
  return std::ranges::all_of(workers_, [](const Worker& worker) { return worker.known.empty(); });
}

void YearsRebuilds::request(SlotIndex slot, const wire::RepairOrder& order) {
  const ShardKey key = key_of(order);
  if (fleet_.server(slot).shards.contains(key)) return tell(slot, order, ErrorCode::kOk);
  Worker& worker = workers_[slot];
  if (!worker.known.insert(key).second) return;
  worker.queue.push_back({.order = order, .key = key});
  start_next(slot);
}

void YearsRebuilds::drop(SlotIndex slot, const ShardKey& key) {
  Worker& worker = workers_[slot];
  if (worker.known.erase(key) == 0) return;
  std::erase_if(worker.queue, [&key](const Rebuild& rebuild) { return rebuild.key == key; });
  if (worker.running.erase(key) > 0) start_next(slot);
}

void YearsRebuilds::forget(SlotIndex slot) {
  workers_[slot].queue.clear();
  workers_[slot].running.clear();
  workers_[slot].known.clear();
}

void YearsRebuilds::start_next(SlotIndex slot) {
  Worker& worker = workers_[slot];
  while (worker.running.size() < ChunkOptions().max_repairs && !worker.queue.empty()) {
    Rebuild rebuild = std::move(worker.queue.front());
    worker.queue.pop_front();
    classify(rebuild);
    const ShardKey key = rebuild.key;
    worker.running.emplace(key, std::move(rebuild));
    read_more(slot, key);
  }
}

// A disk, or a server, takes all with it that a shard stands for; a latent error spoils that one alone.
void YearsRebuilds::classify(Rebuild& rebuild) const {
  const ListedShard replaced = ledger_.listed(rebuild.key.block, rebuild.key.index);
  const HeldShard* held = fleet_.find(replaced.server, replaced.key);
  rebuild.cause = held == nullptr ? Cause::kGone : held->spoilt ? Cause::kSpoilt : Cause::kInVain;
  rebuild.bytes = rebuild.order.length() * (rebuild.cause == Cause::kSpoilt ? 1 : options_.scale());
}

// Who reads a spoilt shard finds that out.
bool YearsRebuilds::can_read(const wire::Shard& source, const ShardKey& key) {
  const std::optional<SlotIndex> slot = fleet_.slot_of(ServerId(source.server()));
  if (!slot || !fleet_.server(*slot).up || !fleet_.server(*slot).registered) return false;
  const ShardKey wanted{key.block, ShardIndex(source.index()), ShardGeneration(source.generation())};
  const HeldShard* held = fleet_.find(ServerId(source.server()), wanted);
  if (held == nullptr) return false;
  if (held->spoilt) fleet_.find_damage(*slot, wanted);
  return !held->spoilt;
}

Duration YearsRebuilds::charge(SlotIndex slot, uint64_t bytes) {
  return workers_[slot].bucket.take(bytes, mono(simulator_.now()));
}

// As many more sources as are missing, or none where there are not so many.
void YearsRebuilds::read_more(SlotIndex slot, const ShardKey& key) {
  Rebuild& rebuild = workers_[slot].running.at(key);
  const size_t needed = rebuild.order.policy().data_shards();
  std::vector<const wire::Shard*> chosen;
  for (const wire::Shard& source : rebuild.order.sources()) {
    if (rebuild.read.size() + chosen.size() == needed) break;
    if (rebuild.read.contains(source.index()) || rebuild.refused.contains(source.index())) continue;
    if (source.index() == key.index.value()) continue;
    if (can_read(source, key)) {
      chosen.push_back(&source);
    } else {
      rebuild.refused.insert(source.index());
    }
  }
  if (rebuild.read.size() + chosen.size() < needed) return later(slot, key, kReadTimeout, &YearsRebuilds::give_up);
  Duration wait = charge(slot, rebuild.bytes * chosen.size());
  for (const wire::Shard* source : chosen) {
    wait = std::max(wait, charge(*fleet_.slot_of(ServerId(source->server())), rebuild.bytes));
    rebuild.read.insert(source->index());
  }
  counts_.bytes_read += rebuild.bytes * chosen.size();
  later(slot, key, wait, &YearsRebuilds::check);
}

// Its sources must have been there until the end.
void YearsRebuilds::check(SlotIndex slot, const ShardKey& key) {
  Rebuild& rebuild = workers_[slot].running.at(key);
  for (const wire::Shard& source : rebuild.order.sources()) {
    if (!rebuild.read.contains(source.index()) || can_read(source, key)) continue;
    rebuild.read.erase(source.index());
    rebuild.refused.insert(source.index());
  }
  if (rebuild.read.size() < rebuild.order.policy().data_shards()) return read_more(slot, key);
  counts_.bytes_written += rebuild.bytes;
  if (rebuild.cause == Cause::kGone) ++counts_.of_gone;
  if (rebuild.cause == Cause::kSpoilt) ++counts_.of_spoilt;
  if (rebuild.cause == Cause::kInVain) ++counts_.in_vain;
  fleet_.put(slot, key);
  conclude(slot, key, ErrorCode::kOk);
}

void YearsRebuilds::give_up(SlotIndex slot, const ShardKey& key) {
  ++counts_.failed;
  conclude(slot, key, ErrorCode::kUnavailable);
}

void YearsRebuilds::conclude(SlotIndex slot, const ShardKey& key, ErrorCode error) {
  Worker& worker = workers_[slot];
  tell(slot, worker.running.at(key).order, error);
  worker.running.erase(key);
  worker.known.erase(key);
  start_next(slot);
}

// With the next heartbeat.
void YearsRebuilds::tell(SlotIndex slot, const wire::RepairOrder& order, ErrorCode error) {
  wire::RepairOutcome& outcome = fleet_.server(slot).outcomes[key_of(order)];
  *outcome.mutable_shard() = order.shard();
  outcome.set_error(static_cast<uint32_t>(error));
  outcome.set_length(order.length());
  outcome.set_crc32c(order.crc32c());
}

// Unless the process ends before, or the rebuild is dropped.
void YearsRebuilds::later(SlotIndex slot, const ShardKey& key, Duration wait,
                          void (YearsRebuilds::*next)(SlotIndex, const ShardKey&)) {
  const uint32_t life = fleet_.server(slot).life;
  simulator_.at(simulator_.world(), simulator_.now() + wait, [this, slot, key, life, next] {
    const bool runs = fleet_.server(slot).life == life && workers_[slot].running.contains(key);
    if (runs) (this->*next)(slot, key);
  });
}

}  // namespace dogfs::sim
