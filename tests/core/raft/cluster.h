// A group of step machines in memory: their disks, the network between them and their state machines are plain queues
// that a test works by hand. Nothing happens by itself.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/raft/invariants.h"
#include "core/raft/raft.h"

namespace dogfs::raft {

// The rows of a state that has applied `entries`, or of a part of it.
std::string encode_rows(std::span<const Entry> entries);

// What a member keeps over crashes, and what it has asked to be written.
struct TestDisk {
  StoreId store;
  HardState hard_state;
  LogPosition base;                          // what the log begins behind
  ConfigurationHistory::Item configuration;  // in effect there
  std::vector<Entry> entries;                // entries[i] has index base + i + 1
  std::deque<PersistBatch> unsynced;         // oldest first
  std::vector<Entry> machine;                // what the state machine has applied: entries from 1 on
  // State and log share one ordered store: with a batch everything becomes durable that was applied when it was handed
  // over. Of the rest of `machine` any prefix may survive a crash.
  std::deque<size_t> applied_at;  // for each unsynced batch
  size_t durable_machine = 0;
  // Of the snapshot that is being received: the entries that its rows stand for, durable.
  std::vector<Entry> staged;
  // Whose first parts they are, and how many entries those have.
  std::optional<StagedParts> parts;
  size_t entries_in_parts = 0;
  // What is staged is to become the machine.
  std::optional<LogPosition> install;

  void hand_over(PersistBatch batch);
  void sync_one();
  void stage(const SnapshotStage& stage, std::vector<Entry> part);
  void discard_staged();
  void replace_machine();
  // Where the log ends.
  uint64_t last() const { return base.index.value() + entries.size(); }
  const Entry* find(LogIndex index) const;
};

struct TestNode {
  TestDisk disk;
  std::optional<Raft> raft;  // none while it is down
  uint64_t incarnation = 0;
  Duration ahead{};       // of the cluster's clock
  int64_t drift_ppm = 0;  // how much faster its clock runs
  std::vector<Entry> to_apply;
  std::vector<LogFetch> fetches;
  std::vector<SnapshotRead> snapshot_reads;
  std::map<uint64_t, std::vector<Entry>> views;  // of the machine, by number of the snapshot
  std::optional<SnapshotStage> stage;
  bool resumes = false;  // it was started with parts of a snapshot, and has staged none since
  std::vector<CompletedReads> reads;
  std::vector<uint64_t> failed_reads;
};

// Whether the members' stores have ids, so that they form their group first (core/raft/formation.cc).
enum class TestStores : uint8_t { kNameless, kNamed };

class TestCluster {
 public:
  // Entries in one part of a snapshot.
  size_t entries_per_part = 2;

  // Voters 1..size. `base` gives the options that are common to all.
  TestCluster(size_t size, const Options& base, uint64_t seed, TestStores stores = TestStores::kNameless);

  // --- Inputs. A node that is down ignores them.
  void advance(Duration elapsed);
  void tick(NodeId node);
  void campaign(NodeId node);
  bool propose(NodeId node, std::vector<std::string> commands);
  bool read(NodeId node, uint64_t context);
  Result<LogPosition> change(NodeId node, const MembershipChange& change);
  bool transfer(NodeId node, NodeId target);
  // A node with an empty store that waits to be added.
  void join(NodeId node);
  void persist_one(NodeId node);
  void persist_all(NodeId node);
  // Applies what was handed out, if anything.
  void apply(NodeId node);
  void answer_fetches(NodeId node);
  // Reads the parts that the node is to send.
  void read_snapshots(NodeId node);
  // Makes the part durable that the node has received.
  void stage(NodeId node);
  // Puts a snapshot that is whole in the machine's place.
  void install(NodeId node);
  void deliver(const Message& message);
  // Loses memory, unsynced batches but the first `survive`, and applied entries beyond `applied`.
  void crash(NodeId node, size_t survive, LogIndex applied);
  void restart(NodeId node);
  // The node is down, and has an empty disk under its old id.
  void lose_disk(NodeId node);

  // --- Network
  std::deque<Message>& network() { return network_; }
  // Persists, applies, fetches and delivers until nothing is left to do.
  void settle();

  TestNode& node(NodeId id) { return nodes_.at(id); }
  std::map<NodeId, TestNode>& nodes() { return nodes_; }
  MonoTime now() const { return now_; }
  // By the clock of a node.
  MonoTime now(NodeId id) const { return now_ + nodes_.at(id).ahead; }
  NodeId leader() const;  // of the highest term; none where there is none
  std::vector<NodeView> views() const;
  SafetyHistory& history() { return history_; }
  // How many snapshots have replaced a machine.
  size_t installed() const { return installed_; }
  // How many transfers of snapshots have gone on behind what a restart had left.
  size_t resumed() const { return resumed_; }
  // The first broken invariant, in words.
  const Violation& violation() const { return violation_; }

  // Takes the effects of what was done to `node` directly.
  void collect(NodeId id);

 private:
  void check();
  void name_store(TestDisk& disk);

  Options base_;
  uint64_t seed_;
  TestStores stores_;
  uint64_t stores_named_ = 0;
  std::map<NodeId, Address> voters_;
  MonoTime now_{};
  std::map<NodeId, TestNode> nodes_;
  std::deque<Message> network_;
  SafetyHistory history_;
  size_t installed_ = 0;
  size_t resumed_ = 0;
  Violation violation_;
};

}  // namespace dogfs::raft
