// Frames: whatever comes over a connection is a frame that encodes to the same bytes again, or an error; and however
// the network cuts the stream, FrameReader finds the frames that the decoder finds.
#include "core/wire/frame.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "fuzz/input.h"
#include "net/frame_reader.h"

namespace dogfs::fuzz {
namespace {

constexpr size_t kCrcAt = 32;
constexpr size_t kMessageCrcAt = 28;

void check_header(std::span<const std::byte, kFrameHeaderBytes> bytes) {
  const Result<FrameHeader> header = decode_frame_header(bytes);
  if (!header) return;
  const std::array<std::byte, kFrameHeaderBytes> again = encode_frame_header(header.value());
  DOGFS_CHECK(std::equal(again.begin(), again.end(), bytes.begin()), "a header encodes to what it was decoded from");
}

void check_request(const FrameHeader& header, std::string_view message, BytesChain payload) {
  const Result<DecodedRequest> decoded = decode_request(header, message, std::move(payload));
  if (!decoded) return;
  const auto& [request, timeout] = decoded.value();
  const Result<EncodedFrame> encoded = encode_request(request, header.kind, header.request_id, timeout);
  DOGFS_CHECK(encoded.has_value(), "what was within the limits still is");
  const std::string_view prefix = encoded.value().prefix;
  const Result<FrameHeader> again = decode_frame_header(as_bytes(prefix).first<kFrameHeaderBytes>());
  DOGFS_CHECK(again.has_value());
  const Result<DecodedRequest> twice = decode_request(again.value(), prefix.substr(kFrameHeaderBytes), request.payload);
  DOGFS_CHECK(twice.has_value() && twice.value().timeout == timeout);
  DOGFS_CHECK(twice.value().request.body == request.body && twice.value().request.principal == request.principal);
  DOGFS_CHECK(twice.value().request.type == request.type && twice.value().request.group == request.group);
}

void check_reply(const FrameHeader& header, std::string_view message, BytesChain payload) {
  const Result<Reply> decoded = decode_reply(header, message, std::move(payload));
  if (!decoded) return;
  const Reply& reply = decoded.value();
  const Result<EncodedFrame> encoded = encode_reply(reply, header.type, header.request_id);
  DOGFS_CHECK(encoded.has_value(), "what was within the limits still is");
}

void check_frame(Frame frame) {
  if (frame.header.kind == FrameKind::kReply) return check_reply(frame.header, frame.message, std::move(frame.payload));
  check_request(frame.header, frame.message, std::move(frame.payload));
}

// Reads `stream` in portions of `step` bytes. The frames up to the first error.
std::vector<Frame> read_frames(std::string_view stream, size_t step) {
  FrameReader reader;
  std::vector<Frame> frames;
  while (true) {
    const Result<FrameReader::State> state = reader.advance();
    if (!state) return frames;
    if (state.value() == FrameReader::State::kHeader) {
      reader.begin_frame();
    } else if (state.value() == FrameReader::State::kFrame) {
      frames.push_back(reader.take());
    } else {
      if (stream.empty()) return frames;
      size_t taken = 0;
      for (const std::span<std::byte> space : reader.space()) {
        const size_t size = std::min({space.size(), stream.size(), step - taken});
        if (size > 0) std::memcpy(space.data(), stream.data(), size);
        stream.remove_prefix(size);
        taken += size;
      }
      reader.commit(taken);
    }
  }
}

// Puts the right checksums on the frame at the front, without which hardly a byte of it would ever be looked at.
std::string with_checksums(std::string_view bytes) {
  std::string frame(bytes);
  if (frame.size() < kFrameHeaderBytes) return frame;
  const auto put = [&frame](size_t at, uint32_t crc) {
    for (size_t i = 0; i < sizeof(crc); ++i) frame[at + i] = static_cast<char>(crc >> (8 * i));
  };
  const auto length_at = [&frame](size_t at) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length |= size_t{static_cast<uint8_t>(frame[at + i])} << (8 * i);
    return length;
  };
  const size_t message = length_at(16) + length_at(20);
  put(kMessageCrcAt, crc32c(std::string_view(frame).substr(kFrameHeaderBytes, message)));
  put(kCrcAt, crc32c(std::string_view(frame).substr(0, kCrcAt)));
  return frame;
}

void run(Input input) {
  const bool mend = input.flag();
  const size_t step = 1 + input.byte();
  const std::string stream = mend ? with_checksums(input.rest()) : std::string(input.rest());
  if (stream.size() >= kFrameHeaderBytes) check_header(as_bytes(stream).first<kFrameHeaderBytes>());
  std::vector<Frame> whole = read_frames(stream, stream.size() + 1);
  std::vector<Frame> cut = read_frames(stream, step);
  DOGFS_CHECK(whole.size() == cut.size(), "how a stream is cut changes nothing");
  for (size_t i = 0; i < whole.size(); ++i) {
    DOGFS_CHECK(whole[i].header == cut[i].header && whole[i].message == cut[i].message);
    DOGFS_CHECK(whole[i].payload.flatten().view() == cut[i].payload.flatten().view());
    check_frame(std::move(whole[i]));
  }
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::run(dogfs::fuzz::Input(data, size));
  return 0;
}
