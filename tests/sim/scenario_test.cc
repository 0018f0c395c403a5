#include "sim/scenario.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "sim/faults.h"
#include "sim/selector.h"

namespace dogfs::sim {
namespace {

TEST(Scenario, WhatIsLeftOpenHasDefaults) {
  const proto::Scenario scenario = parse_scenario("meta_nodes: 5").value();
  EXPECT_EQ(scenario.meta_nodes(), 5U);
  EXPECT_EQ(scenario.chunk_servers(), 9U);
  EXPECT_EQ(scenario.policy().data_shards(), 6U);
  EXPECT_EQ(scenario.policy().block_bytes(), 96U * 1024);
}

TEST(Scenario, WhatIsWrongIsToldWithItsPlace) {
  const auto error = [](const std::string& text) { return parse_scenario(text).error().detail; };
  EXPECT_NE(error("meta_nodes: 3\n  nonsense: 1").find("line 2"), std::string::npos);
  EXPECT_NE(error("faults { crash { nodes: \"everybody\" } }").find("everybody"), std::string::npos);
  EXPECT_NE(error("faults { crash { nodes: \"rest\" } }").find("rest"), std::string::npos);
  EXPECT_NE(error("faults { partition { a: \"rest\" b: \"rest\" } }").find("both"), std::string::npos);
  EXPECT_NE(error("faults { at_ms: 1 }").find("kind"), std::string::npos);
  EXPECT_NE(error("meta_disk { snapshot_part_bytes: 1048577 }").find("snapshot_part_bytes"), std::string::npos);
  EXPECT_NE(error("fault_classes { fault { network {} } }").find("mean_interval_ms"), std::string::npos);
  EXPECT_NE(error("policy { block_bytes: 1000 }").find("a block of 1000 bytes"), std::string::npos);
  EXPECT_NE(error("faults { disk_full { nodes: \"rest\" } }").find("rest"), std::string::npos);
  EXPECT_NE(error("faults { slow_disk { nodes: \"all\" min_us: 2 max_us: 1 } }").find("min_us"), std::string::npos);
  EXPECT_NE(error("meta_nodes: 1000").find("nodes"), std::string::npos);
  EXPECT_NE(error("meta_nodes: 3 spare_meta_nodes: 98").find("spare"), std::string::npos);
  EXPECT_NE(error("faults { replace_meta { nodes: \"rest\" } }").find("rest"), std::string::npos);
  EXPECT_NE(error("faults { drain_server { nodes: \"everybody\" } }").find("everybody"), std::string::npos);
  EXPECT_NE(error("faults { drain_server { nodes: \"chunk\" stay_ms: 30001 } }").find("stay_ms"), std::string::npos);
  for (const char* part : {"pauses", "lease_recoveries", "policy_changes", "range_reads"}) {
    EXPECT_NE(error(fmt::format("work {{ {}_per_hundred: 101 }}", part)).find("hundred"), std::string::npos) << part;
  }
  EXPECT_NE(error("work { longest_pause_ms: 30001 }").find("longest_pause_ms"), std::string::npos);
  EXPECT_NE(error("faults { balance_servers { nodes: \"chunk-1\" } }").find("threshold_percent"), std::string::npos);
  EXPECT_NE(
      error("faults { balance_servers { nodes: \"chunk-1\" threshold_percent: 1 most_ms: 30001 } }").find("most_ms"),
      std::string::npos);
  const auto maintenance = [&error](const std::string& how) {
    return error("faults { maintain_server { " + how + " } }");
  };
  EXPECT_NE(maintenance("nodes: \"chunk-1\"").find("announced_ms"), std::string::npos);
  EXPECT_NE(maintenance("nodes: \"rest\" announced_ms: 9").find("rest"), std::string::npos);
  EXPECT_NE(maintenance("nodes: \"chunk-1\" announced_ms: 30001").find("announced_ms"), std::string::npos);
  EXPECT_NE(maintenance("nodes: \"chunk-1\" announced_ms: 9 away_ms: 30001").find("away_ms"), std::string::npos);
}

TEST(Scenario, WhatIsWrongIsToldWithItsField) {
  const auto error = [](const std::string& text) { return parse_scenario(text).error().detail; };
  EXPECT_EQ(error("faults { partition { a: \"leader\" } }"), "partition: b: which nodes is not said");
  EXPECT_EQ(error("faults { crash { nodes: \"rest\" } }"), "crash: nodes: \"rest\" is for one side of a partition");
  EXPECT_EQ(error("faults { pause { nodes: \"everybody\" } }"), "pause: nodes: no such nodes: \"everybody\"");
  EXPECT_EQ(error("meta_disk { sync_min_us: 100 sync_max_us: 10 }"), "meta_disk: sync_min_us > sync_max_us");
  EXPECT_EQ(error("network { delay_min_us: 2 delay_max_us: 1 }"), "network: delay_min_us > delay_max_us");
}

TEST(Scenario, NoMoreThanAMillionInAMillion) {
  const auto error = [](const std::string& text) { return parse_scenario(text).error().detail; };
  for (const char* part : {"loss", "duplicate", "reorder"}) {
    const std::string network = fmt::format("network {{ {}_per_million: 1000001 }}", part);
    EXPECT_EQ(error(network), fmt::format("Network: {}_per_million is more than a million", part));
    EXPECT_NE(error("faults { " + network + " }").find(part), std::string::npos);
  }
  EXPECT_NE(error("faults { network { corrupt_per_million: 1000001 } }").find("corrupt"), std::string::npos);
  for (const char* kind : {"disk_read_errors", "disk_write_errors", "misdirected_writes", "misdirected_reads"}) {
    const auto fault = [kind](uint32_t parts) {
      return fmt::format("fault {{ {} {{ nodes: \"chunk\" per_million: {} }} }}", kind, parts);
    };
    EXPECT_NE(error("fault_classes { mean_interval_ms: 9 " + fault(1'000'001) + " }").find("per_million"),
              std::string::npos)
        << kind;
    EXPECT_TRUE(parse_scenario("fault_classes { mean_interval_ms: 9 " + fault(1'000'000) + " }").has_value()) << kind;
  }
}

TEST(Scenario, PausesEndInTime) {
  const auto error = [](const std::string& text) { return parse_scenario(text).error().detail; };
  const std::string pause = "pause { nodes: \"leader\" }";
  EXPECT_TRUE(parse_scenario("faults { for_ms: 30000 " + pause + " }").has_value());
  EXPECT_EQ(error("faults { for_ms: 4000000000 " + pause + " }"), "pause: for 4000000000 ms, of at most 30000");
  EXPECT_EQ(error("fault_classes { mean_interval_ms: 9 for_max_ms: 30001 fault { " + pause + " } }"),
            "pause: for 30001 ms, of at most 30000");
}

TEST(Scenario, ThereAreServersForABlock) {
  EXPECT_EQ(parse_scenario("chunk_servers: 6").error().detail,
            "chunk_servers: 6, where a block of RS(6,3) takes 7 to be stored");
  EXPECT_TRUE(parse_scenario("chunk_servers: 7").has_value());
}

TEST(Scenario, AnEmptyFileIsAllDefaults) {
  const std::string path = testing::TempDir() + "/empty.textproto";
  std::ofstream(path).close();
  const Result<proto::Scenario> scenario = load_scenario("", path);
  ASSERT_TRUE(scenario.has_value()) << scenario.error().to_string();
  EXPECT_EQ(scenario.value().chunk_servers(), 9U);
  EXPECT_FALSE(load_scenario("", path + ".not").has_value());
}

TEST(Scenario, NumbersThatArithmeticDoesNotBearAreRefused) {
  const auto error = [](const std::string& text) { return parse_scenario(text).error().detail; };
  EXPECT_NE(error("policy { data_shards: 2 cell_bytes: 9223372036854775808 }").find("a cell of"), std::string::npos);
  EXPECT_NE(error("policy { cell_bytes: 4097 }").find("a cell of 4097 bytes"), std::string::npos);
  EXPECT_NE(error("faults { clock_drift { nodes: \"all\" parts_per_million: -2147483648 } }").find("clock_drift"),
            std::string::npos);
}

TEST(Selector, NamesRolesClassesAndDraws) {
  for (const char* good : {"leader", "followers", "minority", "meta", "chunk", "client", "all", "rest", "nobody",
                           "meta-2", "chunk-11", "meta-1 chunk-3 client-2", "random 1 chunk", "random 2 all"}) {
    EXPECT_TRUE(validate_selector(good).has_value()) << good;
  }
  for (const char* bad : {"", "meta-", "meta-x", "all-1", "meta-1  meta-2", "meta-1 leader", "meta-1 ", "random chunk",
                          "random 0 chunk", "random 2 leader", "random 1"}) {
    EXPECT_FALSE(validate_selector(bad).has_value()) << bad;
  }
}

TEST(Selector, WhatIsLeftToChanceIsDrawnAsNames) {
  const auto draw = [](const std::string& text, const ClassSizes& sizes) {
    RandomStream draws(StreamKey(4));
    return draw_selector(text, sizes, draws);
  };
  for (const char* certain : {"leader", "followers", "all", "rest", "meta-2 chunk-7"}) {
    EXPECT_EQ(draw(certain, {3, 9, 2}), certain);
  }
  EXPECT_EQ(draw("random 3 chunk", {3, 9, 2}), draw("random 3 chunk", {5, 9, 4}));
  EXPECT_TRUE(draw("random 1 client", {3, 9, 2}).starts_with("client-"));
  EXPECT_EQ(draw("random 4 all", {1, 1, 2}), "meta-1 chunk-1 client-1 client-2");
  EXPECT_EQ(draw("random 100 meta", {2, 1, 1}), "meta-1 meta-2");
  EXPECT_EQ(draw("random 100 meta", {2, 1, 1, 2}), "meta-1 meta-2 meta-3 meta-4") << "the spare ones, too";
  EXPECT_EQ(draw("minority", {2, 1, 1, 2}), "nobody") << "of the two that the cluster begins with";
  EXPECT_TRUE(draw("minority", {3, 9, 2}).starts_with("meta-"));
  EXPECT_EQ(draw("minority", {1, 9, 2}), "nobody");
  EXPECT_EQ(draw("random rack", {3, 4, 2}), "chunk-1 chunk-2 chunk-3 chunk-4") << "all in one";
}

TEST(Selector, ARackIsWhoStandsInIt) {
  std::set<std::string> drawn;
  RandomStream draws(StreamKey(4));
  for (int i = 0; i < 50; ++i) drawn.insert(draw_selector("random rack", {3, 7, 2, 0, 3}, draws));
  EXPECT_EQ(drawn, (std::set<std::string>{"chunk-1 chunk-4 chunk-7", "chunk-2 chunk-5", "chunk-3 chunk-6"}));
}

TEST(FaultPlan, IsAFunctionOfTheSeed) {
  const proto::Scenario scenario = parse_scenario(R"(
    work { for_ms: 10000 }
    faults { at_ms: 500 for_ms: 100 partition { a: "leader" b: "rest" } }
    fault_classes { mean_interval_ms: 300 for_min_ms: 50 for_max_ms: 60 fault { crash { nodes: "random 1 chunk" } } }
  )")
                                       .value();
  const auto plan = [&scenario](uint64_t seed) {
    std::string text;
    for (const PlannedFault& planned : plan_faults(scenario, seed)) text += describe_fault(planned.fault) + "\n";
    return text;
  };
  EXPECT_EQ(plan(1), plan(1));
  EXPECT_NE(plan(1), plan(2));
  EXPECT_NE(plan(1).find("at 500 ms for 100 ms: partition leader | rest"), std::string::npos);
  const size_t planned = plan_faults(scenario, 1).size();
  EXPECT_GT(planned, 20U);
  EXPECT_LT(planned, 60U);
}

TEST(FaultPlan, WhatOperatorsOfChunkServersDoIsDescribed) {
  const proto::Scenario scenario = parse_scenario(R"(
    faults { at_ms: 1 drain_server { nodes: "chunk-1" } }
    faults { at_ms: 2 drain_server { nodes: "chunk-2" remove: true } }
    faults { at_ms: 3 maintain_server { nodes: "chunk-3" announced_ms: 500 away_ms: 400 } }
    faults { at_ms: 4 maintain_server { nodes: "chunk-4" announced_ms: 500 away_ms: 900 runs_out: true } }
  )")
                                       .value();
  std::string text;
  for (const PlannedFault& planned : plan_faults(scenario, 1)) text += describe_fault(planned.fault) + "\n";
  EXPECT_EQ(text,
            "at 1 ms for 0 ms: drain of chunk-1, which returns\n"
            "at 2 ms for 0 ms: drain of chunk-2, which is removed\n"
            "at 3 ms for 0 ms: maintenance of chunk-3 for 500 ms, away for 400 ms\n"
            "at 4 ms for 0 ms: maintenance of chunk-4 for 500 ms, away for 900 ms, which runs out\n");
}

TEST(FaultPlan, AClassDrawsTheSameWhateverOthersThereAre) {
  const std::string chunk = R"(fault_classes { mean_interval_ms: 300 for_min_ms: 50 for_max_ms: 900
    fault { crash { nodes: "random 1 chunk" } } })";
  const std::string more = chunk + "faults { at_ms: 1 for_ms: 1 network {} }";
  const auto crashes = [](const std::string& text) {
    std::vector<uint64_t> streams;
    for (const PlannedFault& planned : plan_faults(parse_scenario(text).value(), 3)) {
      if (planned.fault.has_crash()) streams.push_back(planned.stream);
    }
    return streams;
  };
  EXPECT_EQ(crashes(chunk), crashes(more));
}

TEST(FaultPlan, AnExplicitListLeavesNothingToDraw) {
  const proto::Scenario scenario = parse_scenario(R"(
    faults { at_ms: 500 for_ms: 100 partition { a: "minority" b: "rest" } }
    fault_classes { mean_interval_ms: 900 for_min_ms: 50 for_max_ms: 60 fault { crash { nodes: "random 2 all" } } }
    fault_classes { mean_interval_ms: 900 for_min_ms: 50 for_max_ms: 60 fault { network { loss_per_million: 5 } } }
  )")
                                       .value();
  const proto::Scenario expanded = with_explicit_faults(scenario, 6);
  EXPECT_EQ(expanded.fault_classes_size(), 0);
  EXPECT_GT(expanded.faults_size(), 20);
  EXPECT_EQ(expanded.DebugString().find("random"), std::string::npos);
  EXPECT_EQ(expanded.DebugString().find("minority"), std::string::npos);
  // Another seed changes none of it, and taking one away none of the others.
  EXPECT_EQ(with_explicit_faults(expanded, 7).DebugString(), expanded.DebugString());
  proto::Scenario fewer = expanded;
  fewer.mutable_faults()->DeleteSubrange(0, 1);
  EXPECT_EQ(with_explicit_faults(fewer, 6).DebugString(), fewer.DebugString());
}

}  // namespace
}  // namespace dogfs::sim
