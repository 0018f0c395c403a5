// A KvStore in memory whose unsynced end is lost at a crash.
//
// KvDisk is what outlives a node: rows with their versions, and for each batch that no sync has covered yet what it
// overwrote. A crash keeps a drawn number of those batches and undoes the rest, newest first. A snapshot is the number
// of the last batch that it sees: older versions of a row are kept only while some snapshot can see them, so that a
// snapshot costs nothing to make and a write without one costs no more than a std::map.
//
// SimKvStore is one node's use of it: writes become visible in the order of the calls, one sync at a time serves all
// that wait. After a write or sync that failed all later writes fail, as those of the real one do.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/env/kv_store.h"
#include "sim/completion.h"
#include "sim/disk_trouble.h"
#include "sim/executor.h"
#include "sim/harms.h"
#include "sim/row_reads.h"

namespace dogfs::sim {

// How long the disk under a store takes.
struct KvSpeed {
  Duration write_min = microseconds(2);
  Duration write_max = microseconds(30);
  Duration sync_min = microseconds(150);
  Duration sync_max = milliseconds(2);
  // One sync in a hundred takes up to this long.
  Duration slow_sync_max = milliseconds(30);
};

inline constexpr uint64_t kRowsDiskBytes = uint64_t{1} << 40;

class KvDisk final : public KvReader, public std::enable_shared_from_this<KvDisk> {
 public:
  Result<std::optional<std::string>> get(std::string_view key) const override;
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override;
  std::shared_ptr<const KvReader> snapshot();

  // The number of the last batch.
  uint64_t sequence() const { return sequence_; }
  void apply(const WriteBatch& batch);
  // Batches up to `sequence` are durable from now on.
  void mark_durable(uint64_t sequence);

  // Loses the batches behind a drawn number of unsynced ones.
  void crash(RandomStream& draws);

  // Keeps a digest of all rows whose keys begin with `prefix`, equal for equal rows, and calls `changed` behind each
  // batch that touched one of them.
  void watch(std::string prefix, std::function<void()> changed);
  uint64_t watched_digest() const { return watched_digest_; }
  // Calls `applied` with every batch that has become visible. Not when a crash takes batches back.
  void on_apply(std::function<void(const WriteBatch&)> applied) { on_apply_ = std::move(applied); }

  // Makes the next sync fail, and with it all later writes of that node.
  void fail_next_sync() { set_sync_failure(true); }
  void set_sync_failure(bool fail) { fail_next_sync_ = fail; }
  // From now on, until its program ends, writes are neither done nor answered.
  void begin_to_hang() { hangs_ = true; }
  bool hangs();
  bool take_sync_failure();
  // Another, empty disk is in its place; who watched goes on. Precondition: no program writes to it.
  void wipe();
  // Of a trouble, what counts here is the delay, which makes syncs slow, and whether rows can be read and written.
  void begin_trouble(const DiskTrouble& trouble) { trouble_ += trouble; }
  void end_trouble(const DiskTrouble& trouble) { trouble_ -= trouble; }
  const DiskTrouble& trouble() const { return trouble_; }
  Harms& harms() { return harms_; }
  // As the store tells it; nothing here takes room.
  DiskSpace space();
  void set_space(DiskSpace space) { space_ = space; }

 private:
  class Snapshot;
  struct Version {
    uint64_t sequence = 0;
    std::optional<std::string> value;  // nullopt: erased
  };
  struct Row {
    Version newest;
    std::vector<Version> older;  // ascending; only what a snapshot can see
  };
  using Rows = std::map<std::string, Row, std::less<>>;
  struct Undo {
    std::string key;
    std::optional<std::string> value;
  };

  const std::string* visible(const Row& row, uint64_t sequence) const;
  Status scan_at(std::string_view begin, std::string_view end, const Visitor& visit, uint64_t sequence) const;
  Status scan_backward_at(std::string_view begin, std::string_view end, const Visitor& visit, uint64_t sequence) const;
  Rows::const_iterator end_of(std::string_view end) const;
  void set(const std::string& key, std::optional<std::string> value, std::vector<Undo>* undo);
  void erase_range(const WriteBatch::EraseRange& range, std::vector<Undo>& undo);
  void digest_change(std::string_view key, const std::optional<std::string>& before,
                     const std::optional<std::string>& after);
  void tell_watcher();
  void release_snapshot(uint64_t sequence);
  void prune(Rows::iterator row, uint64_t oldest_snapshot);

  uint64_t sequence_ = 0;
  Rows rows_;
  // One for each batch behind the durable ones: how to take it back.
  std::deque<std::vector<Undo>> unsynced_;
  std::multiset<uint64_t> snapshots_;
  // Rows with versions that were kept for snapshots.
  std::set<std::string, std::less<>> stale_;
  bool fail_next_sync_ = false;
  bool hangs_ = false;
  DiskTrouble trouble_;
  Harms harms_;
  DiskSpace space_{.total_bytes = kRowsDiskBytes, .free_bytes = kRowsDiskBytes};
  std::string watched_prefix_;
  std::function<void()> watcher_;
  uint64_t watched_digest_ = 0;
  bool watched_changed_ = false;
  std::function<void(const WriteBatch&)> on_apply_;
};

class SimKvStore final : public KvStore {
 public:
  SimKvStore(SimExecutor executor, std::shared_ptr<KvDisk> disk, KvSpeed speed, StreamKey key)
      : executor_(executor),
        disk_(std::move(disk)),
        speed_(speed),
        delays_(key),
        trouble_draws_(key.with("trouble")),
        read_failures_(std::make_shared<RowReadFailures>(disk_, key.with("reads"))),
        reads_(disk_, read_failures_) {}

  Result<std::optional<std::string>> get(std::string_view key) const override { return reads_.get(key); }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return reads_.scan(begin, end, visit);
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return reads_.scan_backward(begin, end, visit);
  }
  std::shared_ptr<const KvReader> snapshot() const override {
    return std::make_shared<RowReads>(disk_->snapshot(), read_failures_);
  }
  Task<Status> write(WriteBatch batch, Durability durability) override;
  Result<DiskSpace> space() const override { return disk_->space(); }
  void give_up() override;

 private:
  using Done = Completion<Status>;

  // Leaves writes unanswered until the store is given up.
  void hold(const std::vector<std::shared_ptr<Done>>& writes);
  void become_visible(const WriteBatch& batch, Durability durability, const std::shared_ptr<Done>& done);
  Status strike_write();
  void start_sync();
  Duration trouble_delay();
  void finish_sync(uint64_t covered, const std::vector<std::shared_ptr<Done>>& served);

  SimExecutor executor_;
  std::shared_ptr<KvDisk> disk_;
  KvSpeed speed_;
  RandomStream delays_;
  RandomStream trouble_draws_;  // apart, so that troubles shift nothing else
  std::shared_ptr<RowReadFailures> read_failures_;
  RowReads reads_;
  VirtualTime last_visible_{};
  std::vector<std::shared_ptr<Done>> stuck_;  // on a disk that hangs
  bool given_up_ = false;
  std::vector<std::shared_ptr<Done>> waiting_for_sync_;
  bool syncing_ = false;
  bool failed_ = false;
};

}  // namespace dogfs::sim
