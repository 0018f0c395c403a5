#include "net/frame_writer.h"

#include <algorithm>
#include <utility>

namespace dogfs {

void FrameWriter::push(OutFrame frame) {
  bytes_ += size_of(frame);
  frames_.push_back(std::move(frame));
}

size_t FrameWriter::gather(Pieces& pieces) const {
  size_t used = 0;
  size_t skip = offset_;
  const auto add = [&](std::span<const std::byte> piece) {
    const size_t skipped = std::min(skip, piece.size());
    skip -= skipped;
    if (skipped < piece.size()) pieces[used++] = piece.subspan(skipped);
    return used < pieces.size();
  };
  for (const OutFrame& frame : frames_) {
    if (!add(std::as_bytes(std::span(frame.prefix)))) return used;
    for (const Bytes& piece : frame.payload.pieces()) {
      if (!add(piece.span())) return used;
    }
  }
  return used;
}

}  // namespace dogfs
