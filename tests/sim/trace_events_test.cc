#include "sim/trace_events.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "sim/html.h"
#include "sim/run.h"
#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

// Nearly every fate that a message can have.
const char* const kRough = R"(
  work { for_ms: 4000 }
  network { delay_min_us: 100 delay_max_us: 2000 loss_per_million: 5000 duplicate_per_million: 20000
            reorder_per_million: 20000 reorder_max_ms: 20 }
  faults { at_ms: 500 for_ms: 600 crash { nodes: "chunk-3" power: true } }
  faults { at_ms: 700 for_ms: 900 partition { a: "leader" b: "followers" } }
  faults { at_ms: 2500 for_ms: 300 crash { nodes: "client-1" } }
)";

struct Recorded {
  Recording recording;
  RunResult result;
};

std::unique_ptr<Recorded> record(const std::string& text, uint64_t seed) {
  const proto::Scenario scenario = parse_scenario(text).value();
  auto recorded = std::make_unique<Recorded>();
  recorded->result = Run(scenario, seed, nullptr, &recorded->recording).execute();
  return recorded;
}

uint64_t digest_without(const std::string& text, uint64_t seed) {
  const proto::Scenario scenario = parse_scenario(text).value();
  return Run(scenario, seed, nullptr).execute().digest;
}

TEST(Recording, DoesNotChangeTheRun) {
  EXPECT_EQ(record(kRough, 3)->result.digest, digest_without(kRough, 3));
}

TEST(Recording, TellsWhatBecameOfEachMessage) {
  const auto recorded = record(kRough, 3);
  std::set<Fate> fates;
  bool doubled = false;
  for (const MessageEvent& message : recorded->recording.messages()) {
    fates.insert(message.fate);
    doubled = doubled || message.duplicate;
    EXPECT_TRUE(message.end >= message.sent);
    EXPECT_EQ(message.fate == Fate::kUnderWay, message.end == kUnended);
  }
  for (const Fate fate : {Fate::kDelivered, Fate::kLate, Fate::kLost, Fate::kCut, Fate::kRefused}) {
    EXPECT_TRUE(fates.contains(fate)) << static_cast<int>(fate);
  }
  EXPECT_TRUE(doubled);
}

TEST(Recording, TellsWhichMessagesWereDamaged) {
  const auto recorded = record(R"(
    work { for_ms: 2000 }
    faults { at_ms: 500 for_ms: 1000 network { delay_min_us: 100 delay_max_us: 2000 corrupt_per_million: 20000 } }
  )",
                               3);
  const std::vector<MessageEvent>& messages = recorded->recording.messages();
  const auto damaged = std::ranges::count(messages, Fate::kDamaged, &MessageEvent::fate);
  EXPECT_GT(damaged, 0);
  EXPECT_LT(damaged, static_cast<std::ptrdiff_t>(messages.size() / 10));
}

TEST(Recording, TellsRolesFaultsLivesAndSyncs) {
  const auto recorded = record(kRough, 3);
  const Recording& recording = recorded->recording;
  EXPECT_EQ(recording.faults().size(), 3U);
  for (const FaultEvent& fault : recording.faults()) EXPECT_NE(fault.end, kUnended);
  EXPECT_EQ(recording.faults()[0].nodes.size(), 1U);
  EXPECT_EQ(recording.texts()[recording.faults()[0].who], "chunk-3");
  std::set<Term> terms_led;
  for (const MemberEvent& member : recording.members()) {
    if (member.role == RaftRole::kLeader) terms_led.insert(member.term);
    EXPECT_LE(member.applied, member.commit);
  }
  EXPECT_GE(terms_led.size(), 2U) << "the leader was cut off";
  EXPECT_TRUE(std::any_of(recording.lives().begin(), recording.lives().end(),
                          [](const LifeEvent& life) { return life.change == LifeChange::kLosesPower; }));
  EXPECT_FALSE(recording.syncs().empty());
  EXPECT_FALSE(recording.logs().empty());
}

TEST(Recording, TellsHowEachOperationEnded) {
  const auto recorded = record(kRough, 3);
  size_t succeeded = 0;
  for (const OperationEvent& operation : recorded->recording.operations()) {
    EXPECT_EQ(operation.outcome == Outcome::kFailed, operation.error != 0);
    succeeded += operation.outcome == Outcome::kOk ? 1 : 0;
  }
  EXPECT_GE(succeeded, recorded->result.operations - recorded->result.failed_operations - 1);
}

TEST(Recording, AnOperationOfAClientThatDiesIsNeverFinished) {
  Recording recording;
  recording.add_node(1, "client-1");
  recording.operation_is(recording.operation_begins(VirtualTime(seconds(1)), "client-1"), "write /f");
  recording.life_changed(VirtualTime(seconds(2)), 1, LifeChange::kKilled);
  ASSERT_EQ(recording.operations().size(), 1U);
  EXPECT_EQ(recording.operations()[0].outcome, Outcome::kUnfinished);
  EXPECT_EQ(recording.operations()[0].end, VirtualTime(seconds(2)));
}

TEST(Recording, KeepsNoMoreThanItMay) {
  Recording recording(2);
  recording.add_node(1, "meta-1");
  for (int i = 0; i < 4; ++i) recording.synced(VirtualTime(seconds(i)), VirtualTime(seconds(i + 1)), 1);
  EXPECT_EQ(recording.syncs().size(), 2U);
  EXPECT_TRUE(recording.truncated());
  EXPECT_EQ(recording.operation_begins(VirtualTime(), "meta-1"), 0U);
  recording.operation_ends(0, VirtualTime(), ok());
}

TEST(HtmlPage, NoTextOfTheRunEndsItsData) {
  Recording recording;
  recording.add_node(1, "meta-1");
  recording.logged(VirtualTime(), "meta-1", LogLevel::kInfo, "</script> \"quoted\" \\ and \n\x01\xff");
  const RunTitle title{.scenario = "</title>", .shows = "a</script>", .seed = 7, .mutant = "", .command = ""};
  const std::string page = html_page(title, {}, recording);
  const auto count = [&page](const std::string& what) {
    size_t found = 0;
    for (size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("</script>"), 2U);
  EXPECT_EQ(count("</title>"), 1U);
  EXPECT_NE(page.find(R"(\u003c/script> \"quoted\" \\ and \u000a\u0001\u00ff)"), std::string::npos);
}

}  // namespace
}  // namespace dogfs::sim
