#include "core/raft/progress.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace dogfs::raft {
namespace {

constexpr FlowLimits kFlow{3, 100};

Progress replicating(LogIndex match) {
  Progress progress(kFlow, match.next(), MonoTime());
  progress.accepted(match);
  return progress;
}

TEST(Progress, AProbeIsSentOnceUntilItIsAnswered) {
  Progress progress(kFlow, LogIndex(5), MonoTime());
  EXPECT_TRUE(progress.may_send());
  progress.sent(LogIndex(6), 10);
  EXPECT_FALSE(progress.may_send());
  EXPECT_EQ(progress.next(), LogIndex(5)) << "a probe is not counted on";
  progress.allow_probe();
  EXPECT_TRUE(progress.may_send());
}

TEST(Progress, AnAcceptedProbeOpensThePipeline) {
  Progress progress(kFlow, LogIndex(5), MonoTime());
  progress.sent(LogIndex(6), 10);
  EXPECT_TRUE(progress.accepted(LogIndex(6)));
  EXPECT_EQ(progress.state(), Progress::State::kReplicate);
  progress.sent(LogIndex(7), 10);
  EXPECT_EQ(progress.next(), LogIndex(8));
}

TEST(Progress, TheWindowClosesByMessagesAndByBytes) {
  Progress by_messages = replicating(LogIndex(1));
  for (uint64_t i = 2; i <= 4; ++i) {
    EXPECT_TRUE(by_messages.may_send());
    by_messages.sent(LogIndex(i), 1);
  }
  EXPECT_FALSE(by_messages.may_send());
  EXPECT_TRUE(by_messages.accepted(LogIndex(2)));
  EXPECT_TRUE(by_messages.may_send());

  Progress by_bytes = replicating(LogIndex(1));
  by_bytes.sent(LogIndex(2), 100);
  EXPECT_FALSE(by_bytes.may_send());
}

TEST(Progress, ARejectionMovesNextToTheHint) {
  Progress progress(kFlow, LogIndex(10), MonoTime());
  progress.sent(LogIndex(10), 1);
  EXPECT_TRUE(progress.rejected(LogIndex(9), LogIndex(4)));
  EXPECT_EQ(progress.next(), LogIndex(5));
  EXPECT_TRUE(progress.may_send());
}

TEST(Progress, AHintAboveTheRejectedPlaceStillGoesBack) {
  Progress progress(kFlow, LogIndex(10), MonoTime());
  EXPECT_TRUE(progress.rejected(LogIndex(9), LogIndex(50)));
  EXPECT_EQ(progress.next(), LogIndex(9));
}

TEST(Progress, OldRejectionsChangeNothing) {
  Progress probing(kFlow, LogIndex(10), MonoTime());
  EXPECT_FALSE(probing.rejected(LogIndex(3), LogIndex(1)));
  EXPECT_EQ(probing.next(), LogIndex(10));
  Progress pipelined = replicating(LogIndex(8));
  EXPECT_FALSE(pipelined.rejected(LogIndex(8), LogIndex(1))) << "what matches cannot be rejected (CCF #5991)";
  EXPECT_EQ(pipelined.state(), Progress::State::kReplicate);
  EXPECT_EQ(pipelined.match(), LogIndex(8));
}

TEST(Progress, AFollowerThatDeniesWhatItAcknowledgedIsNotAskedAgainAtOnce) {
  Progress progress = replicating(LogIndex(8));
  progress.sent(LogIndex(9), 1);
  EXPECT_TRUE(progress.rejected(LogIndex(9), LogIndex(2)));
  EXPECT_EQ(progress.next(), LogIndex(9)) << "never below what matched";
  progress.sent(LogIndex(9), 1);
  EXPECT_FALSE(progress.rejected(LogIndex(8), LogIndex(2)));
  EXPECT_FALSE(progress.may_send());
}

TEST(Progress, NothingIsSentWhileEntriesAreFetched) {
  Progress progress = replicating(LogIndex(1));
  progress.begin_fetch();
  EXPECT_FALSE(progress.may_send());
  progress.end_fetch();
  EXPECT_TRUE(progress.may_send());
}

// Whatever comes in whatever order: match < next, match never falls, the window stays within its limits.
RC_GTEST_PROP(Progress, KeepsItsInvariant, ()) {
  Progress progress(kFlow, LogIndex(*rc::gen::inRange<uint64_t>(1, 20)), MonoTime());
  for (int i = 0; i < 100; ++i) {
    const LogIndex before = progress.match();
    const LogIndex any(*rc::gen::inRange<uint64_t>(0, 40));
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        if (progress.may_send()) progress.sent(LogIndex(std::max(any, progress.next())), 30);
        break;
      case 1:
        progress.accepted(any);
        break;
      case 2:
        progress.rejected(any, LogIndex(*rc::gen::inRange<uint64_t>(0, 40)));
        break;
      default:
        progress.allow_probe();
    }
    RC_ASSERT(progress.match() < progress.next());
    RC_ASSERT(progress.match() >= before);
    RC_ASSERT(progress.inflight().count() <= kFlow.max_inflight_appends);
  }
}

// Model: everything that is under way, one by one.
RC_GTEST_PROP(ByteWindow, CountsWhatIsUnderWay, ()) {
  ByteWindow window;
  std::map<LogIndex, size_t> model;
  LogIndex last;
  for (int i = 0; i < 100; ++i) {
    const int move = *rc::gen::inRange(0, 12);
    if (move == 0) {
      window.clear();
      model.clear();
    } else if (move < 5) {
      const LogIndex done(*rc::gen::inRange<uint64_t>(0, last.value() + 3));
      window.release_up_to(done);
      std::erase_if(model, [done](const auto& part) { return part.first <= done; });
    } else {
      last = LogIndex(last.value() + *rc::gen::inRange<uint64_t>(1, 4));
      const size_t bytes = *rc::gen::inRange<size_t>(0, 50);
      window.add(last, bytes);
      model.emplace(last, bytes);
    }
    size_t bytes = 0;
    for (const auto& [index, each] : model) bytes += each;
    RC_ASSERT(window.count() == model.size());
    RC_ASSERT(window.bytes() == bytes);
  }
}

}  // namespace
}  // namespace dogfs::raft
