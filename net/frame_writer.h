// The frames that one connection is sending, as scatter-gather pieces: many small frames leave in one write, and a
// payload leaves from where it lies. Pure: no socket.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>

#include "core/base/bytes.h"

namespace dogfs {

struct OutFrame {
  uint64_t tag = 0;    // the sender's name for it
  std::string prefix;  // header, head and body
  BytesChain payload;
};

class FrameWriter {
 public:
  static constexpr size_t kMaxPieces = 64;
  using Pieces = std::array<std::span<const std::byte>, kMaxPieces>;

  void push(OutFrame frame);

  // Fills `pieces` with what is to be written next and returns how many of them are in use.
  size_t gather(Pieces& pieces) const;

  // Takes away the first `bytes` of what gather() gave, and calls sent(tag) for each frame that is now written whole.
  template <class Sent>
  void consume(size_t bytes, Sent sent) {
    bytes_ -= bytes;
    bytes += offset_;
    while (!frames_.empty() && bytes >= size_of(frames_.front())) {
      const uint64_t tag = frames_.front().tag;
      bytes -= size_of(frames_.front());
      frames_.pop_front();
      sent(tag);
    }
    offset_ = bytes;
  }

  bool empty() const { return frames_.empty(); }
  // Not yet written.
  size_t bytes() const { return bytes_; }

 private:
  static size_t size_of(const OutFrame& frame) { return frame.prefix.size() + frame.payload.size(); }

  std::deque<OutFrame> frames_;
  size_t offset_ = 0;  // of the first frame that is written
  size_t bytes_ = 0;
};

}  // namespace dogfs
