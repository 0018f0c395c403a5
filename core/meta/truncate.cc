#include "core/meta/truncate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/meta/block_commands.h"
#include "core/meta/file_commands.h"
#include "core/meta/inline_tail.h"
#include "core/meta/quota.h"

namespace dogfs {
namespace {

struct FileTail {
  uint64_t offset = 0;
  wire::FileBlockRow row;
};

// The blocks of `file` that reach beyond `length`, the last one first; as many as one command may touch.
Result<std::vector<FileTail>> blocks_beyond(const MetaTables& tables, const wire::InodeRow& file, uint64_t length) {
  std::vector<FileTail> tails;
  const KeyRange range = tables.keys().file_blocks_up_to(InodeId(file.inode()), file.length());
  Status parsed = ok();
  DOGFS_TRYV(tables.reader().scan_backward(range.begin, range.end, [&](std::string_view key, std::string_view value) {
    Result<wire::FileBlockRow> row = parse_row<wire::FileBlockRow>(key, value);
    if (!row) {
      parsed = std::move(row).error();
      return false;
    }
    const uint64_t offset = last_id(key);
    if (offset + row.value().length() <= length) return false;
    tails.push_back({offset, std::move(row).value()});
    return tails.size() < kMaxTruncatedBlocks;
  }));
  DOGFS_TRYV(parsed);
  return tails;
}

Status shorten_block(ApplyContext& context, wire::InodeRow& file, FileTail& tail, uint64_t length) {
  const InodeId id(file.inode());
  if (tail.offset < length) {
    tail.row.set_length(length - tail.offset);
    context.tables.put_file_block(id, tail.offset, tail.row);
    return ok();
  }
  DOGFS_TRY(const uint64_t freed, forget_block(context, BlockId(tail.row.block())));
  DOGFS_TRYV(drop_stored_bytes(context, file, freed));
  context.tables.erase(context.tables.keys().file_block(id, tail.offset));
  file.set_block_count(file.block_count() - 1);
  return ok();
}

}  // namespace

Result<wire::TruncateFileResult> truncate_file(ApplyContext& context, const wire::TruncateFile& operation) {
  DOGFS_TRY(wire::InodeRow file,
            leased_file(context.tables, InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())));
  if (file.pending_blocks_size() > 0) {
    return Error(ErrorCode::kConflict,
                 fmt::format("{} blocks of inode {} are pending", file.pending_blocks_size(), file.inode()));
  }
  if (operation.length() > file.length()) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("inode {} has only {} bytes, and is to be cut to {}",
                                                          file.inode(), file.length(), operation.length()));
  }
  const uint64_t kept = std::max(operation.length(), blocks_end(file)) - blocks_end(file);
  DOGFS_TRYV(cut_tail(context, file, static_cast<uint32_t>(kept)));
  DOGFS_TRY(std::vector<FileTail> tails, blocks_beyond(context.tables, file, operation.length()));
  const uint64_t before = file.length();
  for (FileTail& tail : tails) {
    DOGFS_TRYV(shorten_block(context, file, tail, operation.length()));
    file.set_length(std::max(tail.offset, operation.length()));
  }
  file.set_mtime_ms(context.wall_ms());
  context.tables.put(file);
  context.counters.set_bytes(context.counters.bytes() - (before - file.length()));
  wire::TruncateFileResult result;
  result.set_file_length(file.length());
  return result;
}

}  // namespace dogfs
