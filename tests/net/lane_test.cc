// The calling side against peers that vanish, hang, lie, and come back.
#include "net/lane.h"

#include <gtest/gtest.h>

#include <array>

#include "core/env/sync.h"
#include "tests/conformance/transport_conformance.h"
#include "tests/net/raw_socket.h"
#include "tests/net/tcp_world.h"

namespace dogfs {
namespace {

class LaneTest : public testing::Test {
 protected:
  explicit LaneTest(TcpOptions options = {}) : world_(options) {}

  Executor executor() { return world_.harness().executor(); }
  Clock& clock() { return world_.harness().clock(); }
  TcpTransport& caller() { return world_.transport(0); }
  MonoTime soon() { return clock().now() + seconds(20); }
  void run(Task<void> task) { world_.harness().run(std::move(task)); }

  // Calls and keeps what became of it.
  Task<void> call(Address to, Request request, MonoTime deadline, ErrorCode& code) {
    const Result<Reply> reply = co_await caller().call(std::move(to), std::move(request), deadline);
    code = code_of(reply);
    ++ended_;
  }

  static constexpr auto kPending = static_cast<ErrorCode>(999'999);

  TcpWorld world_;
  TaskGroup group_{executor(), clock()};
  size_t ended_ = 0;
};

Task<void> accept_read_and_reset(RawListener& listener) {
  RawSocket peer = co_await listener.accept();
  const std::string request = co_await peer.read_some();
  EXPECT_FALSE(request.empty());
  peer.reset();
}

TEST_F(LaneTest, ConnectionResetInMidCallIsConnectionLost) {
  RawListener listener(executor());
  ErrorCode code = kPending;
  group_.spawn(call(listener.address(), make_test_request("x"), soon(), code));
  run(accept_read_and_reset(listener));
  run(group_.join());
  EXPECT_EQ(code, ErrorCode::kConnectionLost);
}

Task<void> until_handled(EchoHandler& handler, size_t count) {
  while (handler.handled < count) co_await handler.received_changed.wait();
}

Task<void> give_up(TcpTransport& transport, MessageType type) {
  transport.give_up({type});
  co_return;
}

// At once, although the peer holds its answers back.
TEST_F(LaneTest, CallsOfTypesThatNobodyWaitsForAreGivenUpAndOthersGoOn) {
  EchoHandler handler(clock());
  handler.hold = true;
  world_.transport(1).serve(handler);
  const Address peer = world_.address(1);
  const Request wanted = make_test_request("x");
  Request unwanted = make_test_request("x");
  unwanted.type = MessageType::kOpenShard;
  ErrorCode of_wanted = kPending;
  std::array<ErrorCode, 3> of_unwanted = {kPending, kPending, kPending};
  TaskGroup others(executor(), clock());
  others.spawn(call(peer, wanted, soon(), of_wanted));
  group_.spawn(call(peer, unwanted, soon(), of_unwanted[0]));
  run(until_handled(handler, 2));
  // This one waits for its connection.
  RawListener silent(executor());
  group_.spawn(call(silent.address(), unwanted, soon(), of_unwanted[1]));
  run(give_up(caller(), unwanted.type));
  run(group_.join());
  EXPECT_EQ(of_unwanted[0], ErrorCode::kConnectionLost);
  EXPECT_EQ(of_unwanted[1], ErrorCode::kUnavailable);
  run(call(peer, unwanted, soon(), of_unwanted[2]));
  EXPECT_EQ(of_unwanted[2], ErrorCode::kUnavailable);

  EXPECT_EQ(of_wanted, kPending);
  handler.release();
  run(others.join());
  EXPECT_EQ(of_wanted, ErrorCode::kOk);
  world_.transport(1).stop_serving();
}

Task<void> accept_and_answer(RawListener& listener, std::string answer) {
  RawSocket peer = co_await listener.accept();
  co_await peer.read_some();
  co_await peer.send(std::move(answer));
  co_await peer.read_to_end();
}

TEST_F(LaneTest, PeerThatBreaksTheRulesIsConnectionLost) {
  const std::string wrong_type = encode_reply(Reply(), MessageType::kList, 1).value().prefix;
  for (const std::string& answer :
       {std::string(100, '?'), wire_frame(make_test_request("x"), FrameKind::kRequest, 1), wrong_type}) {
    RawListener listener(executor());
    ErrorCode code = kPending;
    group_.spawn(call(listener.address(), make_test_request("x"), soon(), code));
    run(accept_and_answer(listener, answer));
    run(group_.join());
    EXPECT_EQ(code, ErrorCode::kConnectionLost);
  }
}

TEST_F(LaneTest, ReplyThatNobodyWaitsForIsDropped) {
  RawListener listener(executor());
  const std::string stray = encode_reply(Reply(), MessageType::kStat, 77).value().prefix;
  const std::string answer = encode_reply(Reply(), MessageType::kStat, 1).value().prefix;
  ErrorCode code = kPending;
  group_.spawn(call(listener.address(), make_test_request("x"), soon(), code));
  const auto serve = [](RawListener& at, std::string bytes, TaskGroup& calls) -> Task<void> {
    RawSocket peer = co_await at.accept();
    co_await peer.read_some();
    co_await peer.send(std::move(bytes));
    co_await calls.join();
  };
  run(serve(listener, stray + answer, group_));
  EXPECT_EQ(code, ErrorCode::kOk);
}

TEST_F(LaneTest, CallsAtOnceShareOneConnection) {
  RawListener listener(executor());
  std::vector<ErrorCode> codes(50, kPending);
  for (ErrorCode& code : codes) {
    group_.spawn(call(listener.address(), make_test_request("x"), clock().now() + milliseconds(50), code));
  }
  run(group_.join());
  EXPECT_EQ(listener.accept_waiting(), 1U);
  EXPECT_EQ(codes, std::vector<ErrorCode>(50, ErrorCode::kTimeout));
}

// A peer that takes nothing: what left this machine may have been executed, what did not was not.
TEST_F(LaneTest, CallThatWasNotSentIsUnavailableAtItsDeadline) {
  RawListener listener(executor());
  const BytesChain payload(Bytes::zeros(kMaxFramePayloadBytes));
  std::vector<ErrorCode> codes(20, kPending);
  for (ErrorCode& code : codes) {
    group_.spawn(call(listener.address(), make_test_request("x", payload), clock().now() + milliseconds(100), code));
  }
  run(group_.join());
  EXPECT_EQ(codes.front(), ErrorCode::kTimeout);
  EXPECT_EQ(codes.back(), ErrorCode::kUnavailable);
}

// Takes the first request and part of the next, and goes; the calls that were not sent knock again.
Task<void> take_one_request_and_reset(RawListener& listener) {
  RawSocket peer = co_await listener.accept();
  size_t received = 0;
  while (received < kMaxFramePayloadBytes + kMiB) {
    const std::string part = co_await peer.read_some();
    DOGFS_CO_ASSERT(!part.empty());
    received += part.size();
  }
  peer.reset();
  RawSocket second = co_await listener.accept();
  second.reset();
}

TEST_F(LaneTest, CallsThatWaitedForTheSocketGoOverTheNextConnection) {
  RawListener listener(executor());
  const BytesChain payload(Bytes::zeros(kMaxFramePayloadBytes));
  std::vector<ErrorCode> codes(20, kPending);
  for (ErrorCode& code : codes) {
    group_.spawn(call(listener.address(), make_test_request("x", payload), clock().now() + seconds(1), code));
  }
  run(take_one_request_and_reset(listener));
  EXPECT_EQ(codes.back(), kPending) << "it was given up although it could still be sent";
  run(group_.join());
  EXPECT_EQ(codes.front(), ErrorCode::kConnectionLost);
}

class PatientLaneTest : public LaneTest {
 protected:
  PatientLaneTest() : LaneTest(options()) {}
  static TcpOptions options() {
    TcpOptions options;
    options.first_backoff = std::chrono::hours(1);
    options.max_backoff = std::chrono::hours(1);
    return options;
  }
};

TEST_F(PatientLaneTest, RefusedPeerIsNotKnockedAtAgainDuringTheBackoff) {
  const Address address = RawListener(executor()).address();
  ErrorCode code = kPending;
  run(call(address, make_test_request("x"), soon(), code));
  EXPECT_EQ(code, ErrorCode::kRefused);
  RawListener listener(executor(), address);
  run(call(address, make_test_request("x"), soon(), code));
  EXPECT_EQ(code, ErrorCode::kRefused);
  caller().send(address, make_test_request("one-way"));
  EXPECT_EQ(listener.accept_waiting(), 0U);
}

// Calls until the peer is back, as a client with retries does.
Task<void> call_until_answered(Transport& transport, Address to, Clock& clock, size_t& failures) {
  while (true) {
    Request request = make_test_request("again");
    const Result<Reply> reply = co_await transport.call(to, std::move(request), clock.now() + seconds(5));
    if (reply) co_return;
    ++failures;
    co_await sleep_for(clock, milliseconds(1));
  }
}

TEST_F(LaneTest, PeerThatComesBackIsCalledAgain) {
  EchoHandler handler(clock());
  auto server = std::make_unique<TcpTransport>(executor(), clock(), world_.log());
  const Address address = server->listen(Address{"127.0.0.1:0"}).value();
  server->serve(handler);
  ErrorCode code = kPending;
  run(call(address, make_test_request("x"), soon(), code));
  EXPECT_EQ(code, ErrorCode::kOk);
  server.reset();
  run(call(address, make_test_request("x"), soon(), code));
  EXPECT_NE(code, ErrorCode::kOk);
  server = std::make_unique<TcpTransport>(executor(), clock(), world_.log());
  ASSERT_TRUE(server->listen(address).has_value());
  server->serve(handler);
  size_t failures = 0;
  run(call_until_answered(caller(), address, clock(), failures));
}

TEST_F(LaneTest, NameIsResolved) {
  EchoHandler handler(clock());
  world_.transport(1).serve(handler);
  ErrorCode code = kPending;
  const uint16_t port = parse_address(world_.address(1).value).value().port;
  run(call(format_address("localhost", port), make_test_request("x"), soon(), code));
  EXPECT_EQ(code, ErrorCode::kOk);
  world_.transport(1).stop_serving();
}

TEST_F(LaneTest, BadAddressIsUnavailable) {
  for (const char* address : {"", "nonsense", "127.0.0.1:0", "127.0.0.1:99999", "no-such-host.invalid:1"}) {
    ErrorCode code = kPending;
    run(call(Address{address}, make_test_request("x"), soon(), code));
    EXPECT_EQ(code, ErrorCode::kUnavailable) << address;
  }
}

TEST_F(LaneTest, PassedDeadlineIsUnavailable) {
  ErrorCode code = kPending;
  run(call(world_.address(1), make_test_request("x"), clock().now() - seconds(1), code));
  EXPECT_EQ(code, ErrorCode::kUnavailable);
}

// Messages to a peer that takes none are dropped beyond the limit, instead of filling the memory.
TEST_F(LaneTest, OneWayMessagesAreDroppedWhenTheQueueIsFull) {
  RawListener listener(executor());
  constexpr size_t kMessages = 60;
  for (size_t i = 0; i < kMessages; ++i) {
    caller().send(listener.address(), make_test_request(std::string(kMiB, 'x')));
  }
  ErrorCode code = kPending;
  group_.spawn(call(listener.address(), make_test_request("last"), clock().now() + seconds(5), code));
  const auto count = [](RawListener& at, size_t& received) -> Task<void> {
    RawSocket peer = co_await at.accept();
    std::string tail;
    while (tail.find("last") == std::string::npos) {
      const std::string part = co_await peer.read_some();
      DOGFS_CO_ASSERT(!part.empty());
      received += part.size();
      tail = tail.substr(tail.size() - std::min<size_t>(tail.size(), 8)) + part;
    }
  };
  size_t received = 0;
  run(count(listener, received));
  EXPECT_GE(received, 14 * kMiB);
  EXPECT_LE(received, 18 * kMiB);
  run(group_.join());
}

TEST_F(LaneTest, CallsUnderWayFailWhenTheTransportGoes) {
  RawListener listener(executor());
  auto transport = std::make_unique<TcpTransport>(executor(), clock(), world_.log());
  ErrorCode code = kPending;
  const auto doomed = [](Transport& from, Address to, MonoTime deadline, ErrorCode& out) -> Task<void> {
    Request request = make_test_request("x");
    const Result<Reply> reply = co_await from.call(std::move(to), std::move(request), deadline);
    out = code_of(reply);
  };
  group_.spawn(doomed(*transport, listener.address(), soon(), code));
  const auto accept = [](RawListener& at) -> Task<void> {
    RawSocket peer = co_await at.accept();
    co_await peer.read_some();
  };
  run(accept(listener));
  transport.reset();
  run(group_.join());
  EXPECT_EQ(code, ErrorCode::kConnectionLost);
}

// A loop that is torn down in the middle of everything leaks nothing and touches nothing that is gone (ASan).
TEST(TcpTeardown, LoopMayEndInTheMiddleOfCalls) {
  TcpWorld world;
  auto handler = std::make_unique<EchoHandler>(world.harness().clock());
  handler->hold = true;
  world.transport(1).serve(*handler);
  TaskGroup group(world.harness().executor(), world.harness().clock());
  const auto forget = [](Transport& from, Address to, MonoTime deadline) -> Task<void> {
    Request request = make_test_request("x", BytesChain(Bytes::zeros(100'000)));
    const Result<Reply> reply = co_await from.call(std::move(to), std::move(request), deadline);
    ADD_FAILURE() << "resumed, with " << error_name(code_of(reply));
  };
  for (int i = 0; i < 5; ++i) {
    group.spawn(forget(world.transport(0), world.address(1), world.harness().clock().now() + seconds(10)));
  }
  const auto wait = [](EchoHandler& at, Clock& clock) -> Task<void> {
    while (at.handled < 5) co_await at.received_changed.wait_until(clock.now() + seconds(1));
  };
  world.harness().run(wait(*handler, world.harness().clock()));
  handler.reset();
}

}  // namespace
}  // namespace dogfs
