#include "core/client/converter.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/limits.h"
#include "core/client/block_map.h"
#include "core/client/block_writer.h"
#include "core/client/cell_assembler.h"
#include "core/client/file_reader.h"
#include "core/client/file_writer.h"

namespace dogfs {
namespace {

// Neighbouring blocks that new ones take the place of.
struct BlockRun {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::vector<BlockId> blocks;

  uint64_t length() const { return end - begin; }
};

class Conversion {
 public:
  Conversion(ClientContext& context, OpenedFile file) : context_(context), file_(std::move(file)), map_(context) {}

  Task<Status> run();
  const ConvertOutcome& outcome() const { return outcome_; }

 private:
  bool is_as_wanted(const FileBlock& block) const { return block.layout.geometry() == file_.geometry; }
  uint64_t blocks_end() const { return file_.length - file_.tail_bytes; }
  Task<Result<BlockRun>> find_run(uint64_t offset);
  Task<Status> convert(BlockRun run);
  Task<Status> write(BlockRun run, wire::ReplaceBlocks& message);
  Task<Status> fill(BlockWriter& block, uint64_t length);
  Task<void> give_up();

  ClientContext& context_;
  const OpenedFile file_;
  BlockMap map_;
  std::unique_ptr<FileReader> reader_;
  // Those that were written and are not committed yet.
  std::vector<std::shared_ptr<BlockWriter>> written_;
  ConvertOutcome outcome_;
};

Task<Status> Conversion::run() {
  DOGFS_CO_TRYV(co_await map_.open(file_.lease.inode));
  DOGFS_CO_TRY(reader_, co_await open_file_reader(context_, file_.lease.inode));
  for (uint64_t offset = 0; offset < blocks_end();) {
    DOGFS_CO_TRY(BlockRun run, co_await find_run(offset));
    offset = run.end;
    outcome_.blocks_before += run.blocks.size();
    if (run.blocks.size() == 1) {
      DOGFS_CO_TRY(const FileStretch first, co_await map_.find(run.begin));
      if (is_as_wanted(*first.block)) {
        ++outcome_.blocks;
        continue;
      }
    }
    DOGFS_CO_TRYV(co_await convert(std::move(run)));
  }
  co_return ok();
}

// The block at `offset`, with those behind it that fit into one block with it.
Task<Result<BlockRun>> Conversion::find_run(uint64_t offset) {
  BlockRun run{.begin = offset, .end = offset, .blocks = {}};
  while (run.end < blocks_end() && run.blocks.size() < kMaxReplacedBlocks) {
    DOGFS_CO_TRY(const FileStretch next, co_await map_.find(run.end));
    if (!next.block || next.block->offset != run.end) {
      co_return Error(ErrorCode::kProtocolError, fmt::format("no block of the file begins at {}", run.end));
    }
    const bool fits = run.length() + next.block->visible_length <= file_.geometry.block_bytes;
    if (!run.blocks.empty() && !fits) break;
    run.blocks.push_back(next.block->block);
    run.end = next.block->end();
  }
  co_return run;
}

Task<Status> Conversion::convert(BlockRun run) {
  const uint64_t blocks = (run.length() + file_.geometry.block_bytes - 1) / file_.geometry.block_bytes;
  if (blocks > static_cast<uint64_t>(kMaxPendingBlocks)) {
    co_return Error(ErrorCode::kLimitExceeded,
                    fmt::format("a block of {} bytes would become {} blocks, and {} are the most", run.length(), blocks,
                                kMaxPendingBlocks));
  }
  wire::Mutation mutation;
  wire::ReplaceBlocks& message = *mutation.mutable_replace_blocks();
  message.set_inode(file_.lease.inode.value());
  message.set_lease_epoch(file_.lease.epoch.value());
  for (const BlockId block : run.blocks) message.add_replaced(block.value());
  Status done = co_await write(run, message);
  const wire::ReplaceBlocks sent = message;
  if (done) {
    const Result<wire::MutationResult> replaced = co_await context_.session.mutate(std::move(mutation));
    done = replaced ? Status(ok()) : Status(replaced.error());
  }
  if (!done) {
    co_await give_up();
    co_return done;
  }
  written_.clear();
  outcome_.blocks += blocks;
  for (const wire::CommitBlock& block : sent.blocks()) add_block(block, file_.geometry, outcome_.written);
  co_return ok();
}

// Writes the bytes of `run` to new blocks, until they can be committed; `message` says how.
Task<Status> Conversion::write(BlockRun run, wire::ReplaceBlocks& message) {
  for (uint64_t offset = run.begin; offset < run.end;) {
    const uint64_t length = std::min(run.end - offset, file_.geometry.block_bytes);
    const BlockPlan plan{.lease = file_.lease, .geometry = file_.geometry, .offset = offset, .expected_length = length};
    const auto block = std::make_shared<BlockWriter>(context_, plan);
    written_.push_back(block);
    block->start();
    DOGFS_CO_TRYV(co_await fill(*block, length));
    block->finish();
    DOGFS_CO_TRYV(co_await block->settle());
    *message.add_blocks() = block->commit_message();
    block->stop();
    offset += length;
  }
  co_return ok();
}

Task<Status> Conversion::fill(BlockWriter& block, uint64_t length) {
  CellAssembler cells(file_.geometry.cell_bytes);
  while (block.length() + cells.filled() < length) {
    const uint64_t done = block.length() + cells.filled();
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(length - done, file_.geometry.cell_bytes));
    DOGFS_CO_TRY(const BytesChain read, co_await reader_->read(block.offset() + done, wanted));
    if (read.empty()) co_return Error(ErrorCode::kGone, "the file ends before the block that is converted");
    for (Bytes bytes : read.pieces()) {
      while (!bytes.empty()) {
        if (std::optional<Bytes> cell = cells.take(bytes)) block.add(std::move(*cell));
      }
    }
  }
  if (cells.filled() > 0) block.add(cells.take_rest());
  co_return ok();
}

// Best effort: what cannot be given back now, the metadata takes back when the lease ends.
Task<void> Conversion::give_up() {
  for (const std::shared_ptr<BlockWriter>& block : written_) {
    block->stop();
    const Status abandoned = co_await block->abandon();
    if (!abandoned) context_.env.log.info("client", "a block was not given back: {}", abandoned.error().to_string());
  }
  written_.clear();
}

}  // namespace

Task<Result<ConvertOutcome>> convert_file(ClientContext& context, LeaseKeeper& leases, std::string path,
                                          std::optional<wire::EcPolicy> policy) {
  DOGFS_CO_TRY(const OpenedFile file, co_await reopen_file(context, std::move(path), std::move(policy)));
  leases.add(file.lease.inode);
  Conversion conversion(context, file);
  const Status converted = co_await conversion.run();
  const Status closed = co_await close_file(context, file.lease, file.length);
  leases.remove(file.lease.inode);
  DOGFS_CO_TRYV(converted);
  DOGFS_CO_TRYV(closed);
  co_return conversion.outcome();
}

}  // namespace dogfs
