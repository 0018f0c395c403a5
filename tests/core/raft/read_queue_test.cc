#include "core/raft/read_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace dogfs::raft {
namespace {

using testing::ElementsAre;

TEST(ReadQueue, ReadsThatComeDuringARoundWaitForTheNext) {
  ReadQueue queue;
  EXPECT_FALSE(queue.wants_round());
  queue.add(1);
  queue.begin_round(LogIndex(5));
  queue.add(2);
  queue.add(3);
  EXPECT_FALSE(queue.wants_round()) << "one round at a time";
  const auto first = queue.confirm(1);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->index, LogIndex(5));
  EXPECT_THAT(first->contexts, ElementsAre(1));
  queue.begin_round(LogIndex(9));
  EXPECT_FALSE(queue.confirm(1).has_value()) << "an earlier round proves nothing";
  const auto second = queue.confirm(2);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->index, LogIndex(9));
  EXPECT_THAT(second->contexts, ElementsAre(2, 3));
  EXPECT_FALSE(queue.confirm(2).has_value()) << "a read completes once";
}

TEST(ReadQueue, TakeAllGivesUpWhatWaitsAndWhatIsUnderWay) {
  ReadQueue queue;
  queue.add(1);
  queue.begin_round(LogIndex(1));
  queue.add(2);
  EXPECT_THAT(queue.take_all(), ElementsAre(1, 2));
  EXPECT_FALSE(queue.wants_round());
  EXPECT_FALSE(queue.confirm(1).has_value());
}

// Model: the reads that have come and are not answered, each with the first round that begins after it came.
RC_GTEST_PROP(ReadQueue, AReadIsAnsweredOnceByTheFirstRoundThatBeganAfterItCame, ()) {
  struct Open {
    uint64_t context;
    uint64_t round;
  };
  ReadQueue queue;
  std::vector<Open> open;
  uint64_t reads = 0;
  LogIndex commit;
  const auto take = [&open](uint64_t up_to) {
    std::vector<uint64_t> taken;
    std::erase_if(open, [&](const Open& each) {
      if (each.round <= up_to) taken.push_back(each.context);
      return each.round <= up_to;
    });
    return taken;
  };
  for (int i = 0; i < 100; ++i) {
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        RC_ASSERT(queue.take_all() == take(UINT64_MAX));
        break;
      case 1:
      case 2:
      case 3:
        open.push_back(Open{++reads, queue.round() + 1});
        queue.add(reads);
        break;
      case 4:
      case 5: {
        const bool under_way = !open.empty() && open.front().round == queue.round();
        RC_ASSERT(queue.wants_round() == (!under_way && !open.empty()));
        if (!queue.wants_round()) break;
        commit = LogIndex(*rc::gen::inRange<uint64_t>(1, 100));
        queue.begin_round(commit);
        break;
      }
      default: {
        const uint64_t answered = *rc::gen::inRange<uint64_t>(0, queue.round() + 1);
        const std::optional<CompletedReads> done = queue.confirm(answered);
        const std::vector<uint64_t> expected = answered == queue.round() ? take(answered) : std::vector<uint64_t>();
        RC_ASSERT(done.has_value() == !expected.empty());
        if (!done) break;
        RC_ASSERT(done->contexts == expected);
        RC_ASSERT(done->index == commit);
      }
    }
  }
}

}  // namespace
}  // namespace dogfs::raft
