// Moves snapshots for one replica: reads the parts of those that its leader sends, stages those that it receives, and
// puts a whole one in the place of the state. The step machine decides (core/raft/snapshot.cc). Belongs to the node's
// executor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/limits.h"
#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/env/sync.h"
#include "core/raft/raft.h"
#include "core/raft/state_machine.h"
#include "core/raft/state_rows.h"

namespace dogfs::raft {

struct SnapshotCarrierOptions {
  GroupId group;
  size_t part_bytes = kSnapshotChunkBytes;
};

class SnapshotCarrier {
 public:
  // What is passed must outlive the carrier. `turn` is called after each input to the step machine, `fail` when the store
  // has failed.
  SnapshotCarrier(Env& env, KvStore& store, StateMachine& machine, SnapshotCarrierOptions options,
                  std::function<void()> turn, std::function<void(Error)> fail);

  // Ends what a crash interrupted: an installation is completed; what is staged is returned where its transfer can go
  // on, and erased otherwise. Call before the log and the applied index are loaded.
  Task<Result<std::optional<StagedParts>>> recover();
  // Both must outlive stop().
  void start(Raft& raft, TaskGroup& tasks);
  void stop();

  // Takes what of `effects` is about snapshots.
  void carry_out(const Effects& effects);

  // Entries were applied. While they are being, no view is opened: the store is not the state at Raft::applied().
  void on_applied() { open_views(); }

 private:
  // A frozen state that is being sent.
  struct View {
    SnapshotRead read;
    std::shared_ptr<const KvReader> rows;
    uint64_t next = 0;  // the part behind `part`
    RowsPart part;      // the latest that was read
  };

  void open_views();
  void close_views();
  Task<void> read_part(SnapshotRead read);
  Task<void> stage_loop();
  Task<void> stage(SnapshotStage part);
  bool is_to_discard() const { return has_staged_ && !raft_->wants_staged(); }
  Task<void> discard_staged();
  Task<void> install(LogPosition position);
  Task<Status> replace_state();

  Env& env_;
  KvStore& store_;
  StateMachine& machine_;
  GroupId group_;
  size_t part_bytes_;
  std::function<void()> turn_;
  std::function<void(Error)> fail_;
  Raft* raft_ = nullptr;
  TaskGroup* tasks_ = nullptr;
  bool ended_ = false;

  std::vector<SnapshotRead> to_open_;
  std::map<uint64_t, std::shared_ptr<View>> views_;  // by number of the snapshot
  std::optional<SnapshotStage> to_stage_;
  bool has_staged_ = false;  // there are parts beside the state, or may be
  std::unique_ptr<Waiter> stage_wake_;
};

}  // namespace dogfs::raft
