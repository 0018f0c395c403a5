// What the MetadataModel says about the trash.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/base/printable.h"
#include "core/meta/path.h"
#include "core/meta/trash.h"
#include "sim/metadata_model.h"

namespace dogfs::sim {
namespace {

constexpr uint32_t kParentMode = 0755;

}  // namespace

// From here on it is taken apart.
void MetadataModel::end_keeping(Inode& inode) {
  trash_.erase({inode.kept->expires_ms, inode.id});
  inode.kept.reset();
  give_to_reclaim(inode);
}

ModelAnswer MetadataModel::restore_trash(const wire::Command& command, const wire::RestoreTrash& operation) {
  const auto found = inodes_.find(operation.inode());
  if (found == inodes_.end() || !found->second.kept) return refused(ErrorCode::kNotFound);
  Inode& inode = found->second;
  const Lookup lookup = look_up(operation.target().empty() ? inode.kept->path : operation.target());
  if (lookup.code != ErrorCode::kOk) return refused(lookup.code);
  if (lookup.missing() == 0) return refused(ErrorCode::kAlreadyExists);
  if (lookup.missing() > 1 && !operation.parents()) return refused(ErrorCode::kNotFound);
  const Charges to = charges_of(inodes_.at(lookup.directories.back()));
  const bool fits = has_room_for(inode, inode.charges, to, {.names = lookup.missing() - 1});
  if (!fits) return refused(ErrorCode::kQuotaExceeded);
  trash_.erase({inode.kept->expires_ms, inode.id});
  inode.kept.reset();
  inode.charges.clear();
  inode.parent = make_parents(command, lookup, kParentMode);
  inode.name = lookup.names.back();
  Inode& parent = inodes_.at(inode.parent);
  parent.children[inode.name] = inode.id;
  parent.mtime_ms = command.wall_ms();
  return {};
}

ModelAnswer MetadataModel::purge_trash(const wire::PurgeTrash& operation) {
  if (operation.all() == (operation.inode() != 0)) return refused(ErrorCode::kInvalidArgument);
  ModelAnswer answer;
  wire::PurgeTrashResult& result = *answer.result.mutable_purge_trash();
  if (!operation.all()) {
    const auto found = inodes_.find(operation.inode());
    if (found == inodes_.end() || !found->second.kept) return refused(ErrorCode::kNotFound);
    end_keeping(found->second);
    result.set_purged(1);
    return answer;
  }
  const auto purged = static_cast<uint32_t>(std::min<size_t>(trash_.size(), kMaxTrashRows));
  for (uint32_t i = 0; i < purged; ++i) end_keeping(inodes_.at(trash_.begin()->second));
  result.set_purged(purged);
  result.set_more(!trash_.empty());
  return answer;
}

void MetadataModel::expire_trash(const wire::ExpireTrash& operation) {
  if (operation.max_rows() > kMaxTrashRows) return;
  for (uint32_t i = 0; i < operation.max_rows(); ++i) {
    if (trash_.empty() || trash_.begin()->first > log_time_ms_) return;
    end_keeping(inodes_.at(trash_.begin()->second));
  }
}

MetadataModel::Mismatch MetadataModel::check_trash_entry(const Inode& inode, const wire::TrashEntry& seen) const {
  wire::TrashEntry expected;
  expected.set_inode(inode.id);
  expected.set_path(inode.kept->path);
  expected.set_directory(inode.directory);
  expected.set_length(inode.length);
  expected.set_entries(inode.children.size());
  expected.set_deleted_by(inode.kept->deleted_by);
  expected.set_deleted_wall_ms(inode.kept->deleted_wall_ms);
  expected.set_deleted_ms(inode.kept->deleted_ms);
  expected.set_expires_ms(inode.kept->expires_ms);
  if (seen.SerializeAsString() == expected.SerializeAsString()) return std::nullopt;
  return fmt::format("{{{}}} instead of {{{}}}", seen.ShortDebugString(), expected.ShortDebugString());
}

MetadataModel::Mismatch MetadataModel::check_trash(const wire::ListTrashRequest& request, ErrorCode code,
                                                   const wire::ListTrashReply& reply) const {
  auto next = trash_.upper_bound({request.after_expires_ms(), request.after_inode()});
  auto end = trash_.end();
  if (request.inode() != 0) {
    const auto found = inodes_.find(request.inode());
    const bool kept = found != inodes_.end() && found->second.kept.has_value();
    const ErrorCode expected = kept ? ErrorCode::kOk : ErrorCode::kNotFound;
    if (code != expected) return fmt::format("{} instead of {}", error_name(code), error_name(expected));
    if (!kept) return std::nullopt;
    next = trash_.find({found->second.kept->expires_ms, request.inode()});
    end = std::next(next);
  }
  if (code != ErrorCode::kOk) return fmt::format("{} instead of what is there", error_name(code));
  for (const wire::TrashEntry& entry : reply.entries()) {
    if (next == end) return "one too many: " + printable(entry.path());
    if (Mismatch mismatch = check_trash_entry(inodes_.at(next->second), entry)) return mismatch;
    ++next;
  }
  if (reply.more() != (next != end)) return reply.more() ? "it says that there is more" : "something is missing";
  const uint32_t page = request.limit() == 0 ? kMaxTrashPageEntries : std::min(request.limit(), kMaxTrashPageEntries);
  const bool full = static_cast<uint32_t>(reply.entries_size()) >= page || reply.ByteSizeLong() > kMaxTrashPageBytes;
  if (reply.more() && !full) return "the page is not full";
  return std::nullopt;
}

}  // namespace dogfs::sim
