#include "sim/transport.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "core/env/sync.h"
#include "core/wire/message_type.h"
#include "sim/world.h"

namespace dogfs::sim {
namespace {

class Echo final : public RequestHandler {
 public:
  explicit Echo(Clock& clock) : clock_(clock) {}
  Task<Reply> handle(Request request, MonoTime deadline) override {
    ++requests;
    time_left = deadline - clock_.now();
    co_await sleep_for(clock_, pause);
    Reply reply;
    reply.body = "echo " + request.body + " by " + request.principal;
    reply.payload = request.payload;
    co_return reply;
  }
  void receive(Request message) override { received.push_back(message.body); }

  int requests = 0;
  Duration pause = microseconds(10);
  Duration time_left{};
  std::vector<std::string> received;

 private:
  Clock& clock_;
};

Request request(const std::string& body) {
  Request made;
  made.type = MessageType::kStat;
  made.body = body;
  made.principal = "alice";
  made.payload = BytesChain(Bytes::copy_of(std::string_view("payload")));
  return made;
}

class SimTransportTest : public ::testing::Test {
 protected:
  void start(uint64_t seed, LinkQuality link = {}) {
    world_ = std::make_unique<World>(WorldOptions{.seed = seed, .link = link});
    client_ = &world_->add_node("client");
    server_ = &world_->add_node("server");
    echo_ = &server_->make<Echo>(server_->env().clock);
    server_->env().transport.serve(*echo_);
  }
  Result<Reply> call(const std::string& to, Duration timeout) {
    Env& env = client_->env();
    return *world_->run(*client_, env.transport.call({to}, request("hi"), env.clock.now() + timeout), seconds(60));
  }
  void send(int messages) {
    for (int i = 0; i < messages; ++i) client_->env().transport.send({"server"}, request(std::to_string(i)));
    world_->run_for(seconds(1));
  }

  uint64_t harms(Harm harm) const { return world_->harms().of(harm); }

  std::unique_ptr<World> world_;
  Node* client_ = nullptr;
  Node* server_ = nullptr;
  Echo* echo_ = nullptr;
};

TEST_F(SimTransportTest, ACallIsAnswered) {
  start(1);
  const Result<Reply> reply = call("server", seconds(1));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply.value().body, "echo hi by alice");
  EXPECT_EQ(reply.value().payload.flatten().view(), "payload");
  EXPECT_GT(echo_->time_left, milliseconds(500));
  EXPECT_LE(echo_->time_left, seconds(1));
}

TEST_F(SimTransportTest, ACallEndsAtItsDeadline) {
  start(1);
  echo_->pause = seconds(10);
  EXPECT_EQ(code_of(call("server", milliseconds(50))), ErrorCode::kTimeout);
  EXPECT_EQ(world_->now(), VirtualTime(milliseconds(50)));
  EXPECT_EQ(code_of(call("server", Duration::zero())), ErrorCode::kUnavailable);
  EXPECT_EQ(echo_->requests, 1);
}

TEST_F(SimTransportTest, WhoIsDownOrDoesNotServeRefuses) {
  start(1);
  EXPECT_EQ(code_of(call("nobody", seconds(1))), ErrorCode::kRefused);
  server_->env().transport.stop_serving();
  EXPECT_EQ(code_of(call("server", seconds(1))), ErrorCode::kRefused);
  server_->crash(CrashKind::kPower);
  EXPECT_EQ(code_of(call("server", seconds(1))), ErrorCode::kRefused);
  EXPECT_LT(world_->now(), VirtualTime(seconds(1)));
}

TEST_F(SimTransportTest, ACrashUnderTheRequestResetsTheConnectionOrGoesUnnoticed) {
  std::map<ErrorCode, int> seen;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    start(seed);
    echo_->pause = seconds(1);
    world_->simulator().at(world_->simulator().world(), VirtualTime(milliseconds(100)),
                           [this] { server_->crash(CrashKind::kPower); });
    ++seen[code_of(call("server", milliseconds(500)))];
  }
  EXPECT_GT(seen[ErrorCode::kConnectionLost], 0);
  EXPECT_GT(seen[ErrorCode::kTimeout], 0);
  EXPECT_EQ(seen.size(), 2U);
}

TEST_F(SimTransportTest, UnavailableIsToldOnlyOfWhatWasNotExecuted) {
  std::map<ErrorCode, int> seen;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    start(seed, {.loss_per_million = 400'000});
    const ErrorCode code = code_of(call("server", seconds(2)));
    ++seen[code];
    if (code == ErrorCode::kUnavailable) {
      EXPECT_EQ(echo_->requests, 0);
    }
    EXPECT_LE(echo_->requests, 1);
  }
  for (const ErrorCode code :
       {ErrorCode::kOk, ErrorCode::kUnavailable, ErrorCode::kConnectionLost, ErrorCode::kTimeout}) {
    EXPECT_GT(seen[code], 0) << error_name(code);
  }
}

TEST_F(SimTransportTest, AOneWayPartitionLetsTheRequestThroughButNotTheReply) {
  start(1);
  world_->network().block(server_->index(), client_->index());
  EXPECT_FALSE(call("server", seconds(2)).has_value());
  EXPECT_EQ(echo_->requests, 1);
  world_->network().unblock(server_->index(), client_->index());
  world_->network().block(client_->index(), server_->index());
  EXPECT_FALSE(call("server", seconds(2)).has_value());
  EXPECT_EQ(echo_->requests, 1);
}

TEST_F(SimTransportTest, OneWayMessagesKeepTheirOrderOnAGoodLink) {
  start(1);
  send(50);
  ASSERT_EQ(echo_->received.size(), 50U);
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(echo_->received[i], std::to_string(i));
}

TEST_F(SimTransportTest, OneWayMessagesAreLostDoubledAndOvertakenOnABadOne) {
  start(1, {.loss_per_million = 200'000, .duplicate_per_million = 200'000, .reorder_per_million = 200'000});
  send(200);
  std::map<std::string, int> copies;
  for (const std::string& body : echo_->received) ++copies[body];
  EXPECT_LT(copies.size(), 200U);
  EXPECT_GT(echo_->received.size(), copies.size());
  std::vector<int> numbers;
  for (const std::string& body : echo_->received) numbers.push_back(std::stoi(body));
  EXPECT_FALSE(std::is_sorted(numbers.begin(), numbers.end()));
}

TEST_F(SimTransportTest, ATooLongQueueDropsMessages) {
  start(1);
  send(5000);
  EXPECT_EQ(echo_->received.size(), 4096U);
  EXPECT_EQ(harms(Harm::kMessageRefused), 904U);
}

TEST_F(SimTransportTest, WhatBecomesOfMessagesIsCounted) {
  start(1, {.loss_per_million = 200'000});
  send(200);
  EXPECT_EQ(harms(Harm::kMessageLost), 200 - echo_->received.size());
  start(1, {.duplicate_per_million = 200'000});
  send(200);
  EXPECT_EQ(harms(Harm::kMessageDuplicated), echo_->received.size() - 200);
  EXPECT_EQ(harms(Harm::kMessageReordered), 0U);
  start(1, {.reorder_per_million = 200'000});
  send(200);
  uint64_t overtaken = 0;
  int newest = -1;
  for (const std::string& body : echo_->received) {
    overtaken += std::stoi(body) < newest ? 1 : 0;
    newest = std::max(newest, std::stoi(body));
  }
  EXPECT_EQ(harms(Harm::kMessageReordered), overtaken);
  world_->network().block(client_->index(), server_->index());
  send(7);
  EXPECT_EQ(harms(Harm::kMessageCut), 7U);
}

TEST_F(SimTransportTest, AReplyThatNobodyWaitsForIsCounted) {
  start(1);
  echo_->pause = milliseconds(100);
  EXPECT_EQ(code_of(call("server", milliseconds(50))), ErrorCode::kTimeout);
  EXPECT_EQ(harms(Harm::kReplyTooLate), 0U);
  world_->run_for(seconds(1));
  EXPECT_EQ(harms(Harm::kReplyTooLate), 1U);
}

// Who gets a frame with a wrong bit ends the connection. A payload is handed over as it came.
TEST_F(SimTransportTest, ABitThatFlipsInAFrameIsSeenAndEndsTheConnection) {
  std::map<ErrorCode, int> seen;
  int damaged = 0;
  uint64_t frames = 0;
  uint64_t payloads = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    start(seed, {.corrupt_per_million = 300'000});
    const Result<Reply> reply = call("server", seconds(2));
    ++seen[code_of(reply)];
    if (reply.has_value()) {
      EXPECT_EQ(reply.value().body, "echo hi by alice");
      damaged += reply.value().payload.flatten().view() != "payload" ? 1 : 0;
    }
    frames += harms(Harm::kFrameCorrupted);
    payloads += harms(Harm::kPayloadCorrupted);
    EXPECT_EQ(harms(Harm::kMessageLost), 0U);
    EXPECT_EQ(reply.has_value(), harms(Harm::kFrameCorrupted) == 0) << "seed " << seed;
  }
  for (const ErrorCode code :
       {ErrorCode::kOk, ErrorCode::kUnavailable, ErrorCode::kConnectionLost, ErrorCode::kTimeout}) {
    EXPECT_GT(seen[code], 0) << error_name(code);
  }
  EXPECT_GT(damaged, 0);
  EXPECT_LE(static_cast<uint64_t>(damaged), payloads);
  EXPECT_GT(frames, 30U);
}

// It takes with it what is under way in both directions, and what would be answered over it.
TEST_F(SimTransportTest, WhatWasAskedOverALostConnectionIsNotAnswered) {
  std::map<ErrorCode, int> seen;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    start(seed);
    echo_->pause = milliseconds(100);
    Request one_way;
    one_way.type = MessageType::kStat;
    world_->simulator().at(world_->simulator().world(), VirtualTime(milliseconds(50)), [this, one_way] {
      world_->network().set_quality({.corrupt_per_million = 1'000'000});
      client_->env().transport.send({"server"}, one_way);
      world_->network().set_quality({});
    });
    ++seen[code_of(call("server", seconds(2)))];
    EXPECT_EQ(echo_->requests, 1);
    EXPECT_TRUE(echo_->received.empty());
    EXPECT_EQ(call("server", seconds(2)).has_value(), true) << "the next connection is a good one";
  }
  EXPECT_GT(seen[ErrorCode::kConnectionLost], 0);
  EXPECT_GT(seen[ErrorCode::kTimeout], 0);
  EXPECT_EQ(seen.size(), 2U);
}

}  // namespace
}  // namespace dogfs::sim
