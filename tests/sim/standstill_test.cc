// Clusters that cannot get on, and what is said of them.
#include "sim/standstill.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/run.h"
#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

std::string failure_of(const std::string& scenario, uint64_t seed = 1) {
  return Run(parse_scenario(scenario).value(), seed, nullptr).execute().failure.value_or("none");
}

bool says(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

TEST(Standstill, OfAGroupWithoutItsMajorityNamesWhoIsLeftAndHowFarTheyAre) {
  const std::string failure = failure_of(R"(
    chunk_servers: 3 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 1000 } converge_within_ms: 5000
    faults { at_ms: 300 for_ms: 1 crash { nodes: "meta-1 meta-3" forever: true } })");
  EXPECT_TRUE(failure.starts_with("liveness: the recovery of the cluster is not done after 5000 ms\n")) << failure;
  EXPECT_TRUE(says(failure, "\n  nobody leads; 1 of 3 metadata nodes are up")) << failure;
  EXPECT_TRUE(says(failure, "\n  meta-1 (node 1) is gone for good")) << failure;
  EXPECT_TRUE(says(failure, "\n  meta-2 (node 2): ")) << failure;
  EXPECT_TRUE(says(failure, " of term ") && says(failure, ", committed ") && says(failure, ", applied ")) << failure;
}

TEST(Standstill, OfAClientSaysWhatItIsAtAndWhoseAnswerItAwaits) {
  // Nothing is wrong, but nobody looks through so many files in so little time.
  const std::string failure = failure_of(R"(
    chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 }
    work { for_ms: 500 files_before_faults: 12 } converge_within_ms: 8)");
  EXPECT_TRUE(failure.starts_with("liveness: the verification by the clients is not done after 8 ms\n")) << failure;
  EXPECT_TRUE(says(failure, "\n  at work: client-1: verify /client-1/")) << failure;
  EXPECT_TRUE(says(failure, " ms (awaits ")) << failure;
  EXPECT_TRUE(says(failure, " of meta-") || says(failure, " of chunk-")) << failure;
}

TEST(Standstill, NamesTheFaultsUnderWayAndTheLinksThatAreCut) {
  World world;
  Verdict verdict{world.trace()};
  Cluster cluster{world, verdict, {.chunk_servers = 30}};
  const Atlas atlas{cluster};
  world.network().block(cluster.meta_nodes()[0]->index(), cluster.meta_nodes()[1]->index());
  const std::string text =
      explain_standstill({.cluster = cluster, .atlas = atlas, .clients = {}, .faults = {"a", "b", "c", "d", "e", "f"}});
  EXPECT_TRUE(text.starts_with("\n  under way: a, b, c, d and 2 more\n  cut: meta-1 > meta-2\n")) << text;
  EXPECT_TRUE(says(text, "chunk servers: chunk-1 is ") && says(text, " and 26 more")) << text;
  for (Node* node : cluster.all_nodes()) node->crash(CrashKind::kProcess);
}

TEST(Standstill, OfABlockSaysWhichShardsItLacksAndWhyNobodyTakesThem) {
  const std::string failure = failure_of(R"(
    chunk_servers: 3 clients: 1 policy { data_shards: 2 parity_shards: 1 }
    work { for_ms: 1500 files_before_faults: 6 } heal_within_ms: 60000
    faults { at_ms: 1400 for_ms: 1 crash { nodes: "chunk-3" forever: true } })");
  EXPECT_TRUE(failure.starts_with("heal: not whole again: block ")) << failure;
  EXPECT_TRUE(says(failure, "chunk-3 is gone for good")) << failure;
  EXPECT_TRUE(says(failure, " lacks ") && says(failure, "(on chunk-3, UNREACHABLE)")) << failure;
  EXPECT_TRUE(says(failure, "no live server is without a shard of it")) << failure;
  EXPECT_TRUE(says(failure, "TOO_FEW_SERVERS")) << failure;
  EXPECT_LE(std::ranges::count(failure, '\n'), 20) << failure;
}

}  // namespace
}  // namespace dogfs::sim
