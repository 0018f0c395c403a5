#include "core/chunk/shard_writer.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/mutant.h"

namespace dogfs {
namespace {

// Enough that the disk always has a next write, and little enough that hundreds of writers fit in memory.
constexpr uint64_t kMaxInFlightBytes = 2 * kMaxTransferBytes;

}  // namespace

ShardWriter::ShardWriter(Clock& clock, TaskGroup& tasks, ByteBudget& budget, ShardHeader header,
                         std::shared_ptr<ShardFile> file)
    : clock_(clock),
      tasks_(tasks),
      budget_(budget),
      header_(std::move(header)),
      file_(std::move(file)),
      sums_(header_.geometry.shard_bytes()),
      last_used_(clock.now()),
      changed_(clock) {}

Task<Result<uint64_t>> ShardWriter::append(ShardAppend append, MonoTime deadline) {
  last_used_ = clock_.now();
  DOGFS_CO_TRY(const PieceSums::Fit fit, co_await wait_for_predecessors(append, deadline));
  if (fit == PieceSums::Fit::kNext) {
    DOGFS_CO_TRYV(take(std::move(append)));
  }
  while (!failure_ && in_flight_bytes_ > kMaxInFlightBytes) {
    if (!co_await changed_.wait_until(deadline)) co_return Error(ErrorCode::kTimeout, "the disk is behind");
  }
  if (failure_) co_return *failure_;
  co_return sums_.length();
}

Task<Result<PieceSums::Fit>> ShardWriter::wait_for_predecessors(const ShardAppend& append, MonoTime deadline) {
  while (true) {
    if (failure_) co_return *failure_;
    DOGFS_CO_TRY(const PieceSums::Fit fit, sums_.fit(append.shape()));
    if (fit == PieceSums::Fit::kRepeated) co_return fit;
    if (sealing_) co_return Error(ErrorCode::kConflict, to_string(header_.key) + " is being sealed");
    if (fit == PieceSums::Fit::kNext) co_return fit;
    if (!co_await changed_.wait_until(deadline)) {
      co_return Error(ErrorCode::kConflict,
                      fmt::format("append at {} to a shard of {}", append.offset, sums_.length()));
    }
  }
}

Status ShardWriter::take(ShardAppend append) {
  DOGFS_TRYV(verify_pieces(append.payload, append.piece_crcs));
  sums_.extend(append.shape());
  const uint64_t whole = append.payload.size() / kChecksumPieceBytes * kChecksumPieceBytes;
  const uint64_t rest = append.payload.size() - whole;
  if (rest > 0) {
    // The rest alone, when it is part of something larger, so that it does not hold all of that in memory.
    tail_ = append.payload.slice(whole, rest).flatten();
    if (whole > 0) tail_ = Bytes::copy_of(tail_.span());
  }
  if (whole > 0) hand_to_disk(rest == 0 ? append.payload : append.payload.slice(0, whole));
  changed_.notify_all();
  return ok();
}

void ShardWriter::hand_to_disk(const BytesChain& data) {
  const uint64_t offset = handed_bytes_;
  BytesChain chain;
  if (offset == 0) chain.append(encode_shard_header(header_));
  for (const Bytes& piece : data.pieces()) chain.append(piece);
  handed_bytes_ += chain.size();
  in_flight_bytes_ += chain.size();
  budget_.take(chain.size());
  tasks_.spawn(write_out(shared_from_this(), offset, std::move(chain)));
}

Task<void> ShardWriter::write_out(std::shared_ptr<ShardWriter> writer, uint64_t offset, BytesChain data) {
  const uint64_t bytes = data.size();
  const Status status = co_await writer->file_->write(offset, std::move(data));
  writer->in_flight_bytes_ -= bytes;
  writer->budget_.give_back(bytes);
  if (!status.has_value()) writer->fail(status.error());
  writer->changed_.notify_all();
}

Status ShardWriter::check_seal(uint64_t length, uint32_t crc) const {
  if (failure_) return *failure_;
  if (length != sums_.length()) {
    return Error(ErrorCode::kConflict, fmt::format("seal of {} at {} bytes; {} were received", to_string(header_.key),
                                                   length, sums_.length()));
  }
  if (crc != sums_.crc()) {
    return Error(ErrorCode::kChecksumMismatch, fmt::format("seal of {} with {:08x}; what was received has {:08x}",
                                                           to_string(header_.key), crc, sums_.crc()));
  }
  return ok();
}

Task<Status> ShardWriter::seal() {
  DOGFS_CHECK(!std::exchange(sealing_, true));
  last_used_ = clock_.now();
  hand_to_disk(BytesChain(make_ending()));
  DOGFS_CHECK(handed_bytes_ == shard_file_bytes(sums_.length()));
  co_await quiesce();
  if (failure_) co_return *failure_;
  if (mutant_active(Mutant::kSealBeforeSync)) co_return ok();
  const Status synced = co_await file_->sync();
  if (!synced.has_value()) fail(synced.error());
  if (failure_) co_return *failure_;
  co_return ok();
}

// The tail, zeros up to the footer, and the footer.
Bytes ShardWriter::make_ending() const {
  const size_t tail_bytes = shard_align_up(tail_.size());
  MutableBuffer ending(tail_bytes + shard_footer_bytes(sums_.length()));
  if (!tail_.empty()) std::memcpy(ending.data(), tail_.data(), tail_.size());
  std::memset(ending.data() + tail_.size(), 0, tail_bytes - tail_.size());
  const ShardFooter footer{
      .key = header_.key, .length = sums_.length(), .crc = sums_.crc(), .piece_crcs = sums_.piece_crcs()};
  encode_shard_footer(footer, ending.span().subspan(tail_bytes));
  return ending.freeze();
}

void ShardWriter::fail(Error error) {
  if (!failure_) failure_ = std::move(error);
  changed_.notify_all();
}

Task<void> ShardWriter::quiesce() {
  while (in_flight_bytes_ > 0) co_await changed_.wait();
}

}  // namespace dogfs
