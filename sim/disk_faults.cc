#include "sim/disk_faults.h"

#include <iterator>

namespace dogfs::sim {
namespace {

uint32_t& count_of_full(const proto::DiskFull& full, DiskTrouble& trouble) {
  if (full.nearly()) return trouble.rows_nearly_full;
  return full.rows() ? trouble.rows_full : trouble.full;
}

Harm harm_of_full(const proto::DiskFull& full) {
  if (full.nearly()) return Harm::kRowsNearlyFull;
  return full.rows() ? Harm::kRowsFull : Harm::kFull;
}

DiskTrouble trouble_of(const proto::Fault& fault) {
  DiskTrouble trouble;
  switch (fault.kind_case()) {
    case proto::Fault::kDiskReadErrors:
      (fault.disk_read_errors().rows() ? trouble.row_read_errors_per_million : trouble.read_errors_per_million) =
          fault.disk_read_errors().per_million();
      break;
    case proto::Fault::kDiskWriteErrors:
      (fault.disk_write_errors().rows() ? trouble.row_write_errors_per_million : trouble.write_errors_per_million) =
          fault.disk_write_errors().per_million();
      break;
    case proto::Fault::kMisdirectedReads:
      trouble.misdirected_reads_per_million = fault.misdirected_reads().per_million();
      break;
    case proto::Fault::kMisdirectedWrites:
      trouble.misdirected_writes_per_million = fault.misdirected_writes().per_million();
      break;
    case proto::Fault::kDiskFull:
      count_of_full(fault.disk_full(), trouble) = 1;
      break;
    case proto::Fault::kDiskReadOnly:
      trouble.read_only = 1;
      break;
    case proto::Fault::kSlowDisk:
      trouble.delay_min = microseconds(fault.slow_disk().min_us());
      trouble.delay_max = microseconds(fault.slow_disk().max_us());
      break;
    default:
      break;
  }
  return trouble;
}

}  // namespace

std::vector<Harm> disk_harms_of(const proto::Fault& fault) {
  switch (fault.kind_case()) {
    case proto::Fault::kDiskReadErrors:
      return {fault.disk_read_errors().rows() ? Harm::kRowReadError : Harm::kReadError};
    case proto::Fault::kDiskWriteErrors:
      return {fault.disk_write_errors().rows() ? Harm::kRowWriteError : Harm::kWriteError};
    case proto::Fault::kMisdirectedReads:
      return {Harm::kMisdirectedRead};
    case proto::Fault::kMisdirectedWrites:
      return {Harm::kMisdirectedWrite};
    case proto::Fault::kDiskFull:
      return {harm_of_full(fault.disk_full())};
    case proto::Fault::kDiskReadOnly:
      return {Harm::kReadOnly};
    case proto::Fault::kDiskHangs:
      return {Harm::kUnanswered};
    case proto::Fault::kSlowDisk:
      return {Harm::kDelay, Harm::kRowDelay};
    case proto::Fault::kSyncFailure:
      return {Harm::kFailedSync, Harm::kRowFailedSync};
    default:
      return {};
  }
}

void DiskStrike::begin(const proto::Fault& fault, const std::vector<Node*>& nodes, RandomStream& draws) {
  kind_ = fault.kind_case();
  harms_ = disk_harms_of(fault);
  trouble_ = trouble_of(fault);
  nodes_ = nodes;
  for (Node* node : nodes) {
    if (kind_ == proto::Fault::kSyncFailure) {
      arm_sync_failure(*node, draws);
      continue;
    }
    if (kind_ == proto::Fault::kDiskReadOnly || kind_ == proto::Fault::kDiskHangs) {
      take_last_disk(*node);
      continue;
    }
    for (const auto& [name, disk] : node->shard_disks()) shard_disks_.push_back(disk);
    for (const auto& [name, disk] : node->kv_disks()) kv_disks_.push_back(disk);
  }
  harms_before_ = harms_so_far();
  for (const auto& disk : shard_disks_) disk->begin_trouble(trouble_);
  for (const auto& disk : kv_disks_) disk->begin_trouble(trouble_);
}

void DiskStrike::take_last_disk(Node& node) {
  if (node.shard_disks().empty()) return;
  shard_disks_.push_back(node.shard_disks().rbegin()->second);
  kv_disks_.push_back(node.kv_disks().rbegin()->second);
}

// One disk of the node: of several, any.
void DiskStrike::arm_sync_failure(Node& node, RandomStream& draws) {
  const uint64_t disks = node.shard_disks().size() + node.kv_disks().size();
  if (disks == 0) return;
  uint64_t chosen = draws.below(disks);
  for (const auto& [name, disk] : node.shard_disks()) {
    if (chosen-- > 0) continue;
    disk->set_sync_failure(true);
    shard_disks_.push_back(disk);
    return;
  }
  const auto disk = std::next(node.kv_disks().begin(), static_cast<ptrdiff_t>(chosen))->second;
  disk->set_sync_failure(true);
  kv_disks_.push_back(disk);
}

void DiskStrike::end() {
  struck_ = harms_so_far() > harms_before_;
  for (const auto& disk : shard_disks_) disk->end_trouble(trouble_);
  for (const auto& disk : kv_disks_) disk->end_trouble(trouble_);
  if (kind_ != proto::Fault::kSyncFailure) return;
  for (const auto& disk : shard_disks_) disk->set_sync_failure(false);
  for (const auto& disk : kv_disks_) disk->set_sync_failure(false);
}

uint64_t DiskStrike::harms_so_far() const {
  uint64_t sum = 0;
  for (const Node* node : nodes_) {
    for (const Harm harm : harms_) sum += node->harms(harm);
  }
  return sum;
}

}  // namespace dogfs::sim
