// The frame: what goes over a connection, one after the other, in both directions.
//
//   offset  bytes  field
//        0      4  magic "DGFS"
//        4      1  version
//        5      1  kind: request, reply, one-way
//        6      2  message type
//        8      8  request id, chosen by the caller and echoed in the reply
//       16      4  head length     (a RequestHead or ReplyHead)
//       20      4  body length     (one protobuf message)
//       24      4  payload length  (raw bytes, not covered by the CRC: their own piece CRCs travel in the message)
//       28      4  CRC-32C of head and body
//       32      4  CRC-32C of the 32 bytes before
//
// Numbers are little endian. Every length is checked against its limit in core/base/limits.h before anything is
// allocated for it. A frame that does not decode is a kProtocolError, and the connection that it came by is closed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/env/transport.h"
#include "core/wire/message_type.h"

namespace dogfs {

inline constexpr uint8_t kFrameVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 36;

enum class FrameKind : uint8_t { kRequest = 1, kReply = 2, kOneWay = 3 };

struct FrameHeader {
  FrameKind kind = FrameKind::kRequest;
  MessageType type{};
  uint64_t request_id = 0;
  uint32_t head_bytes = 0;
  uint32_t body_bytes = 0;
  uint32_t payload_bytes = 0;
  uint32_t message_crc = 0;

  bool operator==(const FrameHeader&) const = default;
};

std::array<std::byte, kFrameHeaderBytes> encode_frame_header(const FrameHeader& header);

// kProtocolError for a bad magic, version, kind, checksum, or a length beyond its limit. An unknown message type is
// let through: the server answers it with kUnsupported, so that nodes of two releases can talk.
Result<FrameHeader> decode_frame_header(std::span<const std::byte, kFrameHeaderBytes> bytes);

// The head and body of a frame, ready to be sent before the payload.
struct EncodedFrame {
  std::string prefix;  // header, head and body
};

// Fails with kLimitExceeded when a part is larger than its limit.
Result<EncodedFrame> encode_request(const Request& request, FrameKind kind, uint64_t request_id, Duration timeout);
Result<EncodedFrame> encode_reply(const Reply& reply, MessageType type, uint64_t request_id);

struct DecodedRequest {
  Request request;
  Duration timeout{};
};

// `message` is the head and body that follow `header`. kProtocolError when the CRC or the head is wrong.
Result<DecodedRequest> decode_request(const FrameHeader& header, std::string_view message, BytesChain payload);
Result<Reply> decode_reply(const FrameHeader& header, std::string_view message, BytesChain payload);

}  // namespace dogfs
