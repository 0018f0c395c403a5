#include "core/client/meta_channel.h"

#include <gtest/gtest.h>

#include "core/wire/meta.pb.h"
#include "tests/core/client/test_world.h"

namespace dogfs::test {
namespace {

const Address kA{"a"};
const Address kB{"b"};
const Address kC{"c"};

Task<Reply> answer_stat() {
  wire::StatReply reply;
  reply.mutable_status()->set_inode(7);
  co_return make_reply(reply);
}

Task<Reply> answer_error(ErrorCode code, Address leader) {
  Reply reply = error_reply(Error(code));
  reply.leader = std::move(leader);
  co_return reply;
}

class MetaChannelTest : public testing::Test {
 protected:
  MetaChannelTest() { set_leader(kA); }

  // `leader` answers, the others name it. An empty address: nobody leads.
  void set_leader(const Address& leader) {
    for (const Address& node : {kA, kB, kC}) {
      world_.transport.nodes[node] = [node, leader](const Request&) {
        return node == leader ? answer_stat() : answer_error(ErrorCode::kNotLeader, leader);
      };
    }
  }

  ErrorCode stat() {
    wire::StatRequest request;
    last_ = world_.run(channel_.ask<wire::StatReply>(MessageType::kStat, request));
    return code_of(*last_);
  }

  World world_;
  MetaChannel channel_{world_.env, MetaChannelOptions{.nodes = {kA, kB, kC}, .principal = "someone"}};
  std::optional<Result<wire::StatReply>> last_;
};

TEST_F(MetaChannelTest, ARedirectLeadsToTheLeaderWithoutAPause) {
  set_leader(kC);
  const MonoTime start = world_.clock.now();
  EXPECT_EQ(stat(), ErrorCode::kOk);
  EXPECT_EQ(last_->value().status().inode(), 7u);
  EXPECT_EQ(world_.transport.calls, 2u);
  EXPECT_LT(world_.clock.now() - start, milliseconds(5));
}

TEST_F(MetaChannelTest, TheLeaderIsRemembered) {
  set_leader(kC);
  stat();
  stat();
  EXPECT_EQ(world_.transport.calls, 3u);
}

TEST_F(MetaChannelTest, DeadNodesArePassedOver) {
  set_leader(kC);
  world_.transport.nodes.erase(kA);
  world_.transport.nodes.erase(kB);
  EXPECT_EQ(stat(), ErrorCode::kOk);
  EXPECT_EQ(channel_.finder().leader(), kC);
}

TEST_F(MetaChannelTest, AnElectionIsWaitedFor) {
  set_leader(Address());
  boost::asio::co_spawn(world_.context.get_executor(), sleep_for(world_.clock, seconds(2)),
                        [this](const std::exception_ptr&) { set_leader(kB); });
  EXPECT_EQ(stat(), ErrorCode::kOk);
}

TEST_F(MetaChannelTest, ALeaderThatIsElectedSoonIsFoundSoon) {
  for (const int election_ms : {250, 350, 450, 550}) {
    set_leader(Address());
    const MonoTime elected = world_.clock.now() + milliseconds(election_ms);
    boost::asio::co_spawn(world_.context.get_executor(), sleep_for(world_.clock, milliseconds(election_ms)),
                          [this](const std::exception_ptr&) { set_leader(kB); });
    EXPECT_EQ(stat(), ErrorCode::kOk);
    EXPECT_LT(world_.clock.now() - elected, milliseconds(90)) << election_ms;
  }
}

// Every node but the leader is replaced, then the leader is, while the client talks to that one alone.
TEST_F(MetaChannelTest, MembersThatCameLaterAreKnownWhenTheLeaderGoes) {
  const Address replacement{"later"};
  uint64_t asked = 0;
  world_.transport.nodes[kA] = [&](const Request& request) -> Task<Reply> {
    if (request.type != MessageType::kMembership) return answer_stat();
    ++asked;
    wire::MembershipReply reply;
    for (const Address& member : {kA, replacement}) reply.add_members()->set_address(member.value);
    return [](wire::MembershipReply message) -> Task<Reply> { co_return make_reply(message); }(reply);
  };
  EXPECT_EQ(stat(), ErrorCode::kOk);
  EXPECT_EQ(asked, 0u) << "a client that ends soon does not ask";
  for (int i = 0; i < 3; ++i) {
    world_.run(sleep_for(world_.clock, seconds(20)));
    EXPECT_EQ(stat(), ErrorCode::kOk);
  }
  EXPECT_EQ(asked, 1u);
  for (const Address& node : {kA, kB, kC}) world_.transport.nodes.erase(node);
  world_.transport.nodes[replacement] = [](const Request&) { return answer_stat(); };
  EXPECT_EQ(stat(), ErrorCode::kOk);
  EXPECT_EQ(channel_.finder().leader(), replacement);
}

TEST_F(MetaChannelTest, WithoutALeaderItGivesUpAfterAWhile) {
  set_leader(Address());
  const MonoTime start = world_.clock.now();
  EXPECT_EQ(stat(), ErrorCode::kNoLeader);
  EXPECT_GE(world_.clock.now() - start, seconds(4));
  EXPECT_LT(world_.clock.now() - start, seconds(5));
}

// What a metadata node answers that knows no leader.
void say_no_leader(World& world, const Address& node) {
  world.transport.nodes[node] = [](const Request&) { return answer_error(ErrorCode::kNoLeader, Address()); };
}

TEST_F(MetaChannelTest, AMajorityThatRefusesConnectionsEndsItAtOnceAndItSaysWho) {
  world_.transport.nodes.erase(kA);
  say_no_leader(world_, kB);
  world_.transport.nodes.erase(kC);
  const MonoTime start = world_.clock.now();
  EXPECT_EQ(stat(), ErrorCode::kNoLeader);
  EXPECT_LT(world_.clock.now() - start, seconds(1));
  EXPECT_NE(last_->error().detail.find("b: knows no leader"), std::string::npos) << last_->error().detail;
  EXPECT_NE(last_->error().detail.find("1 of 3 metadata nodes answered"), std::string::npos) << last_->error().detail;
}

TEST_F(MetaChannelTest, AMinorityThatRefusesConnectionsLeavesAnElectionItsTime) {
  world_.transport.nodes.erase(kA);
  say_no_leader(world_, kB);
  say_no_leader(world_, kC);
  boost::asio::co_spawn(world_.context.get_executor(), sleep_for(world_.clock, seconds(2)),
                        [this](const std::exception_ptr&) { set_leader(kB); });
  EXPECT_EQ(stat(), ErrorCode::kOk);
}

TEST_F(MetaChannelTest, AMajorityThatOnlyRestartsAMomentIsWaitedFor) {
  for (const Address& node : {kA, kB, kC}) world_.transport.nodes.erase(node);
  boost::asio::co_spawn(world_.context.get_executor(), sleep_for(world_.clock, milliseconds(100)),
                        [this](const std::exception_ptr&) { set_leader(kB); });
  EXPECT_EQ(stat(), ErrorCode::kOk);
}

TEST_F(MetaChannelTest, NodesThatHangDoNotUseThePatienceUpBeforeTheLeaderIsAsked) {
  set_leader(kC);
  world_.transport.fate = [](const Address& to, const Request&) {
    return to == kC ? Fate::kDeliver : Fate::kLoseRequest;
  };
  EXPECT_EQ(stat(), ErrorCode::kOk);
}

TEST_F(MetaChannelTest, WhatWasSaidBeforeANodeHungIsNotHeldAgainstALeaderThatWasElectedMeanwhile) {
  set_leader(Address());
  const MonoTime elected = world_.clock.now() + milliseconds(300);
  world_.transport.nodes[kA] = [this, elected](const Request&) {
    return world_.clock.now() >= elected ? answer_stat() : answer_error(ErrorCode::kNoLeader, Address());
  };
  world_.transport.fate = [](const Address& to, const Request&) {
    return to == kC ? Fate::kLoseRequest : Fate::kDeliver;
  };
  MetaChannel channel(
      world_.env,
      MetaChannelOptions{.nodes = {kA, kB, kC}, .principal = "someone", .leaderless_patience = milliseconds(500)});
  wire::StatRequest request;
  EXPECT_EQ(code_of(world_.run(channel.ask<wire::StatReply>(MessageType::kStat, request))), ErrorCode::kOk);
}

TEST_F(MetaChannelTest, ALeaderThatIsSlowIsWaitedForLonger) {
  world_.transport.delay = [](const Address& to, const Request&) {
    return to == kA ? Duration(milliseconds(3500)) : Duration(microseconds(200));
  };
  EXPECT_EQ(stat(), ErrorCode::kOk);
}

TEST_F(MetaChannelTest, ANodeThatHangsLeavesTimeToAskTheOthers) {
  set_leader(kB);
  const MonoTime elected = world_.clock.now() + seconds(7);
  world_.transport.nodes[kA] = [this, elected](const Request&) {
    return world_.clock.now() >= elected ? answer_stat() : answer_error(ErrorCode::kNotLeader, kB);
  };
  world_.transport.fate = [](const Address& to, const Request&) {
    return to == kB ? Fate::kLoseRequest : Fate::kDeliver;
  };
  MetaChannel channel(world_.env,
                      MetaChannelOptions{.nodes = {kA, kB, kC}, .principal = "someone", .timeout = seconds(12)});
  wire::StatRequest request;
  EXPECT_EQ(code_of(world_.run(channel.ask<wire::StatReply>(MessageType::kStat, request))), ErrorCode::kOk);
}

TEST_F(MetaChannelTest, ALeaderThatIsNamedButNeverAnswersEndsInATimeout) {
  set_leader(kA);
  world_.transport.fate = [](const Address& to, const Request&) {
    return to == kA ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const MonoTime start = world_.clock.now();
  EXPECT_EQ(stat(), ErrorCode::kTimeout);
  EXPECT_LE(world_.clock.now() - start, seconds(16));
}

TEST_F(MetaChannelTest, AFinalErrorIsNotRetried) {
  for (const Address& node : {kA, kB, kC}) {
    world_.transport.nodes[node] = [](const Request&) { return answer_error(ErrorCode::kNotFound, Address()); };
  }
  EXPECT_EQ(stat(), ErrorCode::kNotFound);
  EXPECT_EQ(world_.transport.calls, 1u);
}

TEST_F(MetaChannelTest, AnOverloadedLeaderIsAskedAgainLater) {
  auto refusals = std::make_shared<int>(3);
  world_.transport.nodes[kA] = [refusals](const Request&) {
    return (*refusals)-- > 0 ? answer_error(ErrorCode::kOverloaded, Address()) : answer_stat();
  };
  EXPECT_EQ(stat(), ErrorCode::kOk);
}

TEST_F(MetaChannelTest, EveryRequestNamesItsPrincipal) {
  std::string principal;
  world_.transport.fate = [&](const Address&, const Request& request) {
    principal = request.principal;
    return Fate::kDeliver;
  };
  stat();
  EXPECT_EQ(principal, "someone");
}

TEST_F(MetaChannelTest, AnyNodeAnswersWhatIsAskedOfAny) {
  set_leader(kC);
  world_.transport.nodes.erase(kA);
  world_.transport.nodes[kB] = [](const Request&) { return answer_stat(); };
  Request request = make_request(MessageType::kClusterStatus, GroupId(), wire::ClusterStatusRequest());
  const Result<Reply> reply = world_.run(channel_.call_any(std::move(request)));
  EXPECT_EQ(code_of(reply), ErrorCode::kOk);
}

}  // namespace
}  // namespace dogfs::test
