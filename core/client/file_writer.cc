// The writer's state outlives the FileWriter that the user holds: one background task commits the blocks in the order
// of the file, and after an error or an abort gives back what was allocated. Memory is bounded by counting user bytes
// from the moment they are taken until their block is committed.
#include "core/client/file_writer.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "core/base/limits.h"
#include "core/base/mutant.h"
#include "core/client/cell_assembler.h"
#include "core/ec/policy_wire.h"

namespace dogfs {
namespace {

// Blocks of one file that stream or wait for their commit at one time.
constexpr size_t kMaxBlocksInFlight = 8;

class WritePipeline : public std::enable_shared_from_this<WritePipeline> {
 public:
  WritePipeline(ClientContext& context, LeaseKeeper& leases, const OpenedFile& file)
      : context_(context),
        leases_(leases),
        file_(file),
        buffer_limit_(std::max(context.options.write_buffer_bytes, file.geometry.block_bytes)),
        cells_(file.geometry.cell_bytes),
        taken_length_(file.length - file.tail_bytes),
        committed_length_(taken_length_),
        committed_tail_(file.tail_bytes),
        changed_(context.env.clock) {}

  void start();
  Task<Status> write(Bytes data);
  Task<Status> sync();
  Task<Result<WriteOutcome>> close();
  const WriteLease& lease() const { return file_.lease; }
  const WriteOutcome& committed() const { return outcome_; }
  void abort() { fail(Error(ErrorCode::kCancelled, "the file was given up")); }
  // Until the background task has ended.
  Task<void> ended();

 private:
  static Task<void> commit_blocks(std::shared_ptr<WritePipeline> self);

  bool has_room() const;
  void put(Bytes cell);
  void begin_block();
  void finish_block();
  void end_block();
  bool ends_inline() const;
  Task<Status> sync_tail();
  Task<Status> commit(std::shared_ptr<BlockWriter> block);
  void record(const wire::CommitBlock& block);
  Task<void> give_back();
  void fail(Error error);

  ClientContext& context_;
  LeaseKeeper& leases_;
  const OpenedFile file_;
  const uint64_t buffer_limit_;
  CellAssembler cells_;
  // In the order of the file; the last one may still be filled.
  std::deque<std::shared_ptr<BlockWriter>> blocks_;
  bool filling_ = false;  // blocks_.back() takes more cells
  // The file up to the last cell that was put into a block, and up to the last block that was committed. Behind that it
  // has a tail of so many bytes, which the next cell begins with.
  uint64_t taken_length_;
  uint64_t committed_length_;
  size_t committed_tail_;
  uint64_t buffered_bytes_ = 0;
  bool closed_ = false;  // no more bytes will come
  bool ended_ = false;
  std::optional<Error> error_;
  WriteOutcome outcome_;
  Notifier changed_;
};

void WritePipeline::start() {
  leases_.add(file_.lease.inode);
  context_.tasks.spawn(commit_blocks(shared_from_this()));
  if (file_.tail.empty()) return;
  Bytes tail = file_.tail;
  if (std::optional<Bytes> cell = cells_.take(tail)) put(std::move(*cell));
}

Task<Status> WritePipeline::write(Bytes data) {
  if (closed_) co_return Error(ErrorCode::kInvalidArgument, "the file is closed");
  if (data.size() > kMaxFileBytes - taken_length_) {
    co_return Error(ErrorCode::kLimitExceeded, "a file has at most 64 TiB");
  }
  while (!data.empty()) {
    if (error_) co_return *error_;
    if (!has_room()) {
      co_await changed_.wait();
      continue;
    }
    if (std::optional<Bytes> cell = cells_.take(data)) put(std::move(*cell));
  }
  co_return ok();
}

bool WritePipeline::has_room() const {
  if (buffered_bytes_ + file_.geometry.cell_bytes > buffer_limit_) return false;
  return filling_ || blocks_.size() < kMaxBlocksInFlight;
}

void WritePipeline::put(Bytes cell) {
  if (!filling_) begin_block();
  taken_length_ += cell.size();
  buffered_bytes_ += cell.size();
  BlockWriter& block = *blocks_.back();
  block.add(std::move(cell));
  if (block.length() == file_.geometry.block_bytes) finish_block();
}

void WritePipeline::begin_block() {
  const uint64_t expected_left = file_.expected_length > taken_length_ ? file_.expected_length - taken_length_ : 0;
  const BlockPlan plan{.lease = file_.lease,
                       .geometry = file_.geometry,
                       .offset = taken_length_,
                       .expected_length = std::min(expected_left, file_.geometry.block_bytes)};
  blocks_.push_back(std::make_shared<BlockWriter>(context_, plan));
  blocks_.back()->start();
  filling_ = true;
  changed_.notify_all();
}

void WritePipeline::finish_block() {
  blocks_.back()->finish();
  filling_ = false;
}

// The block that is being filled gets what there is of the last cell, and no more.
void WritePipeline::end_block() {
  Bytes rest = cells_.take_rest();
  if (!rest.empty()) put(std::move(rest));
  if (filling_) finish_block();
}

// Whether all that is not in a block yet may stay out of blocks.
bool WritePipeline::ends_inline() const {
  if (filling_) return false;
  const size_t rest = cells_.filled();
  return rest == committed_tail_ || rest <= std::min(context_.options.most_inline_bytes, kMaxInlineTailBytes);
}

// The blocks come first, and the tail lies behind them. Its bytes stay here, too: the next block begins with them.
Task<Status> WritePipeline::sync_tail() {
  while (!error_ && committed_length_ < taken_length_) co_await changed_.wait();
  if (error_) co_return *error_;
  const Bytes tail = cells_.copy_of_rest();
  if (tail.size() == committed_tail_ || mutant_active(Mutant::kSyncWithoutCommit)) co_return ok();
  wire::Mutation mutation;
  wire::CommitTail& message = *mutation.mutable_commit_tail();
  message.set_inode(file_.lease.inode.value());
  message.set_lease_epoch(file_.lease.epoch.value());
  message.set_offset(committed_length_);
  message.set_data(std::string(tail.view()));
  const Result<wire::MutationResult> committed = co_await context_.session.mutate(std::move(mutation));
  if (committed) {
    committed_tail_ = tail.size();
    co_return ok();
  }
  fail(committed.error());
  co_return committed.error();
}

// What is acknowledged here is committed: a shard that its server may still lose is never counted (docs/protocol/write.md).
Task<Status> WritePipeline::sync() {
  if (closed_) co_return Error(ErrorCode::kInvalidArgument, "the file is closed");
  while (!error_ && !has_room()) co_await changed_.wait();
  if (error_) co_return *error_;
  if (ends_inline()) co_return co_await sync_tail();
  end_block();
  const uint64_t goal = mutant_active(Mutant::kSyncWithoutCommit) ? 0 : taken_length_;
  while (!error_ && committed_length_ < goal) co_await changed_.wait();
  if (committed_length_ >= goal) co_return ok();
  co_return *error_;
}

Task<Result<WriteOutcome>> WritePipeline::close() {
  if (!error_ && !closed_ && !ends_inline()) end_block();
  closed_ = true;
  changed_.notify_all();
  co_await ended();
  if (error_) co_return *error_;
  const Bytes rest = cells_.copy_of_rest();
  const uint64_t length = committed_length_ + rest.size();
  DOGFS_CO_TRYV(co_await close_file(context_, file_.lease, length, rest.size() == committed_tail_ ? Bytes() : rest));
  outcome_.bytes = length - file_.length;
  co_return outcome_;
}

Task<void> WritePipeline::ended() {
  while (!ended_) co_await changed_.wait();
}

void WritePipeline::fail(Error error) {
  if (!error_) error_ = std::move(error);
  filling_ = false;
  // This also ends the settling of the front block.
  for (const std::shared_ptr<BlockWriter>& block : blocks_) block->stop();
  changed_.notify_all();
}

// Settles and commits one block after the other, until the file is closed or fails.
Task<void> WritePipeline::commit_blocks(std::shared_ptr<WritePipeline> self) {
  while (!self->error_) {
    if (self->blocks_.empty()) {
      if (self->closed_) break;
      co_await self->changed_.wait();
      continue;
    }
    const std::shared_ptr<BlockWriter> block = self->blocks_.front();
    const Status committed = co_await self->commit(block);
    if (!committed) {
      self->fail(committed.error());
      break;
    }
    block->stop();
    self->buffered_bytes_ -= block->length();
    self->blocks_.pop_front();
    self->changed_.notify_all();
  }
  if (self->error_) co_await self->give_back();
  self->leases_.remove(self->file_.lease.inode);
  self->ended_ = true;
  self->changed_.notify_all();
}

Task<Status> WritePipeline::commit(std::shared_ptr<BlockWriter> block) {
  DOGFS_CO_TRYV(co_await block->settle());
  // Taken now: a shard that is sealed while the commit is under way is not part of it.
  const wire::CommitBlock message = block->commit_message();
  wire::Mutation mutation;
  *mutation.mutable_commit_block() = message;
  DOGFS_CO_TRYV(co_await context_.session.mutate(std::move(mutation)));
  record(message);
  co_return ok();
}

void WritePipeline::record(const wire::CommitBlock& block) {
  add_block(block, file_.geometry, outcome_);
  committed_length_ += block.length();
  committed_tail_ = 0;
}

// Best effort: what cannot be given back now, the metadata takes back when the lease ends.
Task<void> WritePipeline::give_back() {
  while (!blocks_.empty()) {
    const std::shared_ptr<BlockWriter> block = blocks_.front();
    blocks_.pop_front();
    buffered_bytes_ -= block->length();
    const Status abandoned = co_await block->abandon();
    if (!abandoned) {
      blocks_.clear();
      co_return;
    }
  }
  const Status closed = co_await close_file(context_, file_.lease, committed_length_ + committed_tail_);
  if (!closed) context_.env.log.info("client", "a file that failed was not closed: {}", closed.error().to_string());
}

class PipelinedFileWriter final : public FileWriter {
 public:
  explicit PipelinedFileWriter(std::shared_ptr<WritePipeline> pipeline) : pipeline_(std::move(pipeline)) {}
  ~PipelinedFileWriter() override {
    if (!finished_) pipeline_->abort();
  }

  Task<Status> write(Bytes data) override { return pipeline_->write(std::move(data)); }
  Task<Status> sync() override { return pipeline_->sync(); }
  WriteLease lease() const override { return pipeline_->lease(); }
  WriteOutcome committed() const override { return pipeline_->committed(); }
  Task<Result<WriteOutcome>> close() override {
    finished_ = true;
    return pipeline_->close();
  }
  Task<void> abort() override {
    finished_ = true;
    pipeline_->abort();
    return pipeline_->ended();
  }

 private:
  std::shared_ptr<WritePipeline> pipeline_;
  bool finished_ = false;
};

// Precondition: the lease is held, so that nobody else changes it.
Task<Result<Bytes>> fetch_tail(ClientContext& context, OpenedFile file) {
  if (file.tail_bytes == 0) co_return Bytes();
  wire::GetBlocksRequest request;
  request.set_inode(file.lease.inode.value());
  request.set_offset(file.length - file.tail_bytes);
  request.set_length(file.tail_bytes);
  DOGFS_CO_TRY(const wire::GetBlocksReply reply,
               co_await context.channel.ask<wire::GetBlocksReply>(MessageType::kGetBlocks, std::move(request)));
  if (reply.tail().size() != file.tail_bytes) {
    co_return Error(ErrorCode::kProtocolError, "the inline tail is not as long as the metadata said");
  }
  co_return Bytes::copy_of(reply.tail());
}

}  // namespace

Task<Result<OpenedFile>> reopen_file(ClientContext& context, std::string path, std::optional<wire::EcPolicy> policy) {
  wire::Mutation mutation;
  mutation.mutable_append_file()->set_path(std::move(path));
  if (policy) *mutation.mutable_append_file()->mutable_policy() = *policy;
  DOGFS_CO_TRY(const wire::MutationResult result, co_await context.session.mutate(std::move(mutation)));
  const wire::AppendFileResult& opened = result.append_file();
  DOGFS_CO_TRY(const Geometry geometry, geometry_from_wire(opened.policy()));
  if (opened.length() > kMaxFileBytes) co_return Error(ErrorCode::kProtocolError, "the file is longer than any may be");
  if (opened.tail_bytes() > std::min<uint64_t>(opened.length(), kMaxInlineTailBytes)) {
    co_return Error(ErrorCode::kProtocolError, "the file has a longer tail than any may have");
  }
  co_return OpenedFile{.lease = {.inode = InodeId(opened.inode()), .epoch = LeaseEpoch(opened.lease_epoch())},
                       .geometry = geometry,
                       .length = opened.length(),
                       .tail_bytes = opened.tail_bytes()};
}

Task<Result<OpenedFile>> open_to_append(ClientContext& context, std::string path) {
  DOGFS_CO_TRY(OpenedFile file, co_await reopen_file(context, std::move(path)));
  Result<Bytes> tail = co_await fetch_tail(context, file);
  if (!tail) {
    const Status closed = co_await close_file(context, file.lease, file.length);
    if (!closed) context.env.log.info("client", "a file was not closed: {}", closed.error().to_string());
    co_return std::move(tail).error();
  }
  file.tail = std::move(tail).value();
  co_return file;
}

Task<Status> close_file(ClientContext& context, WriteLease lease, uint64_t length, Bytes tail) {
  wire::Mutation mutation;
  wire::CloseFile& message = *mutation.mutable_close_file();
  message.set_inode(lease.inode.value());
  message.set_lease_epoch(lease.epoch.value());
  message.set_length(length);
  if (!tail.empty()) message.set_tail(std::string(tail.view()));
  DOGFS_CO_TRYV(co_await context.session.mutate(std::move(mutation)));
  co_return ok();
}

std::unique_ptr<FileWriter> make_file_writer(ClientContext& context, LeaseKeeper& leases, const OpenedFile& file) {
  auto pipeline = std::make_shared<WritePipeline>(context, leases, file);
  pipeline->start();
  return std::make_unique<PipelinedFileWriter>(std::move(pipeline));
}

}  // namespace dogfs
