// What a hostile or broken caller does costs its own connection, and nobody else's.
#include <gtest/gtest.h>

#include <functional>

#include "core/base/hash.h"
#include "core/env/sync.h"
#include "tests/conformance/transport_conformance.h"
#include "tests/net/raw_socket.h"
#include "tests/net/tcp_world.h"

namespace dogfs {
namespace {

TcpOptions hasty_options() {
  TcpOptions options;
  options.frame_limit = milliseconds(150);
  options.frame_limit_under_pressure = milliseconds(40);
  options.write_stall_limit = milliseconds(150);
  options.sweep_interval = milliseconds(10);
  return options;
}

// Node 1 serves; node 0 is the honest caller.
class HostilePeer : public testing::Test {
 public:
  ~HostilePeer() override { server().stop_serving(); }

 protected:
  explicit HostilePeer(TcpOptions options = hasty_options()) : world_(options) { server().serve(handler_); }

  TcpTransport& server() { return world_.transport(1); }
  RawSocket connect() { return RawSocket::connect(world_.harness().executor(), world_.address(1)); }
  MonoTime soon() { return world_.harness().clock().now() + seconds(20); }
  void run(Task<void> task) { world_.harness().run(std::move(task)); }

  Task<void> expect_others_are_served(BytesChain payload = {}) {
    return expect_served(0, make_test_request("honest", std::move(payload)));
  }
  Task<void> expect_served(size_t node, Request request) {
    const Result<Reply> reply = co_await world_.transport(node).call(world_.address(1), std::move(request), soon());
    EXPECT_EQ(code_of(reply), ErrorCode::kOk);
  }
  Task<void> wait_until_handled(size_t count) {
    const MonoTime end = soon();
    while (handler_.handled < count && world_.harness().clock().now() < end) {
      co_await handler_.received_changed.wait_until(end);
    }
    EXPECT_GE(handler_.handled, count);
  }
  static Task<void> let_the_loop_turn(Clock& clock) { co_await sleep_for(clock, milliseconds(20)); }
  // So many are handled, and what is beyond the limit is not received.
  void expect_handled_only(size_t count) {
    run(wait_until_handled(count));
    run(let_the_loop_turn(world_.harness().clock()));
    EXPECT_EQ(handler_.handled, count);
  }

  // The server closes the connection by itself, and has sent nothing on it.
  Task<void> expect_closed_after(std::string bytes) {
    RawSocket peer = connect();
    co_await peer.send(std::move(bytes));
    const std::string answer = co_await peer.read_to_end();
    EXPECT_EQ(answer, "");
    co_await expect_others_are_served();
  }

  TcpWorld world_;
  EchoHandler handler_{world_.harness().clock()};
};

std::string sample_frame() {
  return wire_frame(make_test_request("sample"), FrameKind::kRequest, 1);
}

// A header whose own checksum is right, whatever else is wrong with it.
std::string header_with(const std::function<void(FrameHeader&)>& change) {
  FrameHeader header;
  header.type = MessageType::kStat;
  change(header);
  const auto bytes = encode_frame_header(header);
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

TEST_F(HostilePeer, GarbageClosesTheConnection) {
  run(expect_closed_after(std::string(1000, '?')));
}

TEST_F(HostilePeer, HttpRequestClosesTheConnection) {
  run(expect_closed_after("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"));
}

TEST_F(HostilePeer, DamagedHeaderClosesTheConnection) {
  for (const size_t at : {0U, 4U, 5U, 6U, 8U, 16U, 20U, 24U, 28U, 32U}) {
    std::string frame = sample_frame();
    frame[at] = static_cast<char>(frame[at] ^ 0x40);
    run(expect_closed_after(frame));
  }
  EXPECT_LE(handler_.handled, 10U);
}

TEST_F(HostilePeer, DamagedMessageClosesTheConnection) {
  std::string frame = sample_frame();
  frame.back() = static_cast<char>(frame.back() ^ 1);
  run(expect_closed_after(frame));
}

TEST_F(HostilePeer, UnknownFrameKindClosesTheConnection) {
  run(expect_closed_after(header_with([](FrameHeader& header) { header.kind = static_cast<FrameKind>(9); })));
}

TEST_F(HostilePeer, ReplyToAServerClosesTheConnection) {
  const std::string reply = encode_reply(Reply(), MessageType::kStat, 1).value().prefix;
  run(expect_closed_after(reply));
}

TEST_F(HostilePeer, OversizedLengthsCloseTheConnectionBeforeTheirBytesCome) {
  run(expect_closed_after(header_with([](FrameHeader& header) { header.head_bytes = kMaxFrameHeadBytes + 1; })));
  run(expect_closed_after(header_with([](FrameHeader& header) { header.body_bytes = kMaxFrameBodyBytes + 1; })));
  run(expect_closed_after(header_with([](FrameHeader& header) { header.payload_bytes = kMaxFramePayloadBytes + 1; })));
  run(expect_closed_after(header_with([](FrameHeader& header) { header.payload_bytes = 0xFFFFFFFF; })));
}

TEST_F(HostilePeer, HalfAFrameIsGivenUpInTime) {
  const std::string frame =
      wire_frame(make_test_request("x", BytesChain(Bytes::zeros(10'000))), FrameKind::kRequest, 1);
  for (const size_t cut :
       {size_t{1}, kFrameHeaderBytes - 1, kFrameHeaderBytes, kFrameHeaderBytes + 3, frame.size() - 1}) {
    run(expect_closed_after(frame.substr(0, cut)));
  }
  EXPECT_EQ(handler_.handled, 5U) << "only the honest calls are handled";
}

TEST_F(HostilePeer, NoiseOfEveryKindIsSurvived) {
  const auto noise = [](RawSocket peer, std::string bytes) -> Task<void> {
    co_await peer.send(std::move(bytes));
    co_await peer.read_to_end();
  };
  for (uint64_t seed = 0; seed < 60; ++seed) {
    // Good frames with a few damaged bytes.
    std::string bytes = sample_frame() + sample_frame() + sample_frame();
    for (uint64_t i = 0; i <= seed % 5; ++i) {
      const uint64_t draw = mix64(seed * 10 + i);
      bytes[reduce64(draw, bytes.size())] = static_cast<char>(draw);
    }
    bytes += "end";
    run(noise(connect(), bytes));
    run(expect_others_are_served());
  }
}

Task<void> call_unknown_type(Transport& transport, Address to, MonoTime deadline) {
  Request request = make_test_request("from the future");
  request.type = static_cast<MessageType>(65'000);
  const Result<Reply> reply = co_await transport.call(std::move(to), std::move(request), deadline);
  EXPECT_EQ(code_of(reply), ErrorCode::kOk);
}

TEST_F(HostilePeer, UnknownMessageTypeReachesTheHandler) {
  run(call_unknown_type(world_.transport(0), world_.address(1), soon()));
  EXPECT_EQ(handler_.handled, 1U);
}

Task<void> send_same_id_twice(RawSocket peer) {
  const std::string frame = sample_frame();
  co_await peer.send(frame + frame);
  Reply expected;
  expected.body = "7/alice/sample";
  const size_t one_reply = encode_reply(expected, MessageType::kStat, 1).value().prefix.size();
  size_t received = 0;
  while (received < 2 * one_reply) {
    const std::string part = co_await peer.read_some();
    DOGFS_CO_ASSERT(!part.empty());
    received += part.size();
  }
}

TEST_F(HostilePeer, RequestIdUsedTwiceIsAnsweredTwice) {
  run(send_same_id_twice(connect()));
  EXPECT_EQ(handler_.handled, 2U);
}

Request mebibyte_of_data() {
  return make_test_request("echo", BytesChain(Bytes::zeros(kMiB)));
}

Request half_a_mebibyte_of_message() {
  return make_test_request(std::string(kMiB / 2, 'x'));
}

// Asks for much and takes none of it.
Task<void> flood_without_reading(RawSocket peer, size_t requests, Request request = mebibyte_of_data()) {
  const std::string frame = wire_frame(request, FrameKind::kRequest, 1, seconds(10));
  for (size_t i = 0; i < requests; ++i) {
    if (!co_await peer.send(frame)) co_return;
  }
  ADD_FAILURE() << "the server went on reading";
}

TEST_F(HostilePeer, PeerThatTakesNoRepliesIsGivenUp) {
  run(flood_without_reading(connect(), 200));
  EXPECT_LT(handler_.handled, 50U) << "unread replies pile up";
  run(expect_others_are_served());
}

TEST_F(HostilePeer, PeerThatTakesNoRepliesToMessagesIsGivenUp) {
  run(flood_without_reading(connect(), 400, half_a_mebibyte_of_message()));
  EXPECT_LT(handler_.handled, 100U) << "unread replies pile up";
}

class SmallBudget : public HostilePeer {
 protected:
  SmallBudget() : HostilePeer(options()) {}
  static TcpOptions options() {
    TcpOptions options = hasty_options();
    options.frame_limit = seconds(60);  // only the pressure of others ends a slow frame
    options.write_stall_limit = seconds(60);
    options.request_bytes = 8 * kMiB;
    return options;
  }
};

Task<void> announce_and_stay_silent(RawSocket& peer) {
  const std::string frame =
      wire_frame(make_test_request("x", BytesChain(Bytes::zeros(kMaxFramePayloadBytes))), FrameKind::kRequest, 1);
  const bool sent = co_await peer.send(frame.substr(0, frame.size() - kMaxFramePayloadBytes));
  EXPECT_TRUE(sent);
}

TEST_F(SmallBudget, MemoryHeldByUnfinishedFramesIsTakenBackForOthers) {
  std::vector<RawSocket> hostile;
  for (int i = 0; i < 10; ++i) hostile.push_back(connect());
  for (RawSocket& peer : hostile) run(announce_and_stay_silent(peer));
  run(expect_others_are_served(BytesChain(Bytes::zeros(kMaxFramePayloadBytes))));
}

class SmallReplyBudget : public HostilePeer {
 protected:
  SmallReplyBudget() : HostilePeer(options()) {}
  static TcpOptions options() {
    TcpOptions options;
    options.sweep_interval = milliseconds(10);
    options.write_stall_limit_under_pressure = milliseconds(500);
    options.reply_bytes = kMiB;
    return options;
  }
};

TEST_F(SmallReplyBudget, RepliesThatNobodyTakesAreBoundedOverAllConnections) {
  constexpr size_t kPeers = 10;
  TaskGroup group(world_.harness().executor(), world_.harness().clock());
  for (size_t i = 0; i < kPeers; ++i) group.spawn(flood_without_reading(connect(), 200));
  run(expect_others_are_served(BytesChain(Bytes::zeros(kMaxFramePayloadBytes))));
  run(group.join());
  // The kernel's buffers take some 10 MiB of each, and each leaves a reply or two behind.
  EXPECT_LT(handler_.handled, kPeers * 14);
}

class FewRequests : public HostilePeer {
 protected:
  FewRequests() : HostilePeer(options()) {}
  static TcpOptions options() {
    TcpOptions options;
    options.connection_requests = 4;
    options.connection_bytes = 5 * kMiB;
    return options;
  }
};

TEST_F(FewRequests, NoMoreThanTheLimitAreUnderWayAtOnce) {
  handler_.hold = true;
  TaskGroup group(world_.harness().executor(), world_.harness().clock());
  for (int i = 0; i < 10; ++i) group.spawn(expect_others_are_served());
  expect_handled_only(4);
  handler_.release();
  run(group.join());
  EXPECT_EQ(handler_.handled, 10U);
}

// The data connection is full of payload; small messages go their own way.
TEST_F(FewRequests, PayloadDoesNotHoldUpMessages) {
  handler_.hold = true;
  TaskGroup group(world_.harness().executor(), world_.harness().clock());
  const BytesChain payload(Bytes::zeros(2 * kMiB));
  for (int i = 0; i < 6; ++i) group.spawn(expect_others_are_served(payload));
  expect_handled_only(2);
  group.spawn(expect_others_are_served());
  run(wait_until_handled(3));
  handler_.release();
  run(group.join());
}

TEST_F(FewRequests, AllBytesOfMessagesCount) {
  handler_.hold = true;
  TaskGroup group(world_.harness().executor(), world_.harness().clock());
  for (int i = 0; i < 6; ++i) group.spawn(expect_served(0, make_test_request(std::string(2 * kMiB, 'x'))));
  expect_handled_only(2);
  handler_.release();
  run(group.join());
  EXPECT_EQ(handler_.handled, 6U);
}

class FullBudget : public HostilePeer {
 protected:
  FullBudget() : HostilePeer(options()) { handler_.hold = true; }
  static TcpOptions options() {
    TcpOptions options;
    options.request_bytes = 4 * kMiB;
    return options;
  }
};

TEST_F(FullBudget, MessagesAreBoundedOverAllConnections) {
  TaskGroup group(world_.harness().executor(), world_.harness().clock());
  for (const size_t node : {size_t{0}, size_t{2}}) {
    for (int i = 0; i < 5; ++i) group.spawn(expect_served(node, make_test_request(std::string(kMiB, 'x'))));
  }
  expect_handled_only(3);  // of four MiB, of which each takes a little more than one
  handler_.release();
  run(group.join());
  EXPECT_EQ(handler_.handled, 10U);
}

TEST_F(FullBudget, MessagesDoNotWaitBehindTheDataOfOthers) {
  TaskGroup group(world_.harness().executor(), world_.harness().clock());
  const BytesChain payload(Bytes::zeros(kMaxFramePayloadBytes));
  for (const size_t node : {size_t{0}, size_t{2}}) group.spawn(expect_served(node, make_test_request("data", payload)));
  expect_handled_only(1);
  group.spawn(expect_others_are_served());
  run(wait_until_handled(2));
  handler_.release();
  run(group.join());
  EXPECT_EQ(handler_.handled, 3U);
}

// Elections and heartbeats must get through, however large the message that carries them.
TEST_F(FullBudget, MessagesOfMetadataNodesDoNotWaitBehindTheDataOfOthers) {
  TaskGroup group(world_.harness().executor(), world_.harness().clock());
  for (int i = 0; i < 5; ++i) group.spawn(expect_served(0, make_test_request(std::string(kMiB, 'x'))));
  expect_handled_only(3);
  world_.transport(2).send(world_.address(1), make_test_request(std::string(kMiB, 'm')));
  const auto wait_until_received = [](EchoHandler& handler, MonoTime end, Clock& clock) -> Task<void> {
    while (handler.received.empty() && clock.now() < end) co_await handler.received_changed.wait_until(end);
  };
  run(wait_until_received(handler_, soon(), world_.harness().clock()));
  EXPECT_EQ(handler_.received.size(), 1U);
  EXPECT_EQ(handler_.handled, 3U) << "the data still waits";
  handler_.release();
  run(group.join());
}

class FewConnections : public HostilePeer {
 protected:
  FewConnections() : HostilePeer(options()) {}
  static TcpOptions options() {
    TcpOptions options;
    options.max_connections = 3;
    return options;
  }
};

Task<void> expect_refused(RawSocket peer) {
  const std::string answer = co_await peer.read_to_end();
  EXPECT_EQ(answer, "");
}

TEST_F(FewConnections, ConnectionsBeyondTheCapAreClosedAtOnce) {
  run(expect_others_are_served());
  RawSocket second = connect();
  RawSocket third = connect();
  run(expect_refused(connect()));
  run(expect_refused(connect()));
  run(expect_others_are_served());
}

}  // namespace
}  // namespace dogfs
