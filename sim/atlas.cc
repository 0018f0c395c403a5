#include "sim/atlas.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/ec/geometry.h"
#include "core/ec/policy_wire.h"
#include "core/meta/path.h"
#include "core/meta/resolve.h"
#include "core/meta/tables.h"

namespace dogfs::sim {
namespace {

constexpr GroupId kGroup{0};
// A server that starts looks at its disk first; clients and their time-outs notice a while later that it is back.
constexpr seconds kReturnTime(4);

}  // namespace

ShardKey key_of(const wire::BlockRow& block, const wire::Shard& shard) {
  return {BlockId(block.block()), ShardIndex(shard.index()), ShardGeneration(shard.generation())};
}

bool is_on_hanging_disk(const Node& server, const std::string& file_name) {
  return std::ranges::any_of(server.shard_disks(), [&](const auto& disk) {
    return disk.second->is_hanging() && disk.second->open(file_name).has_value();
  });
}

Atlas::Reach& Atlas::reach_of(const Node& server) {
  if (reach_.size() <= server.index()) reach_.resize(server.index() + 1);
  return reach_[server.index()];
}

void Atlas::disturb(const Node& server) {
  ++reach_of(server).disturbances;
}

void Atlas::calm(const Node& server) {
  Reach& reach = reach_of(server);
  DOGFS_CHECK(reach.disturbances > 0);
  if (--reach.disturbances == 0) reach.since = cluster_.world().now() + kReturnTime;
}

bool Atlas::was_reachable(const Node& server, VirtualTime since) {
  const Reach& reach = reach_of(server);
  return server.up() && reach.disturbances == 0 && reach.since <= since;
}

const KvReader& Atlas::newest_metadata() const {
  const KvReader* newest = nullptr;
  LogIndex most;
  for (Node* node : cluster_.meta_nodes()) {
    const KvReader& disk = *node->kv_disk();
    const Result<LogIndex> applied = MetaTables(disk, kGroup).applied();
    DOGFS_CHECK(applied.has_value());
    if (newest != nullptr && applied.value() <= most) continue;
    newest = &disk;
    most = applied.value();
  }
  return *newest;
}

Node* Atlas::server_node(const KvReader& metadata, uint64_t server) {
  const auto row = MetaTables(metadata, kGroup).server(ServerId(server));
  DOGFS_CHECK(row.has_value() && row.value());
  return cluster_.chunk_node_at(row.value()->address());
}

BlockHealth Atlas::health_of(const KvReader& metadata, const wire::BlockRow& block, VirtualTime since) {
  const Result<Geometry> geometry = geometry_from_wire(block.policy());
  DOGFS_CHECK(geometry.has_value());
  BlockHealth health{.block = BlockId(block.block()),
                     .needed = BlockLayout(geometry.value(), block.length()).stored_data_shards()};
  for (const wire::Shard& shard : block.shards()) {
    const Node* server = keeper_of(metadata, block, shard);
    if (server == nullptr) continue;
    ++health.intact;
    if (was_reachable(*server, since)) ++health.reachable;
  }
  return health;
}

// The server that has the shard intact, and can read it, if any.
const Node* Atlas::keeper_of(const KvReader& metadata, const wire::BlockRow& block, const wire::Shard& shard) {
  const Node* server = shard.server() == 0 ? nullptr : server_node(metadata, shard.server());
  if (server == nullptr || is_damaged(*server, key_of(block, shard)) || cluster_.is_retired(*server)) return nullptr;
  return is_on_hanging_disk(*server, shard_file_name(key_of(block, shard))) ? nullptr : server;
}

bool Atlas::is_block_damaged(BlockId block) const {
  return std::any_of(damaged_.begin(), damaged_.end(),
                     [block](const auto& entry) { return entry.second.block == block; });
}

// Whether any shard of the block is damaged, on a server that is gone for good, or on a disk that hangs.
bool Atlas::is_hurt(const KvReader& metadata, const wire::BlockRow& block) {
  return is_block_damaged(BlockId(block.block())) || std::ranges::any_of(block.shards(), [&](const wire::Shard& shard) {
           return shard.server() != 0 && keeper_of(metadata, block, shard) == nullptr;
         });
}

bool Atlas::may_lose(const Node& server) {
  const KvReader& metadata = newest_metadata();
  bool may = true;
  const auto visit = [&](std::string_view, const wire::BlockRow& block) {
    const auto shard = std::ranges::find_if(block.shards(), [&](const wire::Shard& each) {
      return each.server() != 0 && server_node(metadata, each.server()) == &server;
    });
    if (shard == block.shards().end()) return true;
    if (block.state() != wire::BlockRow::COMMITTED) {
      may = !is_hurt(metadata, block);
    } else {
      may = is_damaged(server, key_of(block, *shard)) || has_spare(metadata, block);
    }
    return may;
  };
  const Status scanned = scan_rows<wire::BlockRow>(metadata, MetaKeys(kGroup).blocks(), visit);
  DOGFS_CHECK(scanned.has_value());
  return may;
}

void Atlas::created(const Node& server, const std::string& file_name) {
  if (const std::optional<ShardKey> key = parse_shard_file_name(file_name)) damaged_.erase({server.index(), *key});
}

bool Atlas::may_damage(const Node& server, const std::string& file_name) {
  const std::optional<ShardKey> key = parse_shard_file_name(file_name);
  if (!key || is_damaged(server, *key)) return true;
  const KvReader& metadata = newest_metadata();
  const auto row = MetaTables(metadata, kGroup).block(key->block);
  DOGFS_CHECK(row.has_value());
  if (!row.value()) return !is_block_damaged(key->block);
  // It may yet be committed, with as little as one spare.
  if (row.value()->state() != wire::BlockRow::COMMITTED) return !is_hurt(metadata, *row.value());
  // One that is not listed as well: it may be listed again.
  return has_spare(metadata, *row.value());
}

bool Atlas::may_damage_disk(const Node& server, const ShardDisk& disk) {
  return std::ranges::all_of(disk.list(), [&](const std::string& file) { return may_damage(server, file); });
}

bool Atlas::has_spare(const KvReader& metadata, const wire::BlockRow& block) {
  const BlockHealth health = health_of(metadata, block, cluster_.world().now());
  return health.intact - at_stake(metadata, block) > health.needed;
}

// Intact shards that a damaged one may be listed in place of: one that was rebuilt, and nobody has looked at it since; or
// one that was replaced and whose server takes it for whole, should that of the other be out of reach.
uint32_t Atlas::at_stake(const KvReader& metadata, const wire::BlockRow& block) {
  std::set<uint32_t> indexes;
  for (const auto& [node, key] : damaged_) {
    if (key.block.value() != block.block()) continue;
    const auto listed = std::ranges::find(block.shards(), key.index.value(), &wire::Shard::index);
    if (listed == block.shards().end() || key_of(block, *listed) == key) continue;
    if (keeper_of(metadata, block, *listed) == nullptr) continue;
    const bool reserved = std::ranges::any_of(
        block.reservations(), [&](const auto& each) { return each.generation() == key.generation.value(); });
    if (reserved || is_taken_for_whole(node, key)) indexes.insert(key.index.value());
  }
  return static_cast<uint32_t>(indexes.size());
}

// By the records of the server.
bool Atlas::is_taken_for_whole(NodeIndex index, const ShardKey& shard) {
  Node* const server = *std::ranges::find(cluster_.chunk_nodes(), index, &Node::index);
  if (cluster_.is_retired(*server)) return false;
  return std::ranges::any_of(cluster_.disk_names(), [&](const Cluster::DiskNames& disk) {
    const Result<std::optional<std::string>> row = server->kv_disk(disk.records)->get(shard_record_key(shard));
    DOGFS_CHECK(row.has_value());
    wire::ShardRecord record;
    return row.value() && record.ParseFromString(*row.value()) && !record.damaged() && !record.deleting();
  });
}

void Atlas::damaged(const Node& server, const std::string& file_name) {
  if (const std::optional<ShardKey> key = parse_shard_file_name(file_name)) damaged_.emplace(server.index(), *key);
}

std::vector<BlockHealth> Atlas::blocks_of(const std::string& path, VirtualTime since) {
  std::vector<BlockHealth> blocks;
  const KvReader& metadata = newest_metadata();
  const MetaTables tables(metadata, kGroup);
  const Result<Path> parsed = Path::parse(path);
  if (!parsed.has_value()) return blocks;
  const Result<Resolution> found = resolve_existing(tables, parsed.value());
  if (!found.has_value() || found.value().is_directory()) return blocks;
  const auto visit = [&](std::string_view, const wire::FileBlockRow& row) {
    const Result<wire::BlockRow> block = tables.required_block(BlockId(row.block()));
    DOGFS_CHECK(block.has_value());
    blocks.push_back(health_of(metadata, block.value(), since));
    return true;
  };
  const Status scanned =
      scan_rows<wire::FileBlockRow>(metadata, tables.keys().file_blocks(found.value().inode(), 0), visit);
  DOGFS_CHECK(scanned.has_value());
  return blocks;
}

}  // namespace dogfs::sim
