// The rules of the Transport port (core/env/transport.h), for both twins, on a network without faults.
//
// A World is default-constructible and gives:
//   Harness& harness();
//   Transport& transport(size_t node);  // node 0, 1 or 2; a node's transport lives as long as the World
//   Address address(size_t node);       // where it listens once it serves
//   Address nowhere();                  // where nobody listens
#pragma once

#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/env/sync.h"
#include "core/env/transport.h"
#include "core/wire/message_type.h"
#include "tests/conformance/harness.h"

namespace dogfs {

// Answers with what it was asked, when and as its fields say.
class EchoHandler final : public RequestHandler {
 public:
  explicit EchoHandler(Clock& clock) : released(clock), received_changed(clock), clock_(clock) {}

  Task<Reply> handle(Request request, MonoTime deadline) override {
    ++handled;
    last_deadline = deadline;
    received_changed.notify_all();
    while (hold) co_await released.wait_until(clock_.now() + seconds(1));
    // Later requests are answered sooner: replies must find their calls by id, not by order.
    if (reverse_order) co_await sleep_for(clock_, milliseconds(2 * (50 - static_cast<int>(handled % 50))));
    Reply reply;
    reply.error = error;
    reply.leader = leader;
    if (error.code == ErrorCode::kOk) {
      reply.body = std::to_string(request.group.value()) + "/" + request.principal + "/" + request.body;
      reply.payload = std::move(request.payload);
    }
    co_return reply;
  }

  void receive(Request message) override {
    received.push_back(message.body);
    received_changed.notify_all();
  }

  void release() {
    hold = false;
    released.notify_all();
  }

  Error error{ErrorCode::kOk};
  Address leader;
  bool hold = false;
  bool reverse_order = false;
  size_t handled = 0;
  MonoTime last_deadline{};
  std::vector<std::string> received;
  Notifier released;
  Notifier received_changed;

 private:
  Clock& clock_;
};

inline Request make_test_request(std::string body, BytesChain payload = {}) {
  Request request;
  request.type = payload.empty() ? MessageType::kStat : MessageType::kAppendShard;
  request.group = GroupId(7);
  request.principal = "alice";
  request.body = std::move(body);
  request.payload = std::move(payload);
  return request;
}

template <class World>
class TransportConformance : public testing::Test {
 protected:
  void serve(size_t node) { world.transport(node).serve(handler); }

  MonoTime soon() { return clock.now() + seconds(20); }

  World world;
  Harness& harness = world.harness();
  Clock& clock = harness.clock();
  EchoHandler handler{clock};
  TaskGroup group{harness.executor(), clock};

  void TearDown() override {
    for (size_t node = 0; node < 3; ++node) world.transport(node).stop_serving();
  }

  Task<void> expect_echo(Transport& from, Address to, std::string body) {
    Request request = make_test_request(body);
    const Result<Reply> reply = co_await from.call(std::move(to), std::move(request), soon());
    DOGFS_CO_ASSERT(reply.has_value());
    EXPECT_EQ(reply.value().error.code, ErrorCode::kOk);
    EXPECT_EQ(reply.value().body, "7/alice/" + body);
  }

  Task<void> request_is_answered() {
    co_await expect_echo(world.transport(0), world.address(1), "hello");
    EXPECT_GT(handler.last_deadline, clock.now());
    EXPECT_LE(handler.last_deadline, soon());
  }

  Task<void> node_calls_itself() { co_await expect_echo(world.transport(1), world.address(1), "me"); }

  Task<void> error_reply_is_a_successful_call() {
    handler.error = Error(ErrorCode::kNotLeader, "ask another");
    handler.leader = Address{"elsewhere:1"};
    Request request = make_test_request("x");
    const Result<Reply> reply = co_await world.transport(0).call(world.address(1), std::move(request), soon());
    DOGFS_CO_ASSERT(reply.has_value());
    EXPECT_EQ(reply.value().error, handler.error);
    EXPECT_EQ(reply.value().leader, handler.leader);
  }

  Task<void> payload_arrives_byte_for_byte() {
    for (const size_t size : {size_t{1}, size_t{4096}, kChecksumPieceBytes + 1, kMaxFramePayloadBytes}) {
      MutableBuffer buffer(size);
      for (size_t i = 0; i < size; ++i) buffer.data()[i] = static_cast<std::byte>(i * 31 + i / 251);
      const Bytes sent = buffer.freeze();
      BytesChain payload;
      payload.append(sent.slice(0, size / 3));
      payload.append(sent.slice(size / 3, size - size / 3));
      Request request = make_test_request("data", payload);
      const Result<Reply> reply = co_await world.transport(0).call(world.address(1), std::move(request), soon());
      DOGFS_CO_ASSERT(reply.has_value());
      EXPECT_TRUE(reply.value().payload.flatten().view() == sent.view()) << size;
    }
  }

  Task<void> many_calls_find_their_replies() {
    handler.reverse_order = true;
    for (int i = 0; i < 100; ++i) {
      group.spawn(expect_echo(world.transport(i % 3), world.address(1), std::to_string(i)));
    }
    co_await group.join();
    EXPECT_EQ(handler.handled, 100U);
  }

  Task<void> call_to_nobody_is_refused() {
    Request request = make_test_request("x");
    const Result<Reply> reply = co_await world.transport(0).call(world.nowhere(), std::move(request), soon());
    EXPECT_EQ(code_of(reply), ErrorCode::kRefused);
  }

  Task<void> call_ends_at_its_deadline() {
    handler.hold = true;
    const MonoTime deadline = clock.now() + milliseconds(50);
    Request request = make_test_request("x");
    const Result<Reply> reply = co_await world.transport(0).call(world.address(1), std::move(request), deadline);
    EXPECT_EQ(code_of(reply), ErrorCode::kTimeout);
    EXPECT_GE(clock.now(), deadline);
    // The late reply must not be taken for the answer of another call.
    handler.release();
    co_await expect_echo(world.transport(0), world.address(1), "next");
  }

  Task<void> one_way_message_arrives() {
    world.transport(0).send(world.address(1), make_test_request("news"));
    while (handler.received.empty()) co_await handler.received_changed.wait_until(soon());
    EXPECT_EQ(handler.received, std::vector<std::string>{"news"});
  }

  Task<void> one_way_message_to_nobody_is_dropped() {
    world.transport(0).send(world.nowhere(), make_test_request("news"));
    co_await expect_echo(world.transport(0), world.address(1), "still fine");
  }

  Task<void> oversized_message_is_refused() {
    Request request = make_test_request(std::string(kMaxFrameBodyBytes + 1, 'x'));
    const Result<Reply> reply = co_await world.transport(0).call(world.address(1), std::move(request), soon());
    EXPECT_EQ(code_of(reply), ErrorCode::kLimitExceeded);
    EXPECT_EQ(handler.handled, 0U);
  }

  Task<void> reply_under_way_survives_stop_serving() {
    handler.hold = true;
    group.spawn(expect_echo(world.transport(0), world.address(1), "slow"));
    while (handler.handled == 0) co_await handler.received_changed.wait_until(soon());
    world.transport(1).stop_serving();
    handler.release();
    co_await group.join();
    Request request = make_test_request("late");
    const Result<Reply> reply =
        co_await world.transport(0).call(world.address(1), std::move(request), clock.now() + milliseconds(500));
    EXPECT_FALSE(reply.has_value());
    EXPECT_EQ(handler.handled, 1U);
  }
};

TYPED_TEST_SUITE_P(TransportConformance);

// One test a body: node 1 serves, and the body runs to its end.
#define DOGFS_TRANSPORT_TEST(Name, body)     \
  TYPED_TEST_P(TransportConformance, Name) { \
    this->serve(1);                          \
    this->harness.run(this->body());         \
  }

DOGFS_TRANSPORT_TEST(RequestIsAnswered, request_is_answered)
DOGFS_TRANSPORT_TEST(NodeCallsItself, node_calls_itself)
DOGFS_TRANSPORT_TEST(ErrorReplyIsASuccessfulCall, error_reply_is_a_successful_call)
DOGFS_TRANSPORT_TEST(PayloadArrivesByteForByte, payload_arrives_byte_for_byte)
DOGFS_TRANSPORT_TEST(ManyCallsFindTheirReplies, many_calls_find_their_replies)
DOGFS_TRANSPORT_TEST(CallToNobodyIsRefused, call_to_nobody_is_refused)
DOGFS_TRANSPORT_TEST(CallEndsAtItsDeadline, call_ends_at_its_deadline)
DOGFS_TRANSPORT_TEST(OneWayMessageArrives, one_way_message_arrives)
DOGFS_TRANSPORT_TEST(OneWayMessageToNobodyIsDropped, one_way_message_to_nobody_is_dropped)
DOGFS_TRANSPORT_TEST(OversizedMessageIsRefused, oversized_message_is_refused)
DOGFS_TRANSPORT_TEST(ReplyUnderWaySurvivesStopServing, reply_under_way_survives_stop_serving)

#undef DOGFS_TRANSPORT_TEST

REGISTER_TYPED_TEST_SUITE_P(TransportConformance, RequestIsAnswered, NodeCallsItself, ErrorReplyIsASuccessfulCall,
                            PayloadArrivesByteForByte, ManyCallsFindTheirReplies, CallToNobodyIsRefused,
                            CallEndsAtItsDeadline, OneWayMessageArrives, OneWayMessageToNobodyIsDropped,
                            OversizedMessageIsRefused, ReplyUnderWaySurvivesStopServing);

}  // namespace dogfs
