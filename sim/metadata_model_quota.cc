// What the MetadataModel says about quotas: whatever is charged to one is counted anew each time that it matters. For
// that the model must know when what was deleted is no longer there, and so takes it apart by the same rule as the
// metadata (core/meta/reclaim.h).
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/printable.h"
#include "core/meta/path.h"
#include "core/meta/quota.h"
#include "core/meta/reclaim.h"
#include "sim/metadata_model.h"

namespace dogfs::sim {
// --- Taking apart ----------------------------------------------------------------------------------------------------

void MetadataModel::detach(const wire::Command& command, uint64_t id) {
  cut_off(command, id);
  give_to_reclaim(inodes_.at(id));
}

void MetadataModel::give_to_reclaim(Inode& inode) {
  reclaiming_.insert(inode.id);
}

void MetadataModel::reclaim(const wire::ReclaimStep& operation) {
  if (operation.max_rows() > kMaxReclaimRows) return;
  for (uint32_t budget = operation.max_rows(); budget > 0 && !reclaiming_.empty();) {
    const uint64_t id = *reclaiming_.begin();
    const uint32_t taken = inodes_.at(id).directory ? take_apart_directory(id, budget) : take_apart_file(id, budget);
    budget -= taken;
    if (budget == 0) return;
  }
}

// An inode goes with the step that finds nothing more in it before it has done all that it may.
uint32_t MetadataModel::take_apart_directory(uint64_t id, uint32_t budget) {
  Inode& directory = inodes_.at(id);
  const Charges charges = charges_of(directory);
  uint32_t taken = 0;
  for (; taken < budget && !directory.children.empty(); ++taken) {
    Inode& child = inodes_.at(directory.children.begin()->second);
    child.parent = 0;
    child.charges = charges;
    reclaiming_.insert(child.id);
    directory.children.erase(directory.children.begin());
  }
  if (taken == budget) return taken;
  if (directory.quota) --quotas_;
  reclaiming_.erase(id);
  inodes_.erase(id);
  return taken + 1;
}

uint32_t MetadataModel::take_apart_file(uint64_t id, uint32_t budget) {
  Inode& file = inodes_.at(id);
  const auto taken = static_cast<uint32_t>(std::min<size_t>(budget, file.blocks.size()));
  file.blocks.erase(file.blocks.begin(), file.blocks.begin() + taken);
  if (taken == budget) return taken;
  reclaiming_.erase(id);
  inodes_.erase(id);
  return taken + 1;
}

// --- Charges ---------------------------------------------------------------------------------------------------------

MetadataModel::Charges MetadataModel::charges_of(const Inode& inode) const {
  Charges charges;
  if (quotas_ == 0) return charges;
  const Inode* at = &inode;
  while (true) {
    if (at->quota) charges.emplace(at->id, at->quota->id);
    if (at->parent == 0) break;
    at = &inodes_.at(at->parent);
  }
  charges.insert(at->charges.begin(), at->charges.end());
  return charges;
}

MetadataModel::Amount MetadataModel::amount_of(const Inode& inode) const {
  Amount amount{.names = 1, .bytes = inode.tail.size()};
  for (const CommittedBlock& block : inode.blocks) amount.bytes += block.stored_bytes;
  for (const auto& [block, pending] : inode.pending) amount.bytes += pending.stored_bytes;
  return amount;
}

MetadataModel::Amount MetadataModel::amount_below(const Inode& top) const {
  Amount sum = amount_of(top);
  for (const auto& [name, child] : top.children) {
    const Amount below = amount_below(inodes_.at(child));
    sum.names += below.names;
    sum.bytes += below.bytes;
  }
  return sum;
}

MetadataModel::Amount MetadataModel::used_of(const Inode& directory) const {
  Amount used;
  for (const auto& [id, inode] : inodes_) {
    if (!charges_of(inode).contains({directory.id, directory.quota->id})) continue;
    const Amount amount = amount_of(inode);
    used.names += amount.names;
    used.bytes += amount.bytes;
  }
  return used;
}

bool MetadataModel::has_room(const Charges& charges, Amount more) const {
  for (const auto& [id, quota] : charges) {
    const auto directory = inodes_.find(id);
    if (directory == inodes_.end() || !directory->second.quota || directory->second.quota->id != quota) continue;
    const Quota& limits = *directory->second.quota;
    const Amount used = used_of(directory->second);
    if (limits.max_names > 0 && more.names > 0 && used.names + more.names > limits.max_names) return false;
    if (limits.max_bytes > 0 && more.bytes > 0 && used.bytes + more.bytes > limits.max_bytes) return false;
  }
  return true;
}

bool MetadataModel::has_room_for(const Inode& top, const Charges& from, const Charges& to, Amount beside) const {
  Charges entered;
  std::ranges::set_difference(to, from, std::inserter(entered, entered.end()));
  Amount more = amount_below(top);
  more.names += beside.names;
  more.bytes += beside.bytes;
  return has_room(to, beside) && has_room(entered, more);
}

ModelAnswer MetadataModel::set_quota(const wire::SetQuota& operation) {
  const Lookup lookup = look_up(operation.path());
  if (lookup.code != ErrorCode::kOk && lookup.names.empty()) return refused(lookup.code);
  const bool limits = operation.max_names() > 0 || operation.max_bytes() > 0;
  if (operation.clear() == limits || operation.max_names() > kMaxQuota || operation.max_bytes() > kMaxQuota) {
    return refused(ErrorCode::kInvalidArgument);
  }
  if (lookup.code != ErrorCode::kOk) return refused(lookup.code);
  if (lookup.missing() > 0) return refused(ErrorCode::kNotFound);
  Inode& directory = inodes_.at(lookup.names.empty() ? kRootId : lookup.inode);
  if (!directory.directory) return refused(ErrorCode::kNotADirectory);
  if (operation.clear()) {
    if (directory.quota) --quotas_;
    directory.quota.reset();
    return {};
  }
  if (!directory.quota) {
    ++quotas_;
    directory.quota = Quota{.id = next_quota_++};
  }
  if (operation.max_names() > 0) directory.quota->max_names = operation.max_names();
  if (operation.max_bytes() > 0) directory.quota->max_bytes = operation.max_bytes();
  return {};
}

MetadataModel::Mismatch MetadataModel::check_quotas(const wire::GetQuotasRequest& request, ErrorCode code,
                                                    const wire::GetQuotasReply& reply) const {
  const Lookup lookup = look_up(request.path());
  ErrorCode expected_code = lookup.code;
  if (expected_code == ErrorCode::kOk && lookup.missing() > 0) expected_code = ErrorCode::kNotFound;
  if (code != expected_code) return fmt::format("{} instead of {}", error_name(code), error_name(expected_code));
  if (code != ErrorCode::kOk) return std::nullopt;
  wire::GetQuotasReply expected;
  std::vector<uint64_t> way = lookup.directories;
  way.push_back(lookup.names.empty() ? kRootId : lookup.inode);
  std::string path;
  for (size_t depth = 0; depth < way.size(); ++depth) {
    if (depth > 0) path += "/" + lookup.names[depth - 1];
    const Inode& inode = inodes_.at(way[depth]);
    if (!inode.quota) continue;
    const Amount used = used_of(inode);
    wire::GetQuotasReply::Quota& quota = *expected.add_quotas();
    quota.set_path(path.empty() ? "/" : path);
    quota.set_max_names(inode.quota->max_names);
    quota.set_max_bytes(inode.quota->max_bytes);
    quota.set_names(used.names);
    quota.set_bytes(used.bytes);
  }
  if (reply.SerializeAsString() == expected.SerializeAsString()) return std::nullopt;
  return fmt::format("{{{}}} instead of {{{}}}", reply.ShortDebugString(), expected.ShortDebugString());
}

}  // namespace dogfs::sim
