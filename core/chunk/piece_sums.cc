#include "core/chunk/piece_sums.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/chunk/shard_format.h"

namespace dogfs {
namespace {

Status check_shape(const AppendShape& append) {
  if (append.length == 0) return Error(ErrorCode::kInvalidArgument, "append of nothing");
  if (append.length > kMaxTransferBytes) {
    return Error(ErrorCode::kLimitExceeded,
                 fmt::format("append of {} bytes; at most {} are allowed", append.length, kMaxTransferBytes));
  }
  if (append.offset % kChecksumPieceBytes != 0) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("append at {}, which is no multiple of {}", append.offset, kChecksumPieceBytes));
  }
  if (append.piece_crcs.size() != piece_count(append.length)) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("append of {} bytes with {} checksums", append.length, append.piece_crcs.size()));
  }
  return ok();
}

}  // namespace

uint32_t combine_piece_crcs(std::span<const uint32_t> piece_crcs, uint64_t length) {
  DOGFS_CHECK(piece_crcs.size() == piece_count(length));
  uint32_t crc = 0;
  for (const uint32_t piece : piece_crcs) {
    const uint64_t take = std::min<uint64_t>(length, kChecksumPieceBytes);
    crc = crc32c_combine(crc, piece, take);
    length -= take;
  }
  return crc;
}

Status verify_pieces(const BytesChain& payload, std::span<const uint32_t> piece_crcs) {
  DOGFS_CHECK(piece_crcs.size() == piece_count(payload.size()));
  size_t piece = 0;
  uint32_t crc = 0;
  uint64_t left = std::min<uint64_t>(payload.size(), kChecksumPieceBytes);  // of this piece
  uint64_t after = payload.size() - left;                                   // behind this piece
  for (const Bytes& slice : payload.pieces()) {
    for (std::span<const std::byte> bytes = slice.span(); !bytes.empty();) {
      const size_t take = std::min<uint64_t>(bytes.size(), left);
      crc = crc32c(bytes.first(take), crc);
      bytes = bytes.subspan(take);
      left -= take;
      if (left > 0) continue;
      if (crc != piece_crcs[piece]) {
        DOGFS_COVERAGE_MARK("chunk: a piece with a wrong checksum refused");
        return Error(ErrorCode::kChecksumMismatch, fmt::format("piece {}", piece));
      }
      ++piece;
      crc = 0;
      left = std::min<uint64_t>(after, kChecksumPieceBytes);
      after -= left;
    }
  }
  return ok();
}

Result<PieceSums::Fit> PieceSums::fit(const AppendShape& append) const {
  DOGFS_TRYV(check_shape(append));
  if (append.offset > limit_ || append.length > limit_ - append.offset) {
    return Error(ErrorCode::kLimitExceeded,
                 fmt::format("append of {} bytes at {}: the shard can have {}", append.length, append.offset, limit_));
  }
  if (append.offset > length_) {
    if (length_ % kChecksumPieceBytes != 0) {
      return Error(ErrorCode::kConflict,
                   fmt::format("append behind a shard of {}, whose last piece is not whole", length_));
    }
    if (append.offset + append.length > length_ + kAppendWindowBytes) {
      return Error(ErrorCode::kLimitExceeded,
                   fmt::format("append at {} of a shard of {}: beyond the window", append.offset, length_));
    }
    return Fit::kAhead;
  }
  if (append.offset == length_) return Fit::kNext;
  DOGFS_TRYV(repeats(append));
  return Fit::kRepeated;
}

Status PieceSums::repeats(const AppendShape& append) const {
  const uint64_t end = append.offset + append.length;
  // A shorter last piece has the checksum of another piece.
  const bool same_cuts = end == length_ || (end < length_ && end % kChecksumPieceBytes == 0);
  const auto mine = piece_crcs_.begin() + static_cast<ptrdiff_t>(append.offset / kChecksumPieceBytes);
  if (same_cuts && std::equal(append.piece_crcs.begin(), append.piece_crcs.end(), mine)) return ok();
  return Error(ErrorCode::kConflict, fmt::format("append of {} bytes at {} to a shard of {}: not what is there",
                                                 append.length, append.offset, length_));
}

void PieceSums::extend(const AppendShape& append) {
  DOGFS_CHECK(append.offset == length_ && length_ % kChecksumPieceBytes == 0);
  piece_crcs_.insert(piece_crcs_.end(), append.piece_crcs.begin(), append.piece_crcs.end());
  crc_ = crc32c_combine(crc_, combine_piece_crcs(append.piece_crcs, append.length), append.length);
  length_ += append.length;
}

}  // namespace dogfs
