#include "core/meta/replace_blocks.h"

#include <fmt/format.h>

#include <vector>

#include "core/base/limits.h"
#include "core/meta/block_commands.h"
#include "core/meta/file_commands.h"
#include "core/meta/quota.h"

namespace dogfs {
namespace {

struct Stretch {
  uint64_t begin = 0;
  uint64_t end = 0;
};

Error not_there(const wire::ReplaceBlocks& operation) {
  return Error(ErrorCode::kConflict, fmt::format("inode {} does not have the {} blocks from {} on", operation.inode(),
                                                 operation.replaced_size(), operation.replaced(0)));
}

// Where the file has the blocks that are to be replaced.
Result<Stretch> find_replaced(const MetaTables& tables, const wire::ReplaceBlocks& operation) {
  DOGFS_TRY(const std::optional<wire::BlockRow> first, tables.block(BlockId(operation.replaced(0))));
  const bool committed = first && first->state() == wire::BlockRow::COMMITTED;
  if (!committed || first->inode() != operation.inode()) return not_there(operation);
  Stretch stretch{first->offset(), first->offset()};
  int found = 0;
  const KeyRange range = tables.keys().file_blocks(InodeId(operation.inode()), stretch.begin);
  DOGFS_TRYV(
      scan_rows<wire::FileBlockRow>(tables.reader(), range, [&](std::string_view, const wire::FileBlockRow& row) {
        if (row.block() != operation.replaced(found)) return false;
        stretch.end += row.length();
        return ++found < operation.replaced_size();
      }));
  if (found < operation.replaced_size()) return not_there(operation);
  return stretch;
}

Status check_blocks(const wire::ReplaceBlocks& operation, const Stretch& stretch) {
  uint64_t end = stretch.begin;
  for (const wire::CommitBlock& block : operation.blocks()) {
    if (block.offset() != end || block.length() > stretch.end - end) {
      return Error(ErrorCode::kConflict, fmt::format("a block of {} bytes at {} is not in its place from {} to {}",
                                                     block.length(), block.offset(), end, stretch.end));
    }
    end += block.length();
  }
  if (end == stretch.end) return ok();
  return Error(ErrorCode::kConflict, fmt::format("the new blocks end at {} and the old ones at {}", end, stretch.end));
}

Status erase_replaced(ApplyContext& context, wire::InodeRow& file, const wire::ReplaceBlocks& operation,
                      const Stretch& stretch) {
  const MetaKeys& keys = context.tables.keys();
  std::vector<std::string> rows;
  const KeyRange range{keys.file_block(InodeId(operation.inode()), stretch.begin),
                       keys.file_block(InodeId(operation.inode()), stretch.end)};
  DOGFS_TRYV(context.tables.reader().scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    rows.emplace_back(key);
    return true;
  }));
  for (std::string& row : rows) context.tables.erase(std::move(row));
  for (const uint64_t block : operation.replaced()) {
    DOGFS_TRY(const uint64_t freed, forget_block(context, BlockId(block)));
    DOGFS_TRYV(drop_stored_bytes(context, file, freed));
  }
  return ok();
}

}  // namespace

Status replace_blocks(ApplyContext& context, const wire::ReplaceBlocks& operation) {
  DOGFS_TRY(wire::InodeRow file,
            leased_file(context.tables, InodeId(operation.inode()), LeaseEpoch(operation.lease_epoch())));
  if (operation.replaced_size() < 1 || operation.replaced_size() > kMaxReplacedBlocks || operation.blocks_size() < 1 ||
      operation.blocks_size() > kMaxPendingBlocks) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("1 to {} blocks are replaced by 1 to {}, and not {} by {}", kMaxReplacedBlocks,
                             kMaxPendingBlocks, operation.replaced_size(), operation.blocks_size()));
  }
  DOGFS_TRY(const Stretch stretch, find_replaced(context.tables, operation));
  DOGFS_TRYV(check_blocks(operation, stretch));
  DOGFS_TRYV(erase_replaced(context, file, operation, stretch));
  file.set_block_count(file.block_count() - static_cast<uint64_t>(operation.replaced_size()));
  for (const wire::CommitBlock& block : operation.blocks()) {
    DOGFS_TRYV(publish_block(context, file, block));
  }
  context.tables.put(file);
  return ok();
}

}  // namespace dogfs
