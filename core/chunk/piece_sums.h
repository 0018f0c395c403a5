// The checksums of a shard while it is received: each 64 KiB piece has a CRC-32C made by the client, checked here
// before a byte is written, and kept for the footer; together they give the CRC of the whole without another pass.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace dogfs {

// The CRC of `length` bytes from those of their pieces. Precondition: one CRC a piece.
uint32_t combine_piece_crcs(std::span<const uint32_t> piece_crcs, uint64_t length);

// kChecksumMismatch, naming the piece, unless each 64 KiB of `payload` has the CRC given for it. Precondition: one CRC
// a piece.
Status verify_pieces(const BytesChain& payload, std::span<const uint32_t> piece_crcs);

// An append, less its bytes.
struct AppendShape {
  uint64_t offset = 0;
  uint64_t length = 0;
  std::span<const uint32_t> piece_crcs;
};

class PieceSums {
 public:
  // `limit`: the most bytes that the shard can have.
  explicit PieceSums(uint64_t limit) : limit_(limit) {}

  enum class Fit : uint8_t {
    kNext,      // continues the shard
    kRepeated,  // lies wholly within what is here, with the same checksums: a retry
    kAhead,     // bytes before it are still to come
  };
  // kInvalidArgument for a shape that no append has, kLimitExceeded beyond the limit or the window, kConflict if it
  // overlaps what is here with anything else, or comes behind a last piece that is not whole.
  Result<Fit> fit(const AppendShape& append) const;

  // Takes the checksums of an append that was kNext.
  void extend(const AppendShape& append);

  uint64_t length() const { return length_; }
  uint32_t crc() const { return crc_; }
  const std::vector<uint32_t>& piece_crcs() const { return piece_crcs_; }

 private:
  Status repeats(const AppendShape& append) const;

  uint64_t limit_;
  uint64_t length_ = 0;
  uint32_t crc_ = 0;
  std::vector<uint32_t> piece_crcs_;
};

}  // namespace dogfs
