// Where the bytes of an open file lie: in blocks, and in a tail that is kept here. Fetched from the metadata a page at a
// time and kept, since a block never changes; its locations may become stale, and other blocks may take its place: both
// are then fetched anew. Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/client/context.h"
#include "core/client/file_block.h"

namespace dogfs {

// The end of a file that is in no block.
struct InlineTail {
  uint64_t offset = 0;  // in the file
  Bytes data;
  uint64_t end() const { return offset + data.size(); }
};

// What holds some byte of a file: one of them.
struct FileStretch {
  std::shared_ptr<const FileBlock> block;
  std::shared_ptr<const InlineTail> tail;
};

class BlockMap {
 public:
  explicit BlockMap(ClientContext& context) : context_(context) {}

  // Finds the file and its first blocks. Call one of them once, first.
  Task<Status> open(std::string path);
  Task<Status> open(InodeId inode);
  // The length of the file when it was opened.
  uint64_t file_length() const { return file_length_; }

  // What holds byte `offset` of the file. kGone if the file is shorter by now. Precondition: offset < file_length().
  Task<Result<FileStretch>> find(uint64_t offset);
  // The same block with present locations. kGone if the file does not have it any more.
  Task<Result<std::shared_ptr<const FileBlock>>> refresh(std::shared_ptr<const FileBlock> block);

 private:
  std::shared_ptr<const FileBlock> cached_block(uint64_t offset) const;
  std::optional<FileStretch> cached(uint64_t offset) const;
  Task<Status> open(wire::GetBlocksRequest request);
  Task<Result<wire::GetBlocksReply>> fetch(wire::GetBlocksRequest request);
  Status take(const wire::GetBlocksReply& page);
  void put(FileBlock block);

  ClientContext& context_;
  InodeId inode_;
  uint64_t file_length_ = 0;
  // By offset in the file; bounded.
  std::map<uint64_t, std::shared_ptr<const FileBlock>> blocks_;
  std::shared_ptr<const InlineTail> tail_;
};

}  // namespace dogfs
