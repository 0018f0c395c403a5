#include "core/wire/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/base/checksum.h"
#include "core/base/limits.h"
#include "core/base/printable.h"

namespace dogfs {
namespace {

struct Split {
  std::array<std::byte, kFrameHeaderBytes> header{};
  std::string message;
};

Split split(const EncodedFrame& frame) {
  Split parts;
  std::memcpy(parts.header.data(), frame.prefix.data(), kFrameHeaderBytes);
  parts.message = frame.prefix.substr(kFrameHeaderBytes);
  return parts;
}

Request sample_request() {
  Request request;
  request.type = MessageType::kStat;
  request.group = GroupId(7);
  request.principal = "alice";
  request.body = "body";
  request.payload = BytesChain(Bytes::copy_of("payload"));
  return request;
}

TEST(Frame, RequestSurvivesTheWire) {
  const Split parts = split(encode_request(sample_request(), FrameKind::kRequest, 42, seconds(3)).value());
  const FrameHeader header = decode_frame_header(parts.header).value();
  EXPECT_EQ(header.request_id, 42U);
  EXPECT_EQ(header.type, MessageType::kStat);
  const DecodedRequest decoded = decode_request(header, parts.message, sample_request().payload).value();
  EXPECT_EQ(decoded.request.group, GroupId(7));
  EXPECT_EQ(decoded.request.principal, "alice");
  EXPECT_EQ(decoded.request.body, "body");
  EXPECT_EQ(decoded.timeout, seconds(3));
}

TEST(Frame, ReplySurvivesTheWire) {
  Reply reply;
  reply.error = Error(ErrorCode::kNotLeader, "ask elsewhere");
  reply.leader = Address{"meta-2"};
  const Split parts = split(encode_reply(reply, MessageType::kStat, 9).value());
  const FrameHeader header = decode_frame_header(parts.header).value();
  EXPECT_EQ(header.kind, FrameKind::kReply);
  const Reply decoded = decode_reply(header, parts.message, {}).value();
  EXPECT_EQ(decoded.error, reply.error);
  EXPECT_EQ(decoded.leader, reply.leader);
}

TEST(Frame, LongErrorDetailIsCut) {
  Reply reply;
  reply.error = Error(ErrorCode::kInternal, std::string(100'000, 'x'));
  const Split parts = split(encode_reply(reply, MessageType::kStat, 9).value());
  const Reply decoded = decode_reply(decode_frame_header(parts.header).value(), parts.message, {}).value();
  EXPECT_EQ(decoded.error.detail.size(), kMaxErrorDetailBytes);
}

TEST(Frame, ErrorDetailOfAnyBytesArrivesAsText) {
  const std::string cut_within_a_character = std::string(kMaxErrorDetailBytes - 1, 'x') + "\xC3\xA9";
  for (const std::string& detail : {std::string("no file \xff"), cut_within_a_character}) {
    Reply reply;
    reply.error = Error(ErrorCode::kNotFound, detail);
    const Split parts = split(encode_reply(reply, MessageType::kStat, 9).value());
    const auto decoded = decode_reply(decode_frame_header(parts.header).value(), parts.message, {});
    ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
    EXPECT_EQ(decoded.value().error, Error(ErrorCode::kNotFound, printable(detail, kMaxErrorDetailBytes)));
  }
}

RC_GTEST_PROP(Frame, AnyFlippedBitOfTheHeaderIsRefused, ()) {
  Split parts = split(encode_request(sample_request(), FrameKind::kRequest, 42, seconds(3)).value());
  const auto bit = *rc::gen::inRange<size_t>(0, kFrameHeaderBytes * 8);
  parts.header[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  RC_ASSERT(code_of(decode_frame_header(parts.header)) == ErrorCode::kProtocolError);
}

RC_GTEST_PROP(Frame, AnyFlippedBitOfTheMessageIsRefused, ()) {
  Split parts = split(encode_request(sample_request(), FrameKind::kRequest, 42, seconds(3)).value());
  const auto bit = *rc::gen::inRange<size_t>(0, parts.message.size() * 8);
  parts.message[bit / 8] = static_cast<char>(parts.message[bit / 8] ^ (1U << (bit % 8)));
  const FrameHeader header = decode_frame_header(parts.header).value();
  RC_ASSERT(code_of(decode_request(header, parts.message, sample_request().payload)) == ErrorCode::kProtocolError);
}

TEST(Frame, LengthsBeyondTheirLimitsAreRefused) {
  const auto refused = [](auto change) {
    FrameHeader header;
    header.type = MessageType::kStat;
    change(header);
    return code_of(decode_frame_header(encode_frame_header(header))) == ErrorCode::kProtocolError;
  };
  EXPECT_FALSE(refused([](FrameHeader& h) { h.head_bytes = kMaxFrameHeadBytes; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.head_bytes = kMaxFrameHeadBytes + 1; }));
  EXPECT_FALSE(refused([](FrameHeader& h) { h.body_bytes = kMaxFrameBodyBytes; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.body_bytes = kMaxFrameBodyBytes + 1; }));
  EXPECT_FALSE(refused([](FrameHeader& h) { h.payload_bytes = kMaxFramePayloadBytes; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.payload_bytes = kMaxFramePayloadBytes + 1; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.body_bytes = 0xFFFFFFFF; }));
}

TEST(Frame, UnknownTypeDecodesSoThatItCanBeAnswered) {
  FrameHeader header;
  header.type = static_cast<MessageType>(60'000);
  const FrameHeader decoded = decode_frame_header(encode_frame_header(header)).value();
  EXPECT_EQ(message_type_name(decoded.type), "Unknown");
}

TEST(Frame, TooLargePartsAreNotSent) {
  Request request = sample_request();
  request.body.assign(kMaxFrameBodyBytes + 1, 'x');
  EXPECT_EQ(code_of(encode_request(request, FrameKind::kRequest, 1, seconds(1))), ErrorCode::kLimitExceeded);
  request = sample_request();
  request.payload = BytesChain(Bytes::zeros(kMaxFramePayloadBytes + 1));
  EXPECT_EQ(code_of(encode_request(request, FrameKind::kRequest, 1, seconds(1))), ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace dogfs
