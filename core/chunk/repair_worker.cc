#include "core/chunk/repair_worker.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/base/mutant.h"
#include "core/base/printable.h"
#include "core/chunk/shard_rebuild.h"

namespace dogfs {
namespace {

constexpr size_t kMaxQueuedRepairs = 1'024;
constexpr Duration kWriteTimeout = seconds(30);
constexpr Duration kOpenTimeout = std::chrono::minutes(5);
constexpr Duration kBusyPause = milliseconds(100);

}  // namespace

RepairWorker::RepairWorker(Env& env, const ShardTable& table, ShardWriters& writers, BackgroundPace& pace,
                           StopSignal& stop, uint32_t concurrency)
    : env_(env),
      table_(table),
      writers_(writers),
      pace_(pace),
      stop_(stop),
      concurrency_(concurrency),
      tasks_(env.executor, env.clock) {}

void RepairWorker::request(const std::vector<wire::RepairOrder>& orders, const std::string& cluster_uuid) {
  for (const wire::RepairOrder& message : orders) {
    const Result<RebuildOrder> order = parse_rebuild_order(message);
    if (!order.has_value()) {
      // Whatever is wrong with the order, its name came back: the leader learns that it will not be done.
      const Result<ShardKey> key = shard_key_from_wire(message.shard());
      if (key.has_value() && !outcomes_.contains(key.value())) conclude(key.value(), order.error(), {});
      continue;
    }
    const ShardKey& key = order.value().key;
    if (known_.contains(key) || outcomes_.contains(key) || known_.size() >= kMaxQueuedRepairs) continue;
    known_.insert(key);
    queue_.push_back({order.value(), cluster_uuid});
  }
  start_next();
}

void RepairWorker::start_next() {
  while (running_ < concurrency_ && !queue_.empty() && !stop_.stopping()) {
    Queued next = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    tasks_.spawn(run(std::move(next.order), std::move(next.cluster_uuid)));
  }
}

Task<void> RepairWorker::run(RebuildOrder order, std::string cluster_uuid) {
  std::vector<wire::Shard> suspects;
  const Status status = co_await rebuild(order, std::move(cluster_uuid), suspects);
  --running_;
  known_.erase(order.key);
  wire::RepairOutcome outcome;
  outcome.set_length(order.length());
  outcome.set_crc32c(order.crc);
  for (const wire::Shard& suspect : suspects) *outcome.add_suspects() = suspect;
  if (!stop_.stopping()) conclude(order.key, status, std::move(outcome));
  start_next();
}

void RepairWorker::conclude(const ShardKey& key, const Status& status, wire::RepairOutcome outcome) {
  *outcome.mutable_shard() = shard_name_to_wire(key);
  if (!status.has_value()) {
    outcome.set_error(static_cast<uint32_t>(status.error().code));
    outcome.set_detail(printable(status.error().to_string(), kMaxErrorDetailBytes));
    env_.log.warning("chunk", "{} was not rebuilt: {}", to_string(key), status.error().to_string());
  }
  outcomes_[key] = std::move(outcome);
  last_outcome_ = env_.clock.now();
  on_outcome_();
}

std::vector<wire::RepairOutcome> RepairWorker::outcomes(size_t limit) const {
  std::vector<wire::RepairOutcome> outcomes;
  for (const auto& [key, outcome] : outcomes_) {
    if (outcomes.size() == limit) break;
    outcomes.push_back(outcome);
  }
  return outcomes;
}

void RepairWorker::reported(const std::vector<wire::RepairOutcome>& outcomes) {
  for (const wire::RepairOutcome& outcome : outcomes) {
    const Result<ShardKey> key = shard_key_from_wire(outcome.shard());
    if (key.has_value()) outcomes_.erase(key.value());
  }
}

Task<Status> RepairWorker::rebuild(RebuildOrder order, std::string cluster_uuid, std::vector<wire::Shard>& suspects) {
  const ShardEntry* sealed = table_.find(order.key);
  if (sealed != nullptr && sealed->state == ShardState::kSealed && sealed->length == order.length() &&
      sealed->crc == order.crc) {
    DOGFS_COVERAGE_MARK("chunk: a rebuild that was done already");
    co_return ok();
  }
  ShardHeader header{.cluster_uuid = std::move(cluster_uuid), .key = order.key, .geometry = order.layout.geometry()};
  DOGFS_CO_TRYV(co_await open(std::move(header), order.length()));
  ShardRebuild rebuild(env_, pace_, order);
  Status written = co_await write(rebuild, order);
  suspects = rebuild.suspects();
  if (!written.has_value()) {
    // What cannot be removed now goes with the garbage, or as an idle writer.
    const Status given_up = co_await writers_.abort(order.key, env_.clock.now() + kWriteTimeout);
    if (!given_up.has_value()) env_.log.info("chunk", "{}: {}", to_string(order.key), given_up.error().to_string());
  }
  co_return written;
}

// Waits while its disks have as many rebuilds as they may.
Task<Status> RepairWorker::open(ShardHeader header, uint64_t length) {
  const MonoTime deadline = env_.clock.now() + kOpenTimeout;
  while (true) {
    const MonoTime give_up = env_.clock.now() + kWriteTimeout;
    Status opened = co_await writers_.open(header, length, WritePurpose::kRepair, give_up);
    const bool busy = code_of(opened) == ErrorCode::kBusy && env_.clock.now() < deadline;
    if (!busy || !co_await stop_.sleep(kBusyPause)) co_return opened;
  }
}

Task<Status> RepairWorker::write(ShardRebuild& rebuild, RebuildOrder order) {
  uint32_t crc = 0;
  for (uint64_t at = 0; at < order.length();) {
    const uint64_t take = std::min(rebuild.stretch_bytes(), order.length() - at);
    DOGFS_CO_TRY(Bytes bytes, co_await rebuild.stretch(at, take));
    if (stop_.stopping()) co_return Error(ErrorCode::kShuttingDown);
    DOGFS_CO_TRYV(co_await append(order.key, at, std::move(bytes), crc));
    at += take;
  }
  // The seal compares what was received with the commit: nothing else is ever published.
  const bool unchecked = mutant_active(Mutant::kPublishUnchecked) || mutant_active(Mutant::kDecodeStaleGeneration);
  const uint32_t expected = unchecked ? crc : order.crc;
  co_return co_await writers_.seal(order.key, order.length(), expected, env_.clock.now() + kWriteTimeout);
}

Task<Status> RepairWorker::append(ShardKey key, uint64_t offset, Bytes bytes, uint32_t& crc) {
  ShardAppend append{.offset = offset, .payload = BytesChain(bytes), .piece_crcs = {}};
  co_await env_.compute.run([&] {
    for (size_t at = 0; at < bytes.size(); at += kChecksumPieceBytes) {
      const size_t length = std::min(kChecksumPieceBytes, bytes.size() - at);
      append.piece_crcs.push_back(crc32c(bytes.span().subspan(at, length)));
      crc = crc32c_combine(crc, append.piece_crcs.back(), length);
    }
  });
  const MonoTime deadline = env_.clock.now() + kWriteTimeout;
  while (true) {
    const Result<uint64_t> length = co_await writers_.append(key, append, deadline);
    if (length.has_value()) co_return ok();
    const bool busy = length.error().code == ErrorCode::kBusy && env_.clock.now() < deadline;
    if (!busy || !co_await stop_.sleep(kBusyPause)) co_return length.error();
  }
}

}  // namespace dogfs
