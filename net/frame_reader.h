// Cuts a stream of bytes into frames. A pure state machine: no socket, no clock, so that a test can feed it any bytes
// in any portions.
//
// Small frames are taken in bulk: one receive buffer is filled by one read and holds many of them. What does not fit is
// read straight to where it stays, a string for head and body and an aligned buffer for the payload, so that of a large
// payload only the first few KiB are ever copied.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/wire/frame.h"

namespace dogfs {

struct Frame {
  FrameHeader header;
  std::string message;  // head and body
  BytesChain payload;
};

// How to use it:
//   loop: advance() until it says kNeedsBytes; read into space(); commit() what was read.
class FrameReader {
 public:
  static constexpr size_t kReceiveBufferBytes = 16 * kKiB;

  enum class State {
    kNeedsBytes,
    kHeader,  // a frame is announced by header(); begin_frame() lets it in
    kFrame,   // a frame is complete; take() it
  };

  FrameReader();

  // Goes on as far as the bytes at hand allow. kProtocolError: the stream is broken and must be given up.
  Result<State> advance();

  // Precondition: kHeader. Nothing has been allocated for the frame yet.
  const FrameHeader& header() const { return header_; }
  void begin_frame();

  // Precondition: kFrame.
  Frame take();

  // Where to put the next bytes, in this order. Valid until the next call of anything else here.
  // Precondition: kNeedsBytes.
  std::array<std::span<std::byte>, 2> space();
  void commit(size_t bytes);

  // Whether part of a frame has arrived: a peer that leaves it at that is slow or broken.
  bool mid_frame() const { return phase_ != Phase::kHeader || buffered() > 0; }

 private:
  enum class Phase { kHeader, kAdmission, kMessage, kPayload, kComplete };

  size_t buffered() const { return end_ - begin_; }
  size_t message_bytes() const { return size_t{header_.head_bytes} + header_.body_bytes; }
  // The part of the message or payload for which there is memory and which has not arrived.
  std::span<std::byte> gap();
  void grow_message();
  void fill_from_buffer();
  void end_phase_if_filled();

  Phase phase_ = Phase::kHeader;
  FrameHeader header_;
  std::string message_;
  MutableBuffer payload_;
  size_t filled_ = 0;  // of the message or the payload, by phase

  std::unique_ptr<std::byte[]> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t offered_gap_bytes_ = 0;  // the first span of the last space()
};

}  // namespace dogfs
