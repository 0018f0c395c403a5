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
}

}  // namespace
}  // namespace dogfs::sim
