#include "sim/years_ledger.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "core/meta/risk.h"
#include "sim/atlas.h"

namespace dogfs::sim {

YearsLedger::YearsLedger(Simulator& simulator, uint32_t parity_shards, IsWhole is_whole)
    : simulator_(simulator), parity_shards_(parity_shards), is_whole_(std::move(is_whole)) {
  DOGFS_CHECK(parity_shards < BlockStates::kStates);
}

void YearsLedger::note(const WriteBatch& batch) {
  queued_.clear();
  left_.clear();
  for (const WriteBatch::Operation& operation : batch.operations()) {
    if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) note_row(put->key, &put->value);
    if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) note_row(erase->key, nullptr);
  }
  note_arrivals(queued_, left_);
}

// `value`: null where the row was erased.
void YearsLedger::note_row(std::string_view key, const std::string* value) {
  if (blocks_range_.contains(key)) {
    if (value != nullptr) note_block(BlockId(last_id(key)), *value);
  } else if (servers_range_.contains(key)) {
    if (value != nullptr) note_server(*value);
  } else if (risk_range_.contains(key)) {
    const bool waits = value != nullptr && risk_in(key) != Risk::kLost;
    (waits ? queued_ : left_).insert(BlockId(last_id(key)));
  } else if (reserved_range_.contains(key)) {
    if (value != nullptr) reserved_.insert(BlockId(last_id(key)));
    if (value == nullptr) reserved_.erase(BlockId(last_id(key)));
  } else if (garbage_range_.contains(key)) {
    const GarbageShard shard = garbage_shard(key);
    std::set<GarbageShard>& garbage = garbage_[shard.server];
    if (value != nullptr) garbage.insert(shard);
    if (value == nullptr) garbage.erase(shard);
    if (garbage.empty()) garbage_.erase(shard.server);
  }
}

void YearsLedger::note_block(BlockId id, const std::string& value) {
  wire::BlockRow row;
  DOGFS_CHECK(row.ParseFromString(value));
  if (row.state() != wire::BlockRow::COMMITTED) return;
  const auto [entry, is_new] = blocks_.try_emplace(id);
  Block& block = entry->second;
  if (is_new) block.since = simulator_.now();
  block.shards.clear();
  for (const wire::Shard& shard : row.shards()) {
    block.shards.push_back({.key = key_of(row, shard), .server = ServerId(shard.server())});
  }
  recount(block);
}

void YearsLedger::note_server(const std::string& value) {
  wire::ChunkServerRow row;
  DOGFS_CHECK(row.ParseFromString(value));
  servers_[ServerId(row.server())] = {.state = row.state(), .sweeping = row.sweeping()};
}

// A block whose risk has changed left one queue for another in the same batch: it has not come anew.
void YearsLedger::note_arrivals(const std::set<BlockId>& queued, const std::set<BlockId>& left) {
  for (const BlockId block : left) {
    const auto arrival = arrivals_.find(block);
    if (queued.contains(block) || arrival == arrivals_.end()) continue;
    queue_.erase(arrival->second);
    arrivals_.erase(arrival);
  }
  for (const BlockId block : queued) {
    if (arrivals_.emplace(block, last_arrival_ + 1).second) queue_.emplace(++last_arrival_, block);
  }
}

void YearsLedger::count_time(Block& block) {
  if (!is_lost(block)) {
    const auto elapsed =
        std::chrono::floor<milliseconds>(simulator_.now()) - std::chrono::floor<milliseconds>(block.since);
    states_.block_ms.at(block.missing) += static_cast<uint64_t>(elapsed.count());
  }
  block.since = simulator_.now();
}

void YearsLedger::recount(BlockId id) {
  const auto found = blocks_.find(id);
  if (found != blocks_.end()) recount(found->second);
}

void YearsLedger::recount(Block& block) {
  const auto gone = std::ranges::count_if(block.shards, [this](const ListedShard& shard) { return !is_whole_(shard); });
  const uint32_t missing = std::min(static_cast<uint32_t>(gone), parity_shards_ + 1);
  if (missing == block.missing) return;
  count_time(block);
  // One that comes back was not lost.
  if (is_lost(block)) {
    --lost_;
    --states_.losses.at(--block.missing);
  }
  for (; block.missing > missing; --block.missing) ++states_.rebuilds.at(block.missing);
  for (; block.missing < missing; ++block.missing) ++states_.losses.at(block.missing);
  if (is_lost(block)) ++lost_;
}

void YearsLedger::settle_accounts() {
  for (auto& [id, block] : blocks_) count_time(block);
}

uint64_t YearsLedger::short_blocks() const {
  return static_cast<uint64_t>(std::ranges::count_if(
      blocks_, [this](const auto& entry) { return !is_lost(entry.second) && entry.second.missing > 0; }));
}

ListedShard YearsLedger::listed(BlockId block, ShardIndex index) const {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return {};
  const auto shard =
      std::ranges::find(found->second.shards, index, [](const ListedShard& each) { return each.key.index; });
  return shard == found->second.shards.end() ? ListedShard{} : *shard;
}

bool YearsLedger::is_listed(ServerId server, const ShardKey& key) const {
  const ListedShard shard = listed(key.block, key.index);
  return shard.server == server && shard.key == key;
}

bool YearsLedger::has_garbage(ServerId server) const {
  return garbage_.contains(server);
}

wire::ServerState YearsLedger::state_of(ServerId server) const {
  const auto found = servers_.find(server);
  return found == servers_.end() ? wire::DEAD : found->second.state;
}

bool YearsLedger::is_sweeping() const {
  return std::ranges::any_of(servers_, [](const auto& entry) { return entry.second.sweeping; });
}

Result<std::vector<wire::BlockRow>> YearsLedger::by_arrival(const MetaTables& tables) const {
  std::vector<wire::BlockRow> rows;
  rows.reserve(queue_.size());
  for (const auto& [arrival, block] : queue_) {
    DOGFS_TRY(wire::BlockRow row, tables.required_block(block));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace dogfs::sim
