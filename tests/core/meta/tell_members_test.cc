// Chunk servers that fell silent are told who the metadata nodes are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/wire/chunk.pb.h"
#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

using ::testing::UnorderedElementsAre;

// A chunk server that only notes what it is told.
class ToldServer final : public RequestHandler {
 public:
  std::vector<wire::TellMembersRequest> told;

  Task<Reply> handle(Request request, MonoTime) override {
    EXPECT_EQ(request.type, MessageType::kTellMembers);
    told.push_back(parse_message<wire::TellMembersRequest>(request.body).value());
    co_return make_reply(wire::TellMembersReply());
  }
  void receive(Request) override {}
};

TEST(TellMembers, ASilentServerIsToldAndOneThatIsHeardOfIsNot) {
  MetaCluster cluster(3);
  ToldServer silent, loud;
  cluster.world_.add_node("chunk-0").env().transport.serve(silent);
  cluster.world_.add_node("chunk-1").env().transport.serve(loud);
  cluster.open_session();
  cluster.add_servers(2);
  const auto beat = [&] {
    for (size_t i = 0; i < 3; ++i) {
      cluster.ask_node(i, make_request(MessageType::kHeartbeat, GroupId(), cluster.heartbeat_of(cluster.servers_[1])));
    }
  };
  for (Duration passed(0); passed < 6 * cluster.options_.server_silence_limit; passed += seconds(1)) {
    beat();
    cluster.world_.run_for(seconds(1));
  }
  ASSERT_FALSE(silent.told.empty());
  EXPECT_EQ(silent.told.front().server(), cluster.servers_[0].server());
  EXPECT_EQ(silent.told.front().cluster_uuid(), cluster.cluster_uuid_);
  EXPECT_THAT(silent.told.front().meta_nodes(), UnorderedElementsAre("meta-1", "meta-2", "meta-3"));
  EXPECT_LE(silent.told.size(), 6U) << "not more often than servers are looked at";
  EXPECT_TRUE(loud.told.empty());
}

TEST(TellMembers, OfManySilentServersAllAreToldInTurn) {
  MetaCluster cluster(3);
  constexpr int kServers = 40;  // more than are told at a time
  std::vector<ToldServer> servers(kServers);
  for (int i = 0; i < kServers; ++i) {
    cluster.world_.add_node("chunk-" + std::to_string(i)).env().transport.serve(servers[static_cast<size_t>(i)]);
  }
  cluster.open_session();
  cluster.add_servers(kServers);
  cluster.world_.run_for(8 * cluster.options_.server_silence_limit);
  for (const ToldServer& server : servers) EXPECT_FALSE(server.told.empty());
}

}  // namespace
}  // namespace dogfs
