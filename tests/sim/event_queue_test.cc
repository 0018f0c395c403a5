#include "sim/event_queue.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/random.h"

namespace dogfs::sim {
namespace {

using Entry = EventQueue::Entry;

TEST(EventQueue, AnswersAsASortedSetDoes) {
  RandomStream draws(StreamKey(1).with("test"));
  EventQueue queue;
  std::set<Entry> model;
  for (uint32_t step = 0; step < 20'000; ++step) {
    // It grows to some hundreds, and is emptied, again and again.
    const bool grows = step / 1'000 % 2 == 0;
    if (model.empty() || draws.below(10) < (grows ? 7U : 3U)) {
      const Entry entry{static_cast<int64_t>(draws.below(50)), draws.below(4), step, step};
      queue.push(entry);
      model.insert(entry);
    } else {
      EXPECT_EQ(queue.front().sequence, model.begin()->sequence);
      EXPECT_EQ(queue.pop().sequence, model.begin()->sequence);
      model.erase(model.begin());
    }
    ASSERT_EQ(queue.empty(), model.empty());
  }
}

TEST(EventQueue, TimeCountsBeforeTheTieAndTheTieBeforeTheOrder) {
  EventQueue queue;
  queue.push({2, 0, 1, 10});
  queue.push({1, 9, 2, 11});
  queue.push({1, 3, 4, 12});
  queue.push({1, 3, 3, 13});
  std::vector<uint32_t> order;
  while (!queue.empty()) order.push_back(queue.pop().slot);
  EXPECT_EQ(order, (std::vector<uint32_t>{13, 12, 11, 10}));
}

}  // namespace
}  // namespace dogfs::sim
