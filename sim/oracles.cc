#include "sim/oracles.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/checksum.h"
#include "core/env/sync.h"
#include "core/meta/invariants.h"
#include "core/meta/keys.h"
#include "core/meta/rack_spread.h"
#include "core/meta/risk.h"
#include "core/meta/tables.h"
#include "core/raft/raft_store.h"
#include "core/wire/chunk.pb.h"
#include "core/wire/rpc.h"
#include "core/wire/state.pb.h"
#include "sim/few.h"
#include "sim/trace_events.h"

namespace dogfs::sim {
namespace {

constexpr GroupId kGroup{0};
constexpr seconds kReadTimeout(2);
constexpr uint64_t kEntriesBetweenMetaChecks = 200;
constexpr milliseconds kRetryPause(50);

template <class Row>
std::map<uint64_t, Row> rows_in(const KvReader& store, const KeyRange& range) {
  std::map<uint64_t, Row> rows;
  const Status scanned = store.scan(range.begin, range.end, [&rows](std::string_view key, std::string_view value) {
    rows[last_id(key)].ParseFromArray(value.data(), static_cast<int>(value.size()));
    return true;
  });
  DOGFS_CHECK(scanned.has_value());
  return rows;
}

}  // namespace

bool is_installing(const KvReader& disk) {
  const Result<std::optional<raft::LogPosition>> install = raft::load_install(disk, kGroup);
  DOGFS_CHECK(install.has_value());
  return install.value().has_value();
}

void RaftOracle::after_event(const Node& node) {
  const raft::Raft* raft = cluster_.raft(node);
  if (raft == nullptr) return;
  const raft::NodeView view = raft::view_of(*raft);
  const uint32_t life = node.executor().incarnation().life;
  const Fingerprint now{life,
                        view.role,
                        view.term,
                        view.voted_for,
                        view.commit,
                        view.applied,
                        view.log->last_index(),
                        view.log->last().term,
                        view.log->durable()};
  Fingerprint& known = known_[node.index()];
  if (now == known) return;
  known = now;
  record(node, view);
  if (std::exchange(lives_[node.index()], life) != life) history_.restarted(view.node);
  observe_all();
}

void RaftOracle::record(const Node& node, const raft::NodeView& view) const {
  Recording* recording = cluster_.world().simulator().recording();
  if (recording == nullptr) return;
  recording->member_changed({.time = cluster_.world().now(),
                             .node = node.index(),
                             .role = view.role,
                             .term = view.term,
                             .voted_for = view.voted_for,
                             .commit = view.commit,
                             .applied = view.applied,
                             .last = view.log->last_index(),
                             .durable = view.log->durable()});
}

void RaftOracle::observe_all() {
  std::vector<raft::NodeView> views;
  for (const Node* node : cluster_.meta_nodes()) {
    const raft::Raft* raft = cluster_.raft(*node);
    // A new life that had no event yet is looked at with its first.
    if (raft != nullptr && lives_[node->index()] == node->executor().incarnation().life) {
      views.push_back(raft::view_of(*raft));
    }
  }
  if (const raft::Violation violation = history_.observe(views)) verdict_.fail("raft", *violation);
}

StateOracle::StateOracle(Cluster& cluster, Verdict& verdict) : cluster_(cluster), verdict_(verdict) {
  const KeyRange all = MetaKeys(kGroup).all();
  // All keys of the group share their table's prefix, which is what the range begins with.
  for (Node* node : cluster_.meta_nodes()) {
    KvDisk& disk = *node->kv_disk();
    disk.watch(all.begin, [this, node, &disk] { applied_on(*node, disk); });
  }
}

void StateOracle::applied_on(const Node& node, KvDisk& disk) {
  if (is_installing(disk)) return;
  const Result<std::optional<std::string>> row = disk.get(MetaKeys(kGroup).applied());
  DOGFS_CHECK(row.has_value());
  if (!row.value()) return;
  const uint64_t index = read_big_endian(*row.value());
  applied_[node.index()] = index;
  const auto [known, added] = digests_.emplace(index, disk.watched_digest());
  if (added) return;
  ++compared_;
  if (known->second != disk.watched_digest()) {
    verdict_.fail("state", fmt::format("{} has another state at index {} than was seen before", node.name(), index));
  }
}

bool StateOracle::agree() const {
  std::set<uint64_t> indices;
  for (const Node* member : cluster_.members()) {
    if (cluster_.is_retired(*member) || cluster_.has_lost_disk(*member)) continue;
    const auto applied = applied_.find(member->index());
    if (applied == applied_.end()) return false;
    indices.insert(applied->second);
  }
  return indices.size() == 1;
}

void MetaOracle::after_event(Node& node) {
  const raft::Raft* raft = cluster_.raft(node);
  if (raft == nullptr) return;
  LogIndex& next = next_[node.index()];
  if (raft->applied() < next) return;
  next = LogIndex(raft->applied().value() + kEntriesBetweenMetaChecks);
  check(node);
}

void MetaOracle::check_all() {
  for (Node* node : cluster_.meta_nodes()) check(*node);
}

void MetaOracle::check(Node& node) {
  const KvDisk& disk = *node.kv_disk();
  const Result<std::optional<std::string>> applied = disk.get(MetaKeys(kGroup).applied());
  if (!applied.has_value() || !applied.value() || is_installing(disk)) return;  // nothing was applied yet
  const Result<std::vector<std::string>> broken = check_meta_invariants(disk, kGroup);
  if (!broken.has_value()) {
    verdict_.fail("meta", node.name() + ": " + broken.error().to_string());
  } else if (!broken.value().empty()) {
    verdict_.fail("meta", node.name() + ": " + broken.value().front());
  }
}

namespace {

bool is_unreadable(const Node& server, const std::string& file) {
  return is_on_hanging_disk(server, file) || std::ranges::any_of(server.shard_disks(), [&](const auto& disk) {
           return disk.second->has_lost_sectors(file);
         });
}

}  // namespace

bool HealOracle::is_whole() const {
  return missing().empty();
}

// Of a block that lies crowded in a rack: a server in another one that should have a shard of it.
std::string HealOracle::place_elsewhere(const wire::BlockRow& block,
                                        const std::map<uint64_t, wire::ChunkServerRow>& rows) {
  const RackSpread racks(block, [&rows](ServerId id) {
    const auto row = rows.find(id.value());
    return row == rows.end() ? nullptr : &row->second.rack();
  });
  const std::string* crowded = racks.crowded();
  if (crowded == nullptr) return "";
  for (const auto& [id, row] : rows) {
    const bool has_one = std::ranges::find(block.shards(), id, &wire::Shard::server) != block.shards().end();
    if (row.state() != wire::LIVE || has_one || !racks.spreads(*crowded, row.rack())) continue;
    return fmt::format("{} shards in {}, and none on {} in {}", racks.in(*crowded), *crowded, row.address(),
                       row.rack());
  }
  return "";
}

std::string HealOracle::missing() const {
  const Node* leader = cluster_.leader();
  if (leader == nullptr) return "there is no leader";
  KvDisk& disk = *const_cast<Node*>(leader)->kv_disk();
  const MetaKeys keys(kGroup);
  Few missing;
  // What is on servers that are gone for good is missing before anybody has found out.
  std::set<uint64_t> gone;
  std::map<uint64_t, const Node*> nodes;
  const std::map<uint64_t, wire::ChunkServerRow> servers = rows_in<wire::ChunkServerRow>(disk, keys.servers());
  for (const auto& [id, server] : servers) {
    const Node* node = cluster_.chunk_node_at(server.address());
    if (node != nullptr && cluster_.is_retired(*node)) gone.insert(id);
    // So is what cannot be read.
    if (node != nullptr) nodes.emplace(id, node);
  }
  for (const auto& [id, block] : rows_in<wire::BlockRow>(disk, keys.blocks())) {
    if (block.state() != wire::BlockRow::COMMITTED) continue;
    if (block.reservations_size() > 0) missing.add(fmt::format("block {} is being repaired", id));
    for (const wire::Shard& shard : block.shards()) {
      const bool intact = shard.server() != 0 && shard.condition() == wire::Shard::INTACT;
      const bool unreadable = nodes.contains(shard.server()) &&
                              is_unreadable(*nodes.at(shard.server()), shard_file_name(key_of(block, shard)));
      if (intact && !unreadable && !gone.contains(shard.server())) continue;
      missing.add(fmt::format("block {} shard {} (server {}, {})", id, shard.index(), shard.server(),
                              unreadable ? "cannot be read" : wire::Shard::Condition_Name(shard.condition())));
    }
    const std::string elsewhere = place_elsewhere(block, servers);
    if (!elsewhere.empty()) missing.add(fmt::format("block {} has {}", id, elsewhere));
  }
  return missing.text();
}

// What is known to be missing or damaged is not claimed to be there.
std::optional<ShardOracle::Listed> ShardOracle::listed(const wire::BlockRow& block, const wire::Shard& shard) const {
  if (block.state() != wire::BlockRow::COMMITTED || shard.server() == 0 || !is_intact(shard)) return std::nullopt;
  const auto server = MetaTables(atlas_.newest_metadata(), kGroup).server(ServerId(shard.server()));
  DOGFS_CHECK(server.has_value() && server.value());
  Node* node = cluster_.chunk_node_at(server.value()->address());
  if (node == nullptr) return std::nullopt;
  return Listed{key_of(block, shard), shard.length(), shard.crc32c(), node};
}

std::vector<ShardOracle::Listed> ShardOracle::listed_shards() const {
  std::vector<Listed> found;
  for (const auto& [id, block] : rows_in<wire::BlockRow>(atlas_.newest_metadata(), MetaKeys(kGroup).blocks())) {
    for (const wire::Shard& shard : block.shards()) {
      if (std::optional<Listed> each = listed(block, shard)) found.push_back(*each);
    }
  }
  return found;
}

// What stands in the shard's place by now. Nothing: its block was deleted, or has lost it.
std::optional<ShardOracle::Listed> ShardOracle::listed_now(const ShardKey& key) const {
  const auto block = MetaTables(atlas_.newest_metadata(), kGroup).block(key.block);
  DOGFS_CHECK(block.has_value());
  if (!block.value()) return std::nullopt;
  const auto& shards = block.value()->shards();
  const auto shard = std::ranges::find(shards, key.index.value(), &wire::Shard::index);
  return shard == shards.end() ? std::nullopt : listed(*block.value(), *shard);
}

// What went with a server for good is the business of the HealOracle.
bool ShardOracle::is_excused(const Listed& shard) const {
  return atlas_.is_damaged(*shard.server, shard.key) || cluster_.is_retired(*shard.server);
}

Task<void> ShardOracle::verify(Node& reader) {
  const std::vector<Listed> shards = listed_shards();
  for (const Listed& shard : shards) co_await verify_shard(reader, shard);
}

Task<Result<Reply>> ShardOracle::read(Node& reader, const Listed& shard) {
  wire::ReadShardRequest what;
  *what.mutable_key() = shard_key_to_wire(shard.key);
  what.set_length(shard.length);
  what.set_from_disk(true);  // what was misread once may be in a cache that no reader has come to yet
  Env& env = reader.env();
  Request request = make_request(MessageType::kReadShard, kGroup, what);
  co_return co_await env.transport.call(shard.server->address(), std::move(request), env.clock.now() + kReadTimeout);
}

// A wrong answer is one only if the shard is still listed as it was when it was asked for.
Task<void> ShardOracle::verify_shard(Node& reader, Listed first) {
  std::optional<Listed> shard = first;
  while (shard && !is_excused(*shard) && !verdict_.failed()) {
    const Result<Reply> reply = co_await read(reader, *shard);
    const std::optional<Listed> now = listed_now(shard->key);
    if (!reply.has_value() || error_class(reply.value().error.code) == ErrorClass::kRetry) {
      co_await sleep_for(reader.env().clock, kRetryPause);
      shard = now;
      continue;
    }
    const Reply& answer = reply.value();
    std::string wrong;
    if (answer.error.code != ErrorCode::kOk) {
      wrong = answer.error.to_string();
    } else if (answer.payload.size() != shard->length || crc32c(answer.payload) != shard->crc32c) {
      wrong = "is not what was committed";
    }
    if (wrong.empty() || now == shard) {
      ++shards_checked_;
      if (!wrong.empty()) {
        verdict_.fail("shard", fmt::format("{} on {}: {}", to_string(shard->key), shard->server->name(), wrong));
      }
      co_return;
    }
    shard = now;
  }
}

}  // namespace dogfs::sim
