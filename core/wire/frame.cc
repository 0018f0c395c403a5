#include "core/wire/frame.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/endian.h"
#include "core/base/limits.h"
#include "core/base/printable.h"
#include "core/wire/common.pb.h"

namespace dogfs {
namespace {

constexpr uint32_t kMagic = 0x53464744;  // "DGFS"
constexpr size_t kMessageCrcOffset = 28;
constexpr size_t kHeaderCrcOffset = 32;

Result<EncodedFrame> encode(FrameHeader header, const google::protobuf::MessageLite& head, const std::string& body,
                            size_t payload_bytes) {
  const std::string head_bytes = head.SerializeAsString();
  if (head_bytes.size() > kMaxFrameHeadBytes) return Error(ErrorCode::kLimitExceeded, "frame head");
  if (body.size() > kMaxFrameBodyBytes) return Error(ErrorCode::kLimitExceeded, "frame body");
  if (payload_bytes > kMaxFramePayloadBytes) return Error(ErrorCode::kLimitExceeded, "frame payload");
  header.head_bytes = static_cast<uint32_t>(head_bytes.size());
  header.body_bytes = static_cast<uint32_t>(body.size());
  header.payload_bytes = static_cast<uint32_t>(payload_bytes);
  header.message_crc = crc32c(body, crc32c(head_bytes));
  const auto encoded = encode_frame_header(header);
  EncodedFrame frame;
  frame.prefix.reserve(encoded.size() + head_bytes.size() + body.size());
  frame.prefix.append(reinterpret_cast<const char*>(encoded.data()), encoded.size());
  frame.prefix += head_bytes;
  frame.prefix += body;
  return frame;
}

// Checks sizes and CRC, and parses the head.
Status decode_message(const FrameHeader& header, std::string_view message, const BytesChain& payload,
                      google::protobuf::MessageLite& head) {
  DOGFS_CHECK(message.size() == size_t{header.head_bytes} + header.body_bytes);
  DOGFS_CHECK(payload.size() == header.payload_bytes);
  if (crc32c(message) != header.message_crc) return Error(ErrorCode::kProtocolError, "message checksum");
  if (!head.ParseFromArray(message.data(), static_cast<int>(header.head_bytes))) {
    return Error(ErrorCode::kProtocolError, "frame head does not parse");
  }
  return ok();
}

}  // namespace

std::array<std::byte, kFrameHeaderBytes> encode_frame_header(const FrameHeader& header) {
  std::array<std::byte, kFrameHeaderBytes> out{};
  store_little<uint32_t>(out, 0, kMagic);
  store_little<uint8_t>(out, 4, kFrameVersion);
  store_little<uint8_t>(out, 5, static_cast<uint8_t>(header.kind));
  store_little<uint16_t>(out, 6, static_cast<uint16_t>(header.type));
  store_little<uint64_t>(out, 8, header.request_id);
  store_little<uint32_t>(out, 16, header.head_bytes);
  store_little<uint32_t>(out, 20, header.body_bytes);
  store_little<uint32_t>(out, 24, header.payload_bytes);
  store_little<uint32_t>(out, kMessageCrcOffset, header.message_crc);
  store_little<uint32_t>(out, kHeaderCrcOffset, crc32c(std::span(out).first(kHeaderCrcOffset)));
  return out;
}

Result<FrameHeader> decode_frame_header(std::span<const std::byte, kFrameHeaderBytes> bytes) {
  const std::span<const std::byte> in = bytes;
  if (load_little<uint32_t>(in, 0) != kMagic) return Error(ErrorCode::kProtocolError, "not a DogFS frame");
  if (load_little<uint8_t>(in, 4) != kFrameVersion) return Error(ErrorCode::kProtocolError, "unknown frame version");
  if (load_little<uint32_t>(in, kHeaderCrcOffset) != crc32c(in.first(kHeaderCrcOffset))) {
    return Error(ErrorCode::kProtocolError, "frame header checksum");
  }
  FrameHeader header;
  const auto kind = load_little<uint8_t>(in, 5);
  if (kind < static_cast<uint8_t>(FrameKind::kRequest) || kind > static_cast<uint8_t>(FrameKind::kOneWay)) {
    return Error(ErrorCode::kProtocolError, "unknown frame kind");
  }
  header.kind = static_cast<FrameKind>(kind);
  header.type = static_cast<MessageType>(load_little<uint16_t>(in, 6));
  header.request_id = load_little<uint64_t>(in, 8);
  header.head_bytes = load_little<uint32_t>(in, 16);
  header.body_bytes = load_little<uint32_t>(in, 20);
  header.payload_bytes = load_little<uint32_t>(in, 24);
  header.message_crc = load_little<uint32_t>(in, kMessageCrcOffset);
  if (header.head_bytes > kMaxFrameHeadBytes) return Error(ErrorCode::kProtocolError, "frame head too long");
  if (header.body_bytes > kMaxFrameBodyBytes) return Error(ErrorCode::kProtocolError, "frame body too long");
  if (header.payload_bytes > kMaxFramePayloadBytes) return Error(ErrorCode::kProtocolError, "frame payload too long");
  return header;
}

Result<EncodedFrame> encode_request(const Request& request, FrameKind kind, uint64_t request_id, Duration timeout) {
  wire::RequestHead head;
  head.set_group(request.group.value());
  head.set_timeout_us(std::chrono::duration_cast<microseconds>(timeout).count());
  head.set_principal(request.principal);
  FrameHeader header;
  header.kind = kind;
  header.type = request.type;
  header.request_id = request_id;
  return encode(header, head, request.body, request.payload.size());
}

Result<EncodedFrame> encode_reply(const Reply& reply, MessageType type, uint64_t request_id) {
  wire::ReplyHead head;
  head.set_error(static_cast<uint32_t>(reply.error.code));
  head.set_detail(printable(reply.error.detail, kMaxErrorDetailBytes));
  head.set_leader_address(reply.leader.value);
  FrameHeader header;
  header.kind = FrameKind::kReply;
  header.type = type;
  header.request_id = request_id;
  return encode(header, head, reply.body, reply.payload.size());
}

Result<DecodedRequest> decode_request(const FrameHeader& header, std::string_view message, BytesChain payload) {
  wire::RequestHead head;
  DOGFS_TRYV(decode_message(header, message, payload, head));
  DecodedRequest decoded;
  // A caller's time-out is its own wish; an absurd one is cut to an hour so that no arithmetic on it can overflow.
  constexpr int64_t kMaxTimeoutUs = 3'600'000'000;
  decoded.timeout = microseconds(std::clamp<int64_t>(head.timeout_us(), 0, kMaxTimeoutUs));
  decoded.request.type = header.type;
  decoded.request.group = GroupId(head.group());
  decoded.request.principal = std::move(*head.mutable_principal());
  decoded.request.body = message.substr(header.head_bytes);
  decoded.request.payload = std::move(payload);
  return decoded;
}

Result<Reply> decode_reply(const FrameHeader& header, std::string_view message, BytesChain payload) {
  wire::ReplyHead head;
  DOGFS_TRYV(decode_message(header, message, payload, head));
  Reply reply;
  reply.error = Error(error_code_from_wire(head.error()), std::move(*head.mutable_detail()));
  reply.leader.value = std::move(*head.mutable_leader_address());
  reply.body = message.substr(header.head_bytes);
  reply.payload = std::move(payload);
  return reply;
}

}  // namespace dogfs
