#include "sim/block_oracle.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/chunk/shard_format.h"
#include "core/meta/keys.h"
#include "core/meta/risk.h"
#include "core/meta/tables.h"
#include "sim/oracles.h"

namespace dogfs::sim {
namespace {

constexpr GroupId kGroup{0};
constexpr uint64_t kEntriesBetweenChecksOfAll = 100;
constexpr seconds kOrdersUnderWay(5);

bool is_same_shard(const wire::Shard& a, const wire::Shard& b) {
  return a.index() == b.index() && a.server() == b.server() && a.generation() == b.generation();
}

template <class Row>
Row parse(const WriteBatch::Put& put) {
  Row row;
  DOGFS_CHECK(row.ParseFromString(put.value));
  return row;
}

}  // namespace

BlockOracle::BlockOracle(Cluster& cluster, const Atlas& atlas, Verdict& verdict)
    : cluster_(cluster), atlas_(atlas), verdict_(verdict) {
  for (Node* node : cluster_.meta_nodes()) {
    KvDisk& disk = *node->kv_disk();
    disk.on_apply([this, &disk](const WriteBatch& batch) { applied_on(disk, batch); });
  }
  for (Node* node : cluster_.chunk_nodes()) {
    for (const auto& [name, disk] : node->shard_disks()) {
      disk->on_remove([this, node, where = disk.get()](const std::string& file) { removed(*node, *where, file); });
    }
  }
}

// What one node applies others have applied before, or will: the first counts. It had applied all that came before, so
// its batch has every row that has changed since.
void BlockOracle::applied_on(const KvDisk& disk, const WriteBatch& batch) {
  if (verdict_.failed()) return;
  const Result<LogIndex> applied = MetaTables(disk, kGroup).applied();
  DOGFS_CHECK(applied.has_value());
  if (is_installing(disk) || applied.value() <= applied_) return;
  applied_ = applied.value();
  const MetaKeys keys(kGroup);
  const KeyRange servers = keys.servers();
  for (const WriteBatch::Operation& operation : batch.operations()) {
    const auto* put = std::get_if<WriteBatch::Put>(&operation);
    if (put == nullptr || !servers.contains(put->key)) continue;
    servers_[last_id(put->key)] = parse<wire::ChunkServerRow>(*put).address();
  }
  const KeyRange blocks = keys.blocks();
  for (const WriteBatch::Operation& operation : batch.operations()) {
    if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) {
      if (blocks.contains(put->key)) take_row(*put);
    } else if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) {
      if (!blocks.contains(erase->key)) continue;
      blocks_.erase(last_id(erase->key));
      listed_.erase(last_id(erase->key));
    }
  }
  if (applied_ < next_check_of_all_) return;
  next_check_of_all_ = LogIndex(applied_.value() + kEntriesBetweenChecksOfAll);
  check_all();
}

void BlockOracle::take_row(const WriteBatch::Put& row) {
  const auto after = parse<wire::BlockRow>(row);
  wire::BlockRow& known = blocks_[after.block()];
  if (after.state() == wire::BlockRow::COMMITTED) changed(known, after);
  known = after;
}

bool BlockOracle::was_listed(const ShardKey& key) const {
  const auto of_block = listed_.find(key.block.value());
  return of_block != listed_.end() && of_block->second.contains(key);
}

// `before` is empty, or a row that need not be committed.
void BlockOracle::changed(const wire::BlockRow& before, const wire::BlockRow& after) {
  for (const wire::Shard& shard : after.shards()) {
    const bool stays =
        before.state() == wire::BlockRow::COMMITTED &&
        std::ranges::any_of(before.shards(), [&](const wire::Shard& each) { return is_same_shard(each, shard); });
    if (shard.server() == 0 || stays) continue;
    listed_[after.block()].insert(key_of(after, shard));
    check_shard(after, shard, "listed");
  }
  if (before.state() != wire::BlockRow::COMMITTED) return;
  for (const wire::Shard& shard : before.shards()) {
    if (!is_good(before, shard)) continue;
    const auto now = std::ranges::find(after.shards(), shard.index(), &wire::Shard::index);
    if (now == after.shards().end() || now->server() == 0) {
      fail(before, shard, "is good, but not listed any more");
    } else if (!is_good(after, *now) && !is_excused(after, *now)) {
      fail(before, shard, "is good, but was replaced by one that is not");
    }
  }
}

// Of two good files of a shard, on two disks of a server, one may go; and one that was replaced, if what took its place is
// there.
void BlockOracle::removed(const Node& server, const ShardDisk& disk, const std::string& file) {
  const std::optional<ShardKey> key = parse_shard_file_name(file);
  if (!key || verdict_.failed()) return;
  const auto found = blocks_.find(key->block.value());
  if (found == blocks_.end() || found->second.state() != wire::BlockRow::COMMITTED) return;
  const wire::BlockRow& block = found->second;
  const auto listed = std::ranges::find(block.shards(), key->index.value(), &wire::Shard::index);
  if (listed == block.shards().end()) return;
  wire::Shard shard = *listed;
  shard.set_generation(key->generation.value());
  if (!is_good_on(disk, block, shard)) return;
  if (key_of(block, *listed) != *key || server_of(*listed) != &server) {
    if (was_listed(*key) && has_lost_all_of(block, *listed, server)) {
      fail(block, shard, "is good, and is removed for one that is not there");
    }
    return;
  }
  const auto is_other_copy = [&](const auto& each) {
    return each.second.get() != &disk && is_good_on(*each.second, block, shard);
  };
  if (std::ranges::any_of(server.shard_disks(), is_other_copy)) return;
  fail(block, shard, "is good and listed, and its file is removed");
}

// Whether the server of the listed shard has no file of it, and everybody had the time to know: it may be damaged in
// secret, and orders of an earlier time may still be under way, but a disk that came up empty is seen.
bool BlockOracle::has_lost_all_of(const wire::BlockRow& block, const wire::Shard& listed, const Node& remover) const {
  const Node* keeper = server_of(listed);
  const auto is_settled = [this](const Node& node) {
    return node.up() && cluster_.world().now() - node.up_since() > kOrdersUnderWay;
  };
  if (keeper == nullptr || !is_settled(*keeper) || !is_settled(remover)) return false;
  const std::string name = shard_file_name(key_of(block, listed));
  return std::ranges::none_of(keeper->shard_disks(),
                              [&](const auto& disk) { return disk.second->open(name).has_value(); });
}

void BlockOracle::check_all() {
  for (const auto& [id, block] : blocks_) {
    if (block.state() != wire::BlockRow::COMMITTED) continue;
    for (const wire::Shard& shard : block.shards()) {
      if (is_intact(shard)) check_shard(block, shard, "kept");
    }
  }
}

void BlockOracle::said_empty(const Node& server, LogIndex as_of) {
  for (const auto& [id, block] : blocks_) check_nothing_on(server, block, as_of);
  for (const auto& [name, disk] : server.shard_disks()) {
    for (const std::string& file : disk->list()) {
      const std::optional<ShardKey> key = parse_shard_file_name(file);
      const auto block = key ? blocks_.find(key->block.value()) : blocks_.end();
      if (block != blocks_.end()) check_moved(block->second, key->index);
    }
  }
}

void BlockOracle::check_nothing_on(const Node& server, const wire::BlockRow& block, LogIndex as_of) {
  const bool committed = block.state() == wire::BlockRow::COMMITTED;
  for (const wire::Shard& shard : block.shards()) {
    if (!is_at(shard.server(), server) || (committed && LogIndex(shard.listed_at()) > as_of)) continue;
    fail(block, shard, committed ? "is listed, although the server is empty" : "may be written to an empty server");
  }
  for (const wire::RepairReservation& reservation : block.reservations()) {
    if (!is_at(reservation.target(), server)) continue;
    verdict_.fail("block", fmt::format("shard {} of block {} is to be rebuilt on {}, which is empty",
                                       reservation.index(), block.block(), server.name()));
  }
}

// What was on a server that is empty now.
void BlockOracle::check_moved(const wire::BlockRow& block, ShardIndex index) {
  if (block.state() != wire::BlockRow::COMMITTED) return;
  const auto shard = std::ranges::find(block.shards(), index.value(), &wire::Shard::index);
  if (shard == block.shards().end() || shard->server() == 0) return;
  if (!is_good(block, *shard) && !is_excused(block, *shard)) fail(block, *shard, "was moved, and is not good there");
}

bool BlockOracle::is_at(uint64_t server, const Node& node) const {
  const auto address = servers_.find(server);
  return address != servers_.end() && address->second == node.name();
}

void BlockOracle::check_shard(const wire::BlockRow& block, const wire::Shard& shard, const char* when) {
  ++shards_checked_;
  if (is_good(block, shard) || is_excused(block, shard)) return;
  fail(block, shard, fmt::format("is {}, but its disk does not hold what was committed", when).c_str());
}

Node* BlockOracle::server_of(const wire::Shard& shard) const {
  const auto address = servers_.find(shard.server());
  if (address == servers_.end()) return nullptr;
  Node* node = cluster_.chunk_node_at(address->second);
  return node == nullptr || cluster_.is_retired(*node) ? nullptr : node;
}

bool BlockOracle::is_good(const wire::BlockRow& block, const wire::Shard& shard) const {
  Node* server = server_of(shard);
  if (server == nullptr) return false;
  return std::ranges::any_of(server->shard_disks(),
                             [&](const auto& disk) { return is_good_on(*disk.second, block, shard); });
}

bool BlockOracle::is_good_on(const ShardDisk& disk, const wire::BlockRow& block, const wire::Shard& shard) {
  const std::string name = shard_file_name(key_of(block, shard));
  const FileBytes* file = disk.durable_file(name);
  return file != nullptr && !disk.has_lost_sectors(name) && file->size() >= shard_file_bytes(shard.length()) &&
         crc32c(file->view().substr(kShardHeaderBytes, shard.length())) == shard.crc32c();
}

// A shard that went with its server is nobody's fault either.
bool BlockOracle::is_excused(const wire::BlockRow& block, const wire::Shard& shard) const {
  const Node* server = server_of(shard);
  return server == nullptr || atlas_.is_damaged(*server, key_of(block, shard));
}

void BlockOracle::fail(const wire::BlockRow& block, const wire::Shard& shard, const char* what) {
  const auto address = servers_.find(shard.server());
  verdict_.fail("block", fmt::format("{} on {} {}", to_string(key_of(block, shard)),
                                     address == servers_.end() ? "no server" : address->second, what));
}

}  // namespace dogfs::sim
