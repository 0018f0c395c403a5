#include "tests/core/raft/cluster.h"

#include <algorithm>
#include <iterator>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/raft/codec.h"

namespace dogfs::raft {

namespace {

std::vector<Entry> decode_rows(const std::string& rows) {
  wire::RaftMessage message;
  DOGFS_CHECK(message.ParseFromString(rows));
  std::vector<Entry> entries;
  for (wire::RaftEntry& entry : *message.mutable_entries()) entries.push_back(decode_entry(std::move(entry)).value());
  return entries;
}

}  // namespace

std::string encode_rows(std::span<const Entry> entries) {
  wire::RaftMessage message;
  for (const Entry& entry : entries) encode_entry(entry, *message.add_entries());
  return message.SerializeAsString();
}

void TestDisk::hand_over(PersistBatch batch) {
  unsynced.push_back(std::move(batch));
  applied_at.push_back(machine.size());
}

void TestDisk::sync_one() {
  PersistBatch batch = std::move(unsynced.front());
  unsynced.pop_front();
  durable_machine = std::max(durable_machine, applied_at.front());
  applied_at.pop_front();
  if (batch.truncate_from) {
    DOGFS_CHECK(*batch.truncate_from > base.index);
    entries.resize(std::min(entries.size(), size_t{batch.truncate_from->value() - base.index.value() - 1}));
  }
  for (Entry& entry : batch.entries) {
    DOGFS_CHECK(entry.index.value() == last() + 1, "batches continue the log");
    entries.push_back(std::move(entry));
  }
  hard_state = batch.hard_state;
  if (!batch.compaction) {
    DOGFS_CHECK(batch.last.index.value() == last());
    return;
  }
  DOGFS_CHECK(batch.compaction->first == base.index.next());
  if (batch.install) {
    DOGFS_CHECK(entries.empty() && staged.size() == batch.install->index.value());
    install = batch.install;
  } else {
    DOGFS_CHECK(batch.compaction->base.index.value() <= durable_machine);
    const uint64_t dropped = batch.compaction->base.index.value() - base.index.value();
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(dropped));
  }
  base = batch.compaction->base;
  configuration = batch.compaction->configuration;
  DOGFS_CHECK(batch.last.index.value() == last());
}

void TestDisk::stage(const SnapshotStage& stage, std::vector<Entry> part) {
  if (stage.chunk->number == 0) {
    staged.clear();
    parts.reset();
  } else {
    DOGFS_CHECK(parts && parts->snapshot == stage.snapshot && parts->parts == stage.chunk->number,
                "parts of one snapshot are staged one behind the other");
  }
  std::ranges::move(part, std::back_inserter(staged));
  if (stage.chunk->last) return;
  parts = StagedParts{stage.snapshot, stage.chunk->number + 1};
  entries_in_parts = staged.size();
}

void TestDisk::discard_staged() {
  staged.clear();
  parts.reset();
  entries_in_parts = 0;
}

void TestDisk::replace_machine() {
  DOGFS_CHECK(install.has_value());
  install.reset();
  parts.reset();
  machine = std::exchange(staged, {});
  durable_machine = machine.size();
}

const Entry* TestDisk::find(LogIndex index) const {
  if (index <= base.index || index.value() > last()) return nullptr;
  return &entries[index.value() - base.index.value() - 1];
}

TestCluster::TestCluster(size_t size, const Options& base, uint64_t seed, TestStores stores)
    : base_(base), seed_(seed), stores_(stores) {
  for (size_t i = 1; i <= size; ++i) voters_.emplace(NodeId(i), Address());
  for (const auto& [id, address] : voters_) {
    TestDisk& disk = nodes_[id].disk;
    disk.configuration.configuration = initial_configuration(voters_);
    name_store(disk);
    restart(id);
  }
}

void TestCluster::name_store(TestDisk& disk) {
  if (stores_ == TestStores::kNamed) disk.store = StoreId(++stores_named_);
}

void TestCluster::lose_disk(NodeId id) {
  crash(id, 0, LogIndex());
  TestDisk& disk = nodes_.at(id).disk;
  disk = TestDisk();
  if (voters_.contains(id)) disk.configuration.configuration = initial_configuration(voters_);
  name_store(disk);
}

void TestCluster::join(NodeId id) {
  DOGFS_CHECK(nodes_.emplace(id, TestNode()).second, "a new node has a new id");
  name_store(nodes_.at(id).disk);
  restart(id);
}

void TestCluster::restart(NodeId id) {
  TestNode& node = nodes_.at(id);
  Options options = base_;
  options.self = id;
  // As a process does before it loads the log.
  if (node.disk.install) {
    node.disk.replace_machine();
    ++installed_;
  }
  if (node.disk.parts && node.disk.parts->snapshot.term < node.disk.hard_state.term) node.disk.parts.reset();
  node.disk.staged.resize(node.disk.parts ? node.disk.entries_in_parts : 0);
  node.resumes = node.disk.parts.has_value();
  options.election_seed = combine64(combine64(seed_, id.value()), ++node.incarnation);
  Restored restored;
  restored.hard_state = node.disk.hard_state;
  restored.terms = TermRuns(node.disk.base);
  restored.sizes = LogSizes(node.disk.base.index);
  restored.configurations.reset(node.disk.configuration);
  for (const Entry& entry : node.disk.entries) {
    restored.terms.append(entry.term);
    restored.sizes.append(entry.bytes());
    if (entry.configuration) restored.configurations.append(entry.index, *entry.configuration);
    restored.tail.push_back(entry);
  }
  restored.applied = LogIndex(node.disk.machine.size());
  restored.staged = node.disk.parts;
  restored.store = node.disk.store;
  history_.restarted(id);
  node.raft.emplace(options, std::move(restored), now(id));
  collect(id);
}

void TestCluster::crash(NodeId id, size_t survive, LogIndex applied) {
  TestNode& node = nodes_.at(id);
  for (size_t i = 0; i < survive && !node.disk.unsynced.empty(); ++i) node.disk.sync_one();
  node.disk.unsynced.clear();
  node.disk.applied_at.clear();
  const size_t survivors = std::max<size_t>(applied.value(), node.disk.durable_machine);
  if (survivors < node.disk.machine.size()) node.disk.machine.resize(survivors);
  // Like a process that comes back: what it reads is what it has.
  node.disk.durable_machine = node.disk.machine.size();
  node.raft.reset();
  node.to_apply.clear();
  node.fetches.clear();
  node.snapshot_reads.clear();
  node.views.clear();
  node.stage.reset();
  node.reads.clear();
  node.failed_reads.clear();
}

void TestCluster::advance(Duration elapsed) {
  now_ += elapsed;
  for (auto& [id, node] : nodes_) node.ahead += Duration(elapsed.count() / 1000 * node.drift_ppm / 1000);
}

void TestCluster::tick(NodeId id) {
  if (!nodes_.at(id).raft) return;
  nodes_.at(id).raft->tick(now(id));
  collect(id);
}

void TestCluster::campaign(NodeId id) {
  if (!nodes_.at(id).raft) return;
  nodes_.at(id).raft->campaign();
  collect(id);
}

bool TestCluster::propose(NodeId id, std::vector<std::string> commands) {
  if (!nodes_.at(id).raft) return false;
  std::vector<Command> shared;
  shared.reserve(commands.size());
  for (std::string& command : commands) shared.push_back(std::make_shared<const std::string>(std::move(command)));
  const bool taken = nodes_.at(id).raft->propose(std::move(shared)).has_value();
  collect(id);
  return taken;
}

bool TestCluster::read(NodeId id, uint64_t context) {
  if (!nodes_.at(id).raft) return false;
  const bool taken = nodes_.at(id).raft->read_index(context).has_value();
  collect(id);
  return taken;
}

Result<LogPosition> TestCluster::change(NodeId id, const MembershipChange& change) {
  if (!nodes_.at(id).raft) return Error(ErrorCode::kUnavailable);
  Result<LogPosition> begun = nodes_.at(id).raft->change_membership(change);
  collect(id);
  return begun;
}

bool TestCluster::transfer(NodeId id, NodeId target) {
  if (!nodes_.at(id).raft) return false;
  const bool begun = nodes_.at(id).raft->transfer_leadership(target).has_value();
  collect(id);
  return begun;
}

void TestCluster::persist_one(NodeId id) {
  TestNode& node = nodes_.at(id);
  if (!node.raft || node.disk.unsynced.empty()) return;
  const uint64_t number = node.disk.unsynced.front().number;
  node.disk.sync_one();
  node.raft->persisted(number);
  collect(id);
}

void TestCluster::persist_all(NodeId id) {
  while (nodes_.at(id).raft && !nodes_.at(id).disk.unsynced.empty()) persist_one(id);
}

void TestCluster::apply(NodeId id) {
  TestNode& node = nodes_.at(id);
  if (!node.raft || node.to_apply.empty()) return;
  for (Entry& entry : std::exchange(node.to_apply, {})) {
    DOGFS_CHECK(entry.index.value() == node.disk.machine.size() + 1, "entries are applied without a gap");
    if (!violation_) violation_ = history_.check_committed(id, entry);
    node.disk.machine.push_back(std::move(entry));
  }
  node.raft->applied(LogIndex(node.disk.machine.size()));
  collect(id);
}

void TestCluster::answer_fetches(NodeId id) {
  TestNode& node = nodes_.at(id);
  if (!node.raft) return;
  for (const LogFetch& fetch : std::exchange(node.fetches, {})) {
    std::vector<Entry> entries;
    for (LogIndex i = fetch.first; i <= fetch.last && entries.size() < fetch.limits.max_entries; ++i) {
      const Entry* entry = node.disk.find(i);
      if (entry == nullptr) break;
      entries.push_back(*entry);
    }
    node.raft->fetched(fetch, std::move(entries));
  }
  collect(id);
}

void TestCluster::read_snapshots(NodeId id) {
  TestNode& node = nodes_.at(id);
  if (!node.raft) return;
  for (const SnapshotRead& read : std::exchange(node.snapshot_reads, {})) {
    const bool is_new = read.chunk == 0 && !node.views.contains(read.snapshot);
    if (is_new && node.raft->snapshot_opened(read)) node.views[read.snapshot] = node.disk.machine;
    const auto view = node.views.find(read.snapshot);
    if (view == node.views.end()) continue;
    const std::vector<Entry>& entries = view->second;
    const size_t first = read.chunk * entries_per_part;
    const size_t count = std::min(entries_per_part, entries.size() - first);
    node.raft->snapshot_read(read, encode_rows(std::span(entries).subspan(first, count)),
                             first + count == entries.size());
  }
  collect(id);
}

void TestCluster::stage(NodeId id) {
  TestNode& node = nodes_.at(id);
  if (!node.raft || !node.stage) return;
  const SnapshotStage stage = *std::exchange(node.stage, std::nullopt);
  std::vector<Entry> entries = decode_rows(stage.chunk->rows);
  const size_t before = stage.chunk->number == 0 ? 0 : node.disk.staged.size();
  if (entries.empty() || entries.front().index.value() != before + 1) {
    // Only who makes up snapshots sends such a part.
    node.raft->snapshot_refused(stage);
  } else {
    if (std::exchange(node.resumes, false) && stage.chunk->number > 0) ++resumed_;
    node.disk.stage(stage, std::move(entries));
    node.raft->snapshot_staged(stage);
  }
  collect(id);
}

void TestCluster::install(NodeId id) {
  TestNode& node = nodes_.at(id);
  if (!node.raft || !node.disk.install || !node.raft->is_installing()) return;
  const LogPosition position = *node.disk.install;
  for (const Entry& entry : node.disk.staged) {
    if (!violation_) violation_ = history_.check_committed(id, entry);
  }
  node.disk.replace_machine();
  ++installed_;
  node.raft->snapshot_installed(position);
  collect(id);
}

void TestCluster::deliver(const Message& message) {
  const auto found = nodes_.find(message.to);
  if (found == nodes_.end() || !found->second.raft) return;
  found->second.raft->step(now(message.to), message);
  collect(message.to);
}

void TestCluster::settle() {
  constexpr int kEndless = 200'000;
  int moves = 0;
  for (bool busy = true; busy && !violation_;) {
    if (++moves > kEndless) violation_ = "messages without end";
    for (auto& [id, node] : nodes_) {
      persist_all(id);
      answer_fetches(id);
      apply(id);
      read_snapshots(id);
      stage(id);
      install(id);
    }
    busy = !network_.empty();
    if (busy) {
      const Message message = std::move(network_.front());
      network_.pop_front();
      deliver(message);
    }
    for (auto& [id, node] : nodes_) {
      busy = busy || (node.raft && (!node.disk.unsynced.empty() || !node.to_apply.empty() || !node.fetches.empty() ||
                                    !node.snapshot_reads.empty() || node.stage || node.disk.install));
    }
  }
}

NodeId TestCluster::leader() const {
  NodeId leader;
  Term term;
  for (const auto& [id, node] : nodes_) {
    if (!node.raft || node.raft->role() != RaftRole::kLeader || node.raft->term() < term) continue;
    leader = id;
    term = node.raft->term();
  }
  return leader;
}

std::vector<NodeView> TestCluster::views() const {
  std::vector<NodeView> views;
  for (const auto& [id, node] : nodes_) {
    if (node.raft) views.push_back(view_of(*node.raft));
  }
  return views;
}

void TestCluster::collect(NodeId id) {
  TestNode& node = nodes_.at(id);
  Effects effects = node.raft->take_effects();
  if (effects.persist) node.disk.hand_over(*std::move(effects.persist));
  for (Message& message : effects.messages) network_.push_back(std::move(message));
  if (!effects.committed.empty()) node.to_apply = std::move(effects.committed);
  node.fetches.insert(node.fetches.end(), effects.fetches.begin(), effects.fetches.end());
  node.snapshot_reads.insert(node.snapshot_reads.end(), effects.snapshot_reads.begin(), effects.snapshot_reads.end());
  if (effects.stage) node.stage = effects.stage;
  if (!node.stage && !node.raft->wants_staged()) node.disk.discard_staged();
  DOGFS_CHECK(!effects.install || node.disk.install == effects.install, "only what is durable is installed");
  node.reads.insert(node.reads.end(), effects.reads.begin(), effects.reads.end());
  node.failed_reads.insert(node.failed_reads.end(), effects.failed_reads.begin(), effects.failed_reads.end());
  if (!effects.violations.empty() && !violation_) violation_ = effects.violations.front();
  check();
}

void TestCluster::check() {
  if (!violation_) violation_ = history_.observe(views());
}

}  // namespace dogfs::raft
