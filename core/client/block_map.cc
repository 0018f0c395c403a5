#include "core/client/block_map.h"

#include <fmt/format.h>

namespace dogfs {
namespace {

constexpr size_t kMaxCachedBlocks = 4096;

}  // namespace

Task<Status> BlockMap::open(std::string path) {
  wire::GetBlocksRequest request;
  request.set_path(std::move(path));
  DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await fetch(std::move(request)));
  inode_ = InodeId(page.inode());
  file_length_ = page.file_length();
  co_return take(page);
}

Task<Result<std::shared_ptr<const FileBlock>>> BlockMap::find(uint64_t offset) {
  if (std::shared_ptr<const FileBlock> block = cached(offset)) co_return block;
  wire::GetBlocksRequest request;
  request.set_inode(inode_.value());
  request.set_offset(offset);
  DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await fetch(std::move(request)));
  DOGFS_CO_TRYV(take(page));
  if (std::shared_ptr<const FileBlock> block = cached(offset)) co_return block;
  co_return Error(ErrorCode::kGone, fmt::format("the file has no block at offset {} any more", offset));
}

Task<Result<std::shared_ptr<const FileBlock>>> BlockMap::refresh(std::shared_ptr<const FileBlock> block) {
  wire::GetBlocksRequest request;
  request.set_inode(inode_.value());
  request.set_offset(block->offset);
  request.set_length(1);
  DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await fetch(std::move(request)));
  DOGFS_CO_TRYV(take(page));
  const std::shared_ptr<const FileBlock> fresh = cached(block->offset);
  if (!fresh || fresh->block != block->block) {
    co_return Error(ErrorCode::kGone, fmt::format("block {} is not part of the file any more", block->block));
  }
  co_return fresh;
}

std::shared_ptr<const FileBlock> BlockMap::cached(uint64_t offset) const {
  auto it = blocks_.upper_bound(offset);
  if (it == blocks_.begin()) return nullptr;
  --it;
  return offset < it->second->end() ? it->second : nullptr;
}

Task<Result<wire::GetBlocksReply>> BlockMap::fetch(wire::GetBlocksRequest request) {
  return context_.channel.ask<wire::GetBlocksReply>(MessageType::kGetBlocks, std::move(request));
}

Status BlockMap::take(const wire::GetBlocksReply& page) {
  if (blocks_.size() + static_cast<size_t>(page.blocks_size()) > kMaxCachedBlocks) blocks_.clear();
  for (const wire::BlockLocation& location : page.blocks()) {
    DOGFS_TRY(FileBlock block, file_block_from_wire(location));
    const uint64_t offset = block.offset;
    blocks_[offset] = std::make_shared<const FileBlock>(std::move(block));
  }
  return ok();
}

}  // namespace dogfs
