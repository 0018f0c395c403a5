// Where the blocks of an open file lie. Fetched from the metadata a page at a time and kept, since a block never
// changes; only its locations may become stale, and are then fetched anew. Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/client/context.h"
#include "core/client/file_block.h"

namespace dogfs {

class BlockMap {
 public:
  explicit BlockMap(ClientContext& context) : context_(context) {}

  // Finds the file and its first blocks. Call once, first.
  Task<Status> open(std::string path);
  // The length of the file when it was opened.
  uint64_t file_length() const { return file_length_; }

  // The block that holds byte `offset` of the file. Precondition: offset < file_length().
  Task<Result<std::shared_ptr<const FileBlock>>> find(uint64_t offset);
  // The same block with present locations. kGone if the file does not have it any more.
  Task<Result<std::shared_ptr<const FileBlock>>> refresh(std::shared_ptr<const FileBlock> block);

 private:
  std::shared_ptr<const FileBlock> cached(uint64_t offset) const;
  Task<Result<wire::GetBlocksReply>> fetch(wire::GetBlocksRequest request);
  Status take(const wire::GetBlocksReply& page);

  ClientContext& context_;
  InodeId inode_;
  uint64_t file_length_ = 0;
  // By offset in the file; bounded.
  std::map<uint64_t, std::shared_ptr<const FileBlock>> blocks_;
};

}  // namespace dogfs
