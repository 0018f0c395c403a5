#include "core/client/session.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/wire/meta.pb.h"
#include "tests/core/client/test_world.h"

namespace dogfs::test {
namespace {

const Address kNode{"a"};

// The metadata as a session sees it: counts how often each change took effect.
class ExactlyOnceServer {
 public:
  Task<Reply> handle(Request request) {
    if (request.type == MessageType::kOpenSession) {
      wire::OpenSessionReply reply;
      reply.set_session(++last_session_);
      reply.set_cluster_uuid("cluster");
      sessions_.insert(last_session_);
      co_return make_reply(reply);
    }
    const auto message = parse_message<wire::MutateRequest>(request.body).value();
    if (!sessions_.contains(message.session())) co_return error_reply(Error(ErrorCode::kSessionExpired));
    EXPECT_GE(message.sequence(), message.low_water());
    EXPECT_LT(message.sequence() - message.low_water(), kMaxRequestsInFlightPerSession);
    low_water = std::max(low_water, message.low_water());
    const std::pair key(message.session(), message.sequence());
    if (full && !replies_.contains(key)) co_return error_reply(Error(ErrorCode::kNoSpace));
    if (!replies_.contains(key)) {
      ++effects[message.mutation().make_directory().path()];
      replies_[key] = wire::MutateReply();
      replies_[key].mutable_result()->mutable_make_directory()->set_inode(replies_.size());
    }
    co_return make_reply(replies_[key]);
  }

  void expire_sessions() { sessions_.clear(); }

  std::map<std::string, int> effects;
  uint64_t low_water = 0;
  bool full = false;

 private:
  uint64_t last_session_ = 0;
  std::set<uint64_t> sessions_;
  std::map<std::pair<uint64_t, uint64_t>, wire::MutateReply> replies_;
};

wire::Mutation make_directory(const std::string& path) {
  wire::Mutation mutation;
  mutation.mutable_make_directory()->set_path(path);
  return mutation;
}

class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    world_.transport.nodes[kNode] = [this](Request request) { return server_.handle(std::move(request)); };
  }

  ErrorCode mutate(const std::string& path) {
    last_ = world_.run(session_.mutate(make_directory(path)));
    return code_of(*last_);
  }

  Task<void> mutate_and_count(std::string path, int& done) {
    const Result<wire::MutationResult> result = co_await session_.mutate(make_directory(path));
    EXPECT_TRUE(result.has_value());
    ++done;
  }

  // The first mutation meets `fate`, later ones are delivered.
  void first_mutation_meets(Fate fate) {
    world_.transport.fate = [fate, met = false](const Address&, const Request& request) mutable {
      if (request.type != MessageType::kMutate || met) return Fate::kDeliver;
      met = true;
      return fate;
    };
  }

  World world_;
  ExactlyOnceServer server_;
  MetaChannel channel_{world_.env, MetaChannelOptions{.nodes = {kNode}, .principal = "someone"}};
  Session session_{world_.env, channel_};
  std::optional<Result<wire::MutationResult>> last_;
};

TEST_F(SessionTest, IsOpenedByTheFirstChange) {
  EXPECT_TRUE(session_.id().is_none());
  EXPECT_EQ(mutate("/x"), ErrorCode::kOk);
  EXPECT_EQ(session_.id(), SessionId(1));
  EXPECT_EQ(session_.cluster_uuid(), "cluster");
}

TEST_F(SessionTest, ChangesThatStartTogetherShareOneSession) {
  int done = 0;
  for (int i = 0; i < 10; ++i) {
    world_.spawn(mutate_and_count("/" + std::to_string(i), done));
  }
  world_.run_until([&] { return done == 10; });
  EXPECT_EQ(session_.id(), SessionId(1));
  EXPECT_EQ(server_.effects.size(), 10u);
}

class SessionFateTest : public SessionTest, public testing::WithParamInterface<Fate> {};

TEST_P(SessionFateTest, AChangeTakesEffectExactlyOnce) {
  first_mutation_meets(GetParam());
  EXPECT_EQ(mutate("/x"), ErrorCode::kOk);
  EXPECT_EQ(server_.effects["/x"], 1);
}

INSTANTIATE_TEST_SUITE_P(WhateverIsLost, SessionFateTest,
                         testing::Values(Fate::kDeliver, Fate::kRefuse, Fate::kLoseRequest, Fate::kLoseReply,
                                         Fate::kResetBefore, Fate::kResetAfter));

TEST_F(SessionTest, TheLowWaterMarkFollowsTheAnswers) {
  for (int i = 0; i < 5; ++i) mutate("/" + std::to_string(i));
  EXPECT_EQ(server_.low_water, 5u);
}

TEST_F(SessionTest, ManyChangesStayWithinTheWindow) {
  constexpr int kChanges = 1000;
  int done = 0;
  // The first change is slow: the others may not run away from it.
  world_.transport.delay = [first = true](const Address&, const Request& request) mutable -> Duration {
    if (request.type != MessageType::kMutate || !std::exchange(first, false)) return microseconds(200);
    return seconds(1);
  };
  for (int i = 0; i < kChanges; ++i) {
    world_.spawn(mutate_and_count("/" + std::to_string(i), done));
  }
  world_.run_until([&] { return done == kChanges; });
  EXPECT_EQ(server_.effects.size(), static_cast<size_t>(kChanges));
}

TEST_F(SessionTest, AnExpiredSessionIsReplacedWhenTheChangeCertainlyNeverRan) {
  mutate("/x");
  server_.expire_sessions();
  EXPECT_EQ(mutate("/y"), ErrorCode::kOk);
  EXPECT_EQ(session_.id(), SessionId(2));
  EXPECT_EQ(server_.effects["/y"], 1);
}

TEST_F(SessionTest, AnExpiredSessionLeavesTheOutcomeUnknownWhenTheChangeMayHaveRun) {
  mutate("/x");
  world_.transport.fate = [this, met = false](const Address&, const Request& request) mutable {
    if (met || request.type != MessageType::kMutate) return Fate::kDeliver;
    met = true;
    // Executed by now or not, the client cannot know; by its next attempt the session is gone.
    server_.expire_sessions();
    return Fate::kLoseRequest;
  };
  EXPECT_EQ(mutate("/y"), ErrorCode::kOutcomeUnknown);
  EXPECT_EQ(server_.effects["/y"], 0);
  EXPECT_EQ(mutate("/z"), ErrorCode::kOk);
}

TEST_F(SessionTest, WantOfRoomLeavesTheOutcomeUnknownWhenTheChangeMayHaveRun) {
  server_.full = true;
  EXPECT_EQ(mutate("/x"), ErrorCode::kNoSpace);
  first_mutation_meets(Fate::kLoseRequest);
  EXPECT_EQ(mutate("/y"), ErrorCode::kOutcomeUnknown) << "the first attempt may come late, when there is room again";
}

TEST_F(SessionTest, AChangeThatMayYetHappenIsNotCalledImpossible) {
  mutate("/x");
  world_.transport.fate = [](const Address&, const Request&) { return Fate::kLoseReply; };
  EXPECT_EQ(mutate("/y"), ErrorCode::kOutcomeUnknown);
  EXPECT_NE(last_->error().detail.find("0 of 1 metadata nodes answered"), std::string::npos);
}

TEST_F(SessionTest, AChangeThatReachedNobodyIsRefusedForWantOfALeader) {
  mutate("/x");
  world_.transport.nodes.clear();
  EXPECT_EQ(mutate("/y"), ErrorCode::kNoLeader);
}

}  // namespace
}  // namespace dogfs::test
