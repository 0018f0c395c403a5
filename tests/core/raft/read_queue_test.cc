#include "core/raft/read_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace dogfs::raft
