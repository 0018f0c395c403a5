#include "core/raft/snapshot_carrier.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/raft/describe.h"
#include "core/raft/raft_store.h"

namespace dogfs::raft {

SnapshotCarrier::SnapshotCarrier(Env& env, KvStore& store, StateMachine& machine, SnapshotCarrierOptions options,
                                 std::function<void()> turn, std::function<void(Error)> fail)
    : env_(env),
      store_(store),
      machine_(machine),
      group_(options.group),
      part_bytes_(options.part_bytes),
      turn_(std::move(turn)),
      fail_(std::move(fail)),
      stage_wake_(env.clock.make_waiter()) {}

Task<Result<std::optional<StagedParts>>> SnapshotCarrier::recover() {
  std::optional<Result<std::optional<LogPosition>>> pending;
  std::optional<Result<std::optional<StagedParts>>> known;
  std::optional<Result<RowsPart>> staged;
  const KeyRange staged_range = staged_rows(group_);
  co_await env_.compute.run([&] {
    pending = load_install(store_, group_);
    known = load_staged(store_, group_);
    staged = read_rows(store_, staged_range, {}, 1);
  });
  DOGFS_CO_TRY(const std::optional<LogPosition> position, *std::move(pending));
  if (position) {
    DOGFS_COVERAGE_MARK("raft: installation of a snapshot goes on after a restart");
    env_.log.info("raft", "group {}: goes on to install the snapshot at {}", group_, describe(*position));
    DOGFS_CO_TRYV(co_await replace_state());
    co_return std::optional<StagedParts>();
  }
  DOGFS_CO_TRY(const std::optional<StagedParts> parts, *std::move(known));
  DOGFS_CO_TRY(const RowsPart first, *std::move(staged));
  if (parts) {
    DOGFS_COVERAGE_MARK("raft: transfer of a snapshot goes on after a restart");
    env_.log.info("raft", "group {}: has {} parts of the snapshot at {}", group_, parts->parts,
                  describe(parts->snapshot.position));
    has_staged_ = true;
    co_return parts;
  }
  if (first.last_key.empty()) co_return std::optional<StagedParts>();
  WriteBatch batch;
  erase_staged(batch, group_);
  DOGFS_CO_TRYV(co_await store_.write(std::move(batch), Durability::kBuffered));
  co_return std::optional<StagedParts>();
}

void SnapshotCarrier::start(Raft& raft, TaskGroup& tasks) {
  raft_ = &raft;
  tasks_ = &tasks;
  tasks.spawn(stage_loop());
}

void SnapshotCarrier::stop() {
  ended_ = true;
  views_.clear();
  stage_wake_->notify();
}

void SnapshotCarrier::carry_out(const Effects& effects) {
  for (const SnapshotRead& read : effects.snapshot_reads) {
    if (read.chunk == 0 && !views_.contains(read.snapshot)) {
      to_open_.push_back(read);
    } else {
      tasks_->spawn(read_part(read));
    }
  }
  if (effects.stage) {
    to_stage_ = effects.stage;
    stage_wake_->notify();
  }
  if (is_to_discard()) stage_wake_->notify();
  if (effects.install) tasks_->spawn(install(*effects.install));
  open_views();
  close_views();
}

// --- Sending --------------------------------------------------------------------------------------------------------

void SnapshotCarrier::open_views() {
  if (ended_ || raft_->is_applying()) return;
  for (const SnapshotRead& read : std::exchange(to_open_, {})) {
    if (!raft_->snapshot_opened(read)) continue;
    env_.log.info("raft", "group {}: sends node {} a snapshot at {}", group_, read.peer, raft_->applied());
    views_.emplace(read.snapshot, std::make_shared<View>(View{read, store_.snapshot(), 0, {}}));
    tasks_->spawn(read_part(read));
  }
}

void SnapshotCarrier::close_views() {
  std::erase_if(views_, [this](const auto& item) { return !raft_->is_sending(item.second->read); });
}

Task<void> SnapshotCarrier::read_part(SnapshotRead read) {
  const auto found = views_.find(read.snapshot);
  if (ended_ || found == views_.end()) co_return;
  const std::shared_ptr<View> view = found->second;
  if (read.chunk == view->next) {
    std::optional<Result<RowsPart>> part;
    co_await env_.compute.run([&, range = machine_.rows(), after = view->part.last_key] {
      part = read_rows(*view->rows, range, after, part_bytes_);
    });
    if (ended_) co_return;
    if (!*part) co_return fail_(part->error());
    view->part = std::move(*part).value();
    ++view->next;
  }
  DOGFS_CHECK(read.chunk + 1 == view->next, "only the next part is asked for, or the latest again");
  raft_->snapshot_read(read, view->part.rows, view->part.last);
  turn_();
}

// --- Receiving ------------------------------------------------------------------------------------------------------

Task<void> SnapshotCarrier::stage_loop() {
  while (!ended_) {
    if (to_stage_) {
      SnapshotStage part = *std::exchange(to_stage_, std::nullopt);
      co_await stage(std::move(part));
    } else if (is_to_discard()) {
      co_await discard_staged();
    } else {
      co_await stage_wake_->wait_until(kNever);
    }
  }
}

Task<void> SnapshotCarrier::stage(SnapshotStage part) {
  Result<WriteBatch> batch = encode_stage(group_, machine_.rows(), part);
  if (!batch) {
    env_.log.error("raft", "{}", batch.error().to_string());
    co_return raft_->snapshot_refused(part);
  }
  has_staged_ = true;
  const Status written = co_await store_.write(std::move(batch).value(), Durability::kSynced);
  if (ended_) co_return;
  if (!written) co_return fail_(written.error());
  raft_->snapshot_staged(part);
  turn_();
}

// What a crash brings back of it, recover() looks at again.
Task<void> SnapshotCarrier::discard_staged() {
  has_staged_ = false;
  WriteBatch batch;
  erase_staged(batch, group_);
  const Status written = co_await store_.write(std::move(batch), Durability::kBuffered);
  if (!ended_ && !written) fail_(written.error());
}

Task<void> SnapshotCarrier::install(LogPosition position) {
  const Status replaced = co_await replace_state();
  if (ended_) co_return;
  if (!replaced) co_return fail_(replaced.error());
  const Result<LogIndex> applied = co_await machine_.load_applied();
  if (ended_) co_return;
  if (!applied) co_return fail_(applied.error());
  if (applied.value() != position.index) {
    co_return fail_(Error(ErrorCode::kCorrupt, fmt::format("group {}: the snapshot at {} has the state at {}", group_,
                                                           describe(position), applied.value())));
  }
  env_.log.info("raft", "group {}: has installed the snapshot at {}", group_, describe(position));
  has_staged_ = false;
  raft_->snapshot_installed(position);
  turn_();
}

// Nothing else writes to the state meanwhile, nor stages.
Task<Status> SnapshotCarrier::replace_state() {
  const KeyRange state = machine_.rows();
  InstallStep step;
  while (!step.last) {
    std::optional<Result<InstallStep>> next;
    co_await env_.compute.run([&] { next = install_step(store_, group_, state, step.last_key, part_bytes_); });
    DOGFS_CO_TRY(step, *std::move(next));
    const Durability durability = step.last ? Durability::kSynced : Durability::kBuffered;
    DOGFS_CO_TRYV(co_await store_.write(std::move(step.batch), durability));
  }
  co_return ok();
}

}  // namespace dogfs::raft
