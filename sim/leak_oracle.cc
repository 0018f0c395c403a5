#include "sim/leak_oracle.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/base/check.h"
#include "core/chunk/shard_key.h"
#include "core/meta/keys.h"
#include "core/meta/risk.h"
#include "core/meta/tables.h"
#include "core/raft/raft.h"
#include "core/wire/state.pb.h"
#include "sim/atlas.h"

namespace dogfs::sim {
namespace {

constexpr GroupId kGroup{0};
constexpr milliseconds kLookInterval(2000);
// Compaction rides with a batch that is written anyway: when the log falls silent, what came last is still there.
constexpr uint64_t kMostThatAwaitABatch = 16;

void scan(const KvReader& rows, const KeyRange& range, const KvReader::Visitor& visit) {
  const Status scanned = rows.scan(range.begin, range.end, visit);
  DOGFS_CHECK(scanned.has_value());
}

uint64_t count(const KvReader& rows, const KeyRange& range) {
  uint64_t found = 0;
  scan(rows, range, [&found](std::string_view, std::string_view) {
    ++found;
    return true;
  });
  return found;
}

uint64_t count_uncommitted_blocks(const KvReader& rows) {
  uint64_t found = 0;
  scan(rows, MetaKeys(kGroup).blocks(), [&found](std::string_view, std::string_view value) {
    wire::BlockRow block;
    DOGFS_CHECK(block.ParseFromArray(value.data(), static_cast<int>(value.size())));
    if (block.state() != wire::BlockRow::COMMITTED) ++found;
    return true;
  });
  return found;
}

// What is in the trash exists until its time is over, for which the leader looks every second.
uint64_t count_overdue(const KvReader& rows) {
  const auto counters = MetaTables(rows, kGroup).counters();
  DOGFS_CHECK(counters.has_value());
  return counters.value() ? count(rows, MetaKeys(kGroup).trash_due(counters.value()->log_time_ms())) : 0;
}

// Rows of Raft's store by what they are, as core/raft/raft_store.h lays them out.
struct RaftRows {
  uint64_t entries = 0;
  uint64_t staged = 0;  // of a snapshot that is not the state yet, and what is said of it
  uint64_t strange = 0;
};

RaftRows raft_rows(const KvReader& disk) {
  std::string prefix = "R";
  append_big_endian(prefix, kGroup.value());
  RaftRows found;
  scan(disk, {"R", "S"}, [&](std::string_view key, std::string_view) {
    const char table = key.starts_with(prefix) && key.size() > prefix.size() ? key[prefix.size()] : '?';
    if (table == 'L') {
      ++found.entries;
    } else if (table == 'S' || table == 'P' || table == 'I') {
      ++found.staged;
    } else if (table != 'B' && table != 'C' && table != 'H') {
      ++found.strange;
    }
    return true;
  });
  return found;
}

// How many entries the next batch would drop, as far as nobody needs them.
uint64_t entries_to_drop(const raft::Raft& raft) {
  const raft::Log& log = raft.log();
  const LogIndex base = log.base().index;
  const raft::CompactionInputs inputs{base, std::min(raft.durable_state(), log.durable()), std::nullopt};
  return raft::compaction_target(log.sizes(), inputs, raft.options().compaction).value() - base.value();
}

}  // namespace

bool LeakOracle::is_clean() {
  if (cluster_.world().now() >= next_look_) {
    next_look_ = cluster_.world().now() + kLookInterval;
    leftover_ = look();
  }
  return leftover_.empty();
}

std::string LeakOracle::look() {
  Node* leader = cluster_.leader();
  if (leader == nullptr) return "nobody leads";
  const KvReader& rows = *leader->kv_disk();
  if (std::string left = look_at_metadata(rows); !left.empty()) return left;
  if (std::string left = look_at_shards(rows); !left.empty()) return left;
  for (Node* node : cluster_.meta_nodes()) {
    if (cluster_.is_spare(*node) || cluster_.is_retired(*node)) continue;
    if (std::string left = look_at_raft_store(*node); !left.empty()) return left;
    // Who is no member any more is sent nothing, and so has no batch that would drop what its log has too much.
    const raft::Configuration& members = cluster_.raft(*leader)->configuration();
    if (!members.is_member(cluster_.raft(*node)->options().self)) continue;
    if (std::string left = look_at_log_length(*node); !left.empty()) return left;
  }
  return "";
}

std::string LeakOracle::look_at_metadata(const KvReader& rows) const {
  const MetaKeys keys(kGroup);
  const std::pair<const char*, uint64_t> counts[] = {
      {"leases", count(rows, keys.leases(InodeId()))},
      {"sessions", count(rows, keys.sessions(SessionId()))},
      {"kept replies", count(rows, keys.all_replies())},
      {"deleted inodes that are not taken apart", count(rows, keys.detached_after(InodeId()))},
      {"trees in the trash that are overdue", count_overdue(rows)},
      {"shards to be deleted", count_garbage(rows)},
      {"repairs", count(rows, keys.all_reserved())},
      {"blocks that were never committed", count_uncommitted_blocks(rows)},
  };
  for (const auto& [what, number] : counts) {
    if (number > 0) return fmt::format("{} {}", number, what);
  }
  return "";
}

// What a server that is gone for good should delete stays on record: the cluster cannot know that it never comes back.
// And of a block that cannot be decoded nothing is given up that may yet be good.
uint64_t LeakOracle::count_garbage(const KvReader& rows) const {
  const MetaTables tables(rows, kGroup);
  uint64_t found = 0;
  scan(rows, tables.keys().all_garbage(), [&](std::string_view key, std::string_view value) {
    wire::GarbageRow row;
    DOGFS_CHECK(row.ParseFromArray(value.data(), static_cast<int>(value.size())));
    const GarbageShard shard = garbage_shard(key);
    const auto server = tables.server(shard.server);
    const auto block = tables.block(shard.block);
    DOGFS_CHECK(server.has_value() && server.value() && block.has_value());
    const bool lost =
        block.value() && block.value()->state() == wire::BlockRow::COMMITTED && risk_of(*block.value()) == Risk::kLost;
    if (!is_gone(*server.value()) && !(row.replaced() && lost)) ++found;
    return true;
  });
  return found;
}

bool LeakOracle::is_gone(const wire::ChunkServerRow& server) const {
  const Node* node = cluster_.chunk_node_at(server.address());
  return server.state() == wire::DEAD && node != nullptr && cluster_.is_retired(*node);
}

std::string LeakOracle::look_at_shards(const KvReader& rows) {
  std::set<std::string> listed;
  scan(rows, MetaKeys(kGroup).blocks(), [&listed](std::string_view, std::string_view value) {
    wire::BlockRow block;
    DOGFS_CHECK(block.ParseFromArray(value.data(), static_cast<int>(value.size())));
    for (const wire::Shard& shard : block.shards()) {
      if (shard.server() == 0) continue;
      listed.insert(shard_file_name(key_of(block, shard)));
    }
    return true;
  });
  // Those that are still to be deleted, where that is right, have been counted.
  scan(rows, MetaKeys(kGroup).all_garbage(), [&listed](std::string_view key, std::string_view) {
    const GarbageShard shard = garbage_shard(key);
    listed.insert(shard_file_name({shard.block, shard.index, shard.generation}));
    return true;
  });
  for (Node* node : cluster_.chunk_nodes()) {
    if (cluster_.is_retired(*node)) continue;
    if (std::string left = look_at_disks(*node, listed); !left.empty()) return left;
  }
  return "";
}

// A record without a file is a shard that its server takes for lost, and reports for ever.
std::string LeakOracle::look_at_disks(Node& node, const std::set<std::string>& listed) const {
  for (const Cluster::DiskNames& disk : cluster_.disk_names()) {
    for (const std::string& name : node.shard_disk(disk.files)->list()) {
      if (!listed.contains(name)) return fmt::format("shard file {} on {} {}", name, node.name(), disk.files);
    }
    std::string left;
    scan(*node.kv_disk(disk.records), {std::string(kShardRecords), std::string(kShardRecordsEnd)},
         [&](std::string_view key, std::string_view) {
           const std::optional<ShardKey> shard = parse_shard_record_key(key);
           if (shard && listed.contains(shard_file_name(*shard))) return true;
           left = fmt::format("record {} on {} {}", key, node.name(), disk.files);
           return false;
         });
    if (!left.empty()) return left;
  }
  return "";
}

std::string LeakOracle::look_at_raft_store(Node& node) {
  const raft::Raft* raft = cluster_.raft(node);
  if (raft == nullptr) return node.name() + " is down";
  const raft::Log& log = raft->log();
  const uint64_t expected = log.last_index().value() - log.base().index.value();
  const RaftRows rows = raft_rows(*node.kv_disk());
  if (rows.entries != expected) return fmt::format("{} log entries on {}, of {}", rows.entries, node.name(), expected);
  if (rows.staged > 0) return fmt::format("{} rows of a snapshot on {}", rows.staged, node.name());
  if (rows.strange > 0) return fmt::format("{} unknown rows of Raft's on {}", rows.strange, node.name());
  return "";
}

std::string LeakOracle::look_at_log_length(Node& node) {
  const raft::Raft& raft = *cluster_.raft(node);
  const uint64_t to_drop = entries_to_drop(raft);
  if (to_drop <= kMostThatAwaitABatch) return "";
  return fmt::format("log {} to {} on {}, {} too many", raft.log().first_index(), raft.log().last_index(), node.name(),
                     to_drop);
}

}  // namespace dogfs::sim
