#include "core/meta/inline_tail.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/limits.h"
#include "core/meta/file_commands.h"
#include "core/meta/quota.h"

namespace dogfs {
namespace {

Status set_tail_bytes(ApplyContext& context, wire::InodeRow& file, uint32_t bytes) {
  DOGFS_TRYV(set_stored_bytes(context, file, file.stored_bytes() - file.tail_bytes() + bytes));
  const uint64_t before = file.length();
  file.set_length(blocks_end(file) + bytes);
  file.set_tail_bytes(bytes);
  file.set_mtime_ms(context.wall_ms());
  context.counters.set_bytes(context.counters.bytes() - before + file.length());
  return ok();
}

}  // namespace

Status put_tail(ApplyContext& context, wire::InodeRow& file, uint64_t offset, const std::string& data) {
  if (data.empty() || data.size() > kMaxInlineTailBytes) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("an inline tail has 1 to {} bytes, and not {}", kMaxInlineTailBytes, data.size()));
  }
  if (offset != blocks_end(file)) {
    return Error(ErrorCode::kConflict, fmt::format("offset {} is not where the blocks of inode {} end, which is {}",
                                                   offset, file.inode(), blocks_end(file)));
  }
  if (data.size() < file.tail_bytes()) {
    return Error(ErrorCode::kConflict, fmt::format("inode {} has {} bytes behind its blocks, and would keep {}",
                                                   file.inode(), file.tail_bytes(), data.size()));
  }
  if (data.size() > kMaxFileBytes - offset) {
    return Error(ErrorCode::kLimitExceeded, fmt::format("a file has at most {} bytes", kMaxFileBytes));
  }
  DOGFS_TRYV(set_tail_bytes(context, file, static_cast<uint32_t>(data.size())));
  wire::InlineTailRow row;
  row.set_data(data);
  context.tables.put_inline_tail(InodeId(file.inode()), row);
  return ok();
}

Status cut_tail(ApplyContext& context, wire::InodeRow& file, uint32_t kept) {
  const InodeId id(file.inode());
  if (kept == file.tail_bytes()) return ok();
  if (kept == 0) {
    context.tables.erase(context.tables.keys().inline_tail(id));
  } else {
    DOGFS_TRY(wire::InlineTailRow row, context.tables.required_inline_tail(id));
    row.mutable_data()->resize(kept);
    context.tables.put_inline_tail(id, row);
  }
  return set_tail_bytes(context, file, kept);
}

Result<wire::CommitTailResult> commit_tail(ApplyContext& context, const wire::CommitTail& operation) {
  DOGFS_TRY(wire::InodeRow file,
            leased_file(context.tables, InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())));
  DOGFS_TRYV(put_tail(context, file, operation.offset(), operation.data()));
  context.tables.put(file);
  wire::CommitTailResult result;
  result.set_file_length(file.length());
  return result;
}

}  // namespace dogfs
