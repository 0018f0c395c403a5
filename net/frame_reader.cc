#include "net/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace dogfs {
namespace {

// The string of a message grows with what has arrived, from this size on, so that a peer which announces a long body
// and sends none of it takes next to no memory.
constexpr size_t kMessageStepBytes = 64 * kKiB;
static_assert(FrameReader::kReceiveBufferBytes >= kFrameHeaderBytes);

}  // namespace

FrameReader::FrameReader() : buffer_(std::make_unique_for_overwrite<std::byte[]>(kReceiveBufferBytes)) {}

Result<FrameReader::State> FrameReader::advance() {
  while (true) {
    switch (phase_) {
      case Phase::kHeader: {
        if (buffered() < kFrameHeaderBytes) return State::kNeedsBytes;
        const std::span<const std::byte, kFrameHeaderBytes> bytes(buffer_.get() + begin_, kFrameHeaderBytes);
        DOGFS_TRY(header_, decode_frame_header(bytes));
        begin_ += kFrameHeaderBytes;
        phase_ = Phase::kAdmission;
        break;
      }
      case Phase::kAdmission:
        return State::kHeader;
      case Phase::kMessage:
      case Phase::kPayload:
        if (buffered() == 0) return State::kNeedsBytes;
        fill_from_buffer();
        break;
      case Phase::kComplete:
        return State::kFrame;
    }
  }
}

void FrameReader::begin_frame() {
  DOGFS_CHECK(phase_ == Phase::kAdmission);
  phase_ = Phase::kMessage;
  filled_ = 0;
  grow_message();
  end_phase_if_filled();
}

Frame FrameReader::take() {
  DOGFS_CHECK(phase_ == Phase::kComplete);
  Frame frame;
  frame.header = header_;
  frame.message = std::exchange(message_, {});
  if (payload_.size() > 0) frame.payload.append(payload_.freeze());
  phase_ = Phase::kHeader;
  return frame;
}

std::array<std::span<std::byte>, 2> FrameReader::space() {
  if (buffered() == 0) {
    begin_ = end_ = 0;
  } else if (begin_ > 0) {
    // Less than a header is left: whatever belongs to a body was taken by advance().
    std::memmove(buffer_.get(), buffer_.get() + begin_, buffered());
    end_ = buffered();
    begin_ = 0;
  }
  const std::span<std::byte> first = gap();
  offered_gap_bytes_ = first.size();
  return {first, std::span(buffer_.get() + end_, kReceiveBufferBytes - end_)};
}

void FrameReader::commit(size_t bytes) {
  const size_t to_gap = std::min(bytes, offered_gap_bytes_);
  end_ += bytes - to_gap;
  DOGFS_CHECK(end_ <= kReceiveBufferBytes);
  offered_gap_bytes_ = 0;
  if (to_gap == 0) return;
  filled_ += to_gap;
  if (phase_ == Phase::kMessage) grow_message();
  end_phase_if_filled();
}

std::span<std::byte> FrameReader::gap() {
  if (phase_ == Phase::kMessage) return std::as_writable_bytes(std::span(message_)).subspan(filled_);
  if (phase_ == Phase::kPayload) return payload_.span().subspan(filled_);
  return {};
}

void FrameReader::grow_message() {
  if (filled_ < message_.size()) return;
  message_.resize(std::min(message_bytes(), std::max(kMessageStepBytes, 2 * message_.size())));
}

void FrameReader::fill_from_buffer() {
  const std::span<std::byte> target = gap();
  const size_t bytes = std::min(target.size(), buffered());
  std::memcpy(target.data(), buffer_.get() + begin_, bytes);
  begin_ += bytes;
  filled_ += bytes;
  if (phase_ == Phase::kMessage) grow_message();
  end_phase_if_filled();
}

void FrameReader::end_phase_if_filled() {
  if (phase_ == Phase::kMessage && filled_ == message_bytes()) {
    phase_ = Phase::kPayload;
    filled_ = 0;
    payload_ = MutableBuffer(header_.payload_bytes);
  }
  if (phase_ == Phase::kPayload && filled_ == header_.payload_bytes) phase_ = Phase::kComplete;
}

}  // namespace dogfs
