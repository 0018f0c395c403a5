#include "core/client/block_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/base/limits.h"

namespace dogfs {
namespace {

constexpr size_t kMaxCachedBlocks = 4096;

}  // namespace

Task<Status> BlockMap::open(std::string path) {
  wire::GetBlocksRequest request;
  request.set_path(std::move(path));
  return open(std::move(request));
}

Task<Status> BlockMap::open(InodeId inode) {
  wire::GetBlocksRequest request;
  request.set_inode(inode.value());
  return open(std::move(request));
}

Task<Status> BlockMap::open(wire::GetBlocksRequest request) {
  DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await fetch(std::move(request)));
  inode_ = InodeId(page.inode());
  file_length_ = page.file_length();
  co_return take(page);
}

Task<Result<FileStretch>> BlockMap::find(uint64_t offset) {
  if (std::optional<FileStretch> stretch = cached(offset)) co_return *stretch;
  wire::GetBlocksRequest request;
  request.set_inode(inode_.value());
  request.set_offset(offset);
  DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await fetch(std::move(request)));
  DOGFS_CO_TRYV(take(page));
  if (std::optional<FileStretch> stretch = cached(offset)) co_return *stretch;
  co_return Error(ErrorCode::kGone, fmt::format("the file has no block at offset {} any more", offset));
}

Task<Result<std::shared_ptr<const FileBlock>>> BlockMap::refresh(std::shared_ptr<const FileBlock> block) {
  wire::GetBlocksRequest request;
  request.set_inode(inode_.value());
  request.set_offset(block->offset);
  request.set_length(1);
  DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await fetch(std::move(request)));
  const auto stale = blocks_.find(block->offset);
  if (stale != blocks_.end() && stale->second->block == block->block) blocks_.erase(stale);
  DOGFS_CO_TRYV(take(page));
  const std::shared_ptr<const FileBlock> fresh = cached_block(block->offset);
  if (!fresh || fresh->block != block->block) {
    co_return Error(ErrorCode::kGone, fmt::format("block {} is not part of the file any more", block->block));
  }
  co_return fresh;
}

std::shared_ptr<const FileBlock> BlockMap::cached_block(uint64_t offset) const {
  auto it = blocks_.upper_bound(offset);
  if (it == blocks_.begin()) return nullptr;
  --it;
  return offset < it->second->end() ? it->second : nullptr;
}

std::optional<FileStretch> BlockMap::cached(uint64_t offset) const {
  if (std::shared_ptr<const FileBlock> block = cached_block(offset))
    return FileStretch{.block = block, .tail = nullptr};
  if (tail_ && tail_->offset <= offset && offset < tail_->end()) return FileStretch{.block = nullptr, .tail = tail_};
  return std::nullopt;
}

Task<Result<wire::GetBlocksReply>> BlockMap::fetch(wire::GetBlocksRequest request) {
  return context_.channel.ask<wire::GetBlocksReply>(MessageType::kGetBlocks, std::move(request));
}

Status BlockMap::take(const wire::GetBlocksReply& page) {
  if (blocks_.size() + static_cast<size_t>(page.blocks_size()) > kMaxCachedBlocks) blocks_.clear();
  for (const wire::BlockLocation& location : page.blocks()) {
    DOGFS_TRY(FileBlock block, file_block_from_wire(location));
    put(std::move(block));
  }
  if (page.tail().empty()) return ok();
  if (page.tail().size() > std::min<uint64_t>(page.file_length(), kMaxInlineTailBytes)) {
    return Error(ErrorCode::kProtocolError, "the file has a longer tail than any may have");
  }
  tail_ = std::make_shared<const InlineTail>(
      InlineTail{.offset = page.file_length() - page.tail().size(), .data = Bytes::copy_of(page.tail())});
  return ok();
}

// Those that it has taken the place of go.
void BlockMap::put(FileBlock block) {
  auto first = blocks_.upper_bound(block.offset);
  if (first != blocks_.begin() && std::prev(first)->second->end() > block.offset) --first;
  blocks_.erase(first, blocks_.lower_bound(block.end()));
  const uint64_t offset = block.offset;
  blocks_[offset] = std::make_shared<const FileBlock>(std::move(block));
}

}  // namespace dogfs
