// What a leader knows of one follower's log, and how fast it may send to it.
//
// In state kProbe the leader does not know where the two logs meet: it sends one append, and waits for its answer (or
// for a sign of life, in case that was lost) before the next. Once an append was accepted it goes to kReplicate:
// appends follow each other without waiting (`next` runs ahead of `match`), within a window of messages and bytes. A
// rejection means that something was lost or overtaken: back to kProbe. A follower that lacks entries which the leader has
// dropped is in kSnapshot: it is sent the state in parts, one at a time, and no appends, until it has acknowledged what
// the leader's log still continues. (etcd-io/raft, tracker/progress.go.)
//
// Invariant: match < next, and the follower's durable log agrees with the leader's up to match.
#pragma once

#include <optional>

#include "core/base/time.h"
#include "core/raft/byte_window.h"
#include "core/raft/catch_up.h"
#include "core/raft/types.h"

namespace dogfs::raft {

struct FlowLimits {
  size_t max_inflight_appends = 0;
  size_t max_inflight_bytes = 0;
};

// A snapshot on its way to a follower.
struct SnapshotSending {
  uint64_t number = 0;                         // of the leader, in its term
  LogPosition position;                        // none until its view of the state is open
  ConfigurationHistory::Item configuration{};  // in effect there
  uint64_t chunk = 0;                          // the one that was sent last, or is being read
  bool last = false;                           // there is none behind it
  bool reading = true;
  MonoTime sent_at;     // when the chunk was
  Duration patience{};  // how long an answer was waited for before it was sent again; 0: it was not
};

class Progress {
 public:
  enum class State : uint8_t { kProbe, kReplicate, kSnapshot };

  // `next` is where to begin: behind the leader's last entry.
  Progress(FlowLimits limits, LogIndex next, MonoTime now)
      : limits_(limits), next_(next), last_contact_(now), catch_up_(next, now) {}

  State state() const { return state_; }
  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }
  // When a message of this term last came from it.
  MonoTime last_contact() const { return last_contact_; }
  uint64_t read_round() const { return read_round_; }
  // It votes for nobody else for an election timeout of its clock from then on, by this leader's clock.
  MonoTime promised_at() const { return promised_at_; }
  bool is_fetching() const { return fetching_; }
  // The store that it last answered from.
  StoreId store() const { return store_; }
  // Whether that is not the one it became a voter with.
  bool has_lost_store() const { return lost_store_; }
  // Only in kSnapshot.
  const std::optional<SnapshotSending>& snapshot() const { return snapshot_; }
  std::optional<SnapshotSending>& snapshot() { return snapshot_; }
  const ByteWindow& inflight() const { return inflight_; }
  const CatchUp& catch_up() const { return catch_up_; }
  CatchUp& catch_up() { return catch_up_; }

  // Whether an append with entries may be sent now.
  bool may_send() const {
    if (fetching_ || state_ == State::kSnapshot) return false;
    if (state_ == State::kProbe) return !probe_sent_;
    return inflight_.count() < limits_.max_inflight_appends && inflight_.bytes() < limits_.max_inflight_bytes;
  }

  // An append that ends at `last` was sent. An empty one has no bytes and ends before `next`.
  void sent(LogIndex last, size_t bytes);

  // The follower's log is known to agree up to `index`. True when that is news. A snapshot goes on until end_snapshot().
  bool accepted(LogIndex index);

  // The follower rejected an append behind entry `rejected`, and the leader would go on behind `resume_after`.
  // False when it is an old answer that says nothing (a later one overtook it): nothing changes.
  bool rejected(LogIndex rejected, LogIndex resume_after);

  void contacted(MonoTime now) { last_contact_ = now; }
  void answered_from(StoreId store) {
    store_ = store;
    lost_store_ = false;
  }
  void answered_from_another_store() { lost_store_ = true; }
  // It has answered a heartbeat that was sent then.
  void promised(MonoTime sent_at) { promised_at_ = sent_at > promised_at_ ? sent_at : promised_at_; }
  // A sign of life: the probe that went before it is answered or lost, so another may go.
  void allow_probe() { probe_sent_ = false; }
  void confirm_round(uint64_t round) { read_round_ = round > read_round_ ? round : read_round_; }

  // The follower lacks what the leader has dropped.
  void begin_snapshot(uint64_t number);
  // It has got what it lacked, or cannot be reached: where the logs meet is to be found out again.
  void end_snapshot();

  // Entries for it are being read from the store; nothing is sent meanwhile.
  void begin_fetch() { fetching_ = true; }
  void end_fetch() { fetching_ = false; }

 private:
  void become_probe();
  void become_replicate();

  FlowLimits limits_;
  State state_ = State::kProbe;
  LogIndex match_;
  LogIndex next_;
  bool probe_sent_ = false;
  bool fetching_ = false;
  StoreId store_;
  bool lost_store_ = false;
  std::optional<SnapshotSending> snapshot_;
  ByteWindow inflight_;
  MonoTime last_contact_;
  uint64_t read_round_ = 0;
  MonoTime promised_at_ = MonoTime::min();
  CatchUp catch_up_;
};

}  // namespace dogfs::raft
