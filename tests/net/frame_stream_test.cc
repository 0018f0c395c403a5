// FrameReader and FrameWriter: whatever the portions, the same frames come out as went in.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/base/hash.h"
#include "core/base/limits.h"
#include "net/frame_reader.h"
#include "net/frame_writer.h"

namespace dogfs {
namespace {

Request request_of(size_t body_bytes, size_t payload_bytes, uint64_t seed) {
  Request request;
  request.type = MessageType::kStat;
  request.body.assign(body_bytes, static_cast<char>('a' + seed % 26));
  MutableBuffer buffer(payload_bytes);
  for (size_t i = 0; i < payload_bytes; ++i) buffer.data()[i] = static_cast<std::byte>(mix64(seed + i));
  const Bytes payload = buffer.freeze();
  const size_t cut = payload_bytes == 0 ? 0 : seed % payload_bytes;
  request.payload.append(payload.slice(0, cut));
  request.payload.append(payload.slice(cut, payload_bytes - cut));
  return request;
}

OutFrame out_frame(const Request& request, uint64_t id) {
  OutFrame frame;
  frame.tag = id;
  frame.prefix = encode_request(request, FrameKind::kRequest, id, seconds(1)).value().prefix;
  frame.payload = request.payload;
  return frame;
}

std::string stream_of(const OutFrame& frame) {
  return frame.prefix + std::string(frame.payload.flatten().view());
}

// Feeds `stream` in portions of at most `portion()` bytes and returns the frames.
template <class Portion>
std::vector<Frame> read_all(FrameReader& reader, std::string_view stream, Portion portion) {
  std::vector<Frame> frames;
  while (true) {
    const FrameReader::State state = reader.advance().value();
    if (state == FrameReader::State::kHeader) {
      reader.begin_frame();
    } else if (state == FrameReader::State::kFrame) {
      frames.push_back(reader.take());
    } else if (stream.empty()) {
      return frames;
    } else {
      size_t left = std::min<size_t>(portion(), stream.size());
      size_t given = 0;
      for (const std::span<std::byte> space : reader.space()) {
        const size_t bytes = std::min(space.size(), left);
        if (bytes == 0) continue;
        std::memcpy(space.data(), stream.data() + given, bytes);
        given += bytes;
        left -= bytes;
      }
      RC_ASSERT(given > 0U);
      reader.commit(given);
      stream.remove_prefix(given);
    }
  }
}

RC_GTEST_PROP(FrameReader, PortionsDoNotMatter, ()) {
  const auto sizes = *rc::gen::container<std::vector<std::pair<size_t, size_t>>>(
      rc::gen::pair(rc::gen::element<size_t>(0, 1, 100, 20'000, 200'000),
                    rc::gen::element<size_t>(0, 1, 4096, 16'384, 16'385, 300'000)));
  const auto portion_limit = *rc::gen::element<size_t>(1'000, 36, 17'000, 1'000'000);
  std::vector<Request> requests;
  std::string stream;
  for (const auto& [body, payload] : sizes) {
    requests.push_back(request_of(body, payload, requests.size()));
    stream += stream_of(out_frame(requests.back(), requests.size()));
  }
  FrameReader reader;
  uint64_t draw = portion_limit;
  const auto frames = read_all(reader, stream, [&] { return 1 + reduce64(draw = mix64(draw), portion_limit); });
  RC_ASSERT(frames.size() == requests.size());
  for (size_t i = 0; i < frames.size(); ++i) {
    RC_ASSERT(frames[i].header.request_id == i + 1);
    const auto decoded = decode_request(frames[i].header, frames[i].message, frames[i].payload);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(decoded.value().request.body == requests[i].body);
    RC_ASSERT(frames[i].payload.flatten().view() == requests[i].payload.flatten().view());
  }
  RC_ASSERT(!reader.mid_frame());
}

TEST(FrameReader, PayloadIsAligned) {
  FrameReader reader;
  const auto frames = read_all(reader, stream_of(out_frame(request_of(10, 100'000, 1), 1)), [] { return 999; });
  ASSERT_EQ(frames.size(), 1U);
  ASSERT_EQ(frames[0].payload.pieces().size(), 1U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(frames[0].payload.pieces()[0].data()) % kBufferAlignment, 0U);
}

TEST(FrameReader, MessageTakesMemoryAsItArrives) {
  FrameReader reader;
  const std::string stream = stream_of(out_frame(request_of(kMaxFrameBodyBytes, 0, 1), 1)).substr(0, 100);
  read_all(reader, stream, [] { return 100; });
  EXPECT_LT(reader.space()[0].size(), 100'000U);
}

TEST(FrameReader, BrokenStreamIsAProtocolError) {
  std::string stream = stream_of(out_frame(request_of(10, 0, 1), 1));
  stream[8] ^= 1;
  FrameReader reader;
  std::memcpy(reader.space()[1].data(), stream.data(), stream.size());
  reader.commit(stream.size());
  EXPECT_EQ(code_of(reader.advance()), ErrorCode::kProtocolError);
}

RC_GTEST_PROP(FrameWriter, PartialWritesLoseNothing, ()) {
  const auto payloads = *rc::gen::container<std::vector<size_t>>(rc::gen::element<size_t>(0, 1, 5, 1'000, 50'000));
  FrameWriter writer;
  std::string expected;
  for (const size_t payload : payloads) {
    const OutFrame frame = out_frame(request_of(payload % 7, payload, payload + 3), writer.bytes());
    expected += stream_of(frame);
    writer.push(frame);
  }
  RC_ASSERT(writer.bytes() == expected.size());
  std::string written;
  size_t sent = 0;
  uint64_t draw = 1;
  while (!writer.empty()) {
    FrameWriter::Pieces pieces;
    const size_t used = writer.gather(pieces);
    std::string offered;
    for (size_t i = 0; i < used; ++i) offered.append(reinterpret_cast<const char*>(pieces[i].data()), pieces[i].size());
    RC_ASSERT(!offered.empty());
    draw = mix64(draw);
    const size_t taken = 1 + reduce64(draw, offered.size());
    written += offered.substr(0, taken);
    writer.consume(taken, [&](uint64_t) { ++sent; });
  }
  RC_ASSERT(sent == payloads.size());
  RC_ASSERT(written == expected);
  RC_ASSERT(writer.bytes() == 0U);
}

TEST(FrameWriter, FrameIsSentWhenItsLastByteIs) {
  FrameWriter writer;
  const OutFrame frame = out_frame(request_of(5, 10, 1), 7);
  const size_t size = stream_of(frame).size();
  writer.push(frame);
  std::vector<uint64_t> sent;
  const auto note = [&sent](uint64_t tag) { sent.push_back(tag); };
  writer.consume(size - 1, note);
  EXPECT_TRUE(sent.empty());
  writer.consume(1, note);
  EXPECT_EQ(sent, std::vector<uint64_t>{7});
}

}  // namespace
}  // namespace dogfs
