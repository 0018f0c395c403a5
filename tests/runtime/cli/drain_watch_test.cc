#include "runtime/cli/drain_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dogfs::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

wire::ChunkServerInfo server(int64_t blocks, uint64_t nowhere_to_go, uint64_t busy = 0) {
  wire::ChunkServerInfo info;
  info.set_blocks(blocks);
  const auto add = [&info](wire::RepairHindrance::Reason reason, uint64_t shards) {
    if (shards == 0) return;
    wire::RepairHindrance& hindrance = *info.add_hindrances();
    hindrance.set_reason(reason);
    hindrance.set_shards(shards);
  };
  add(wire::RepairHindrance::TOO_FEW_SERVERS, nowhere_to_go);
  add(wire::RepairHindrance::BUSY, busy);
  return info;
}

MonoTime at(int64_t s) {
  return MonoTime(seconds(s));
}
constexpr int64_t kPatience = std::chrono::duration_cast<seconds>(DrainWatch::kPatience).count();

TEST(DrainWatch, IsStuckWhenAllThatIsLeftStaysHeldUp) {
  DrainWatch watch;
  watch.see(server(5, 5), at(1));
  EXPECT_FALSE(watch.stuck(at(kPatience)));
  watch.see(server(5, 5), at(kPatience));
  EXPECT_TRUE(watch.stuck(at(1 + kPatience)));
}

TEST(DrainWatch, IsNotStuckWhileAnythingElseIsLeft) {
  DrainWatch watch;
  for (int64_t s = 0; s <= 2 * kPatience; ++s) {
    watch.see(server(6, 5), at(s));
    EXPECT_FALSE(watch.stuck(at(s))) << "a block is under way";
  }
  for (int64_t s = 0; s <= 2 * kPatience; ++s) {
    watch.see(server(5, 0, 5), at(s));
    EXPECT_FALSE(watch.stuck(at(s))) << "they wait their turn";
  }
  watch.see(server(0, 0), at(99));
  EXPECT_FALSE(watch.stuck(at(99 + kPatience))) << "it is empty";
}

TEST(DrainWatch, BeginsAnewWhenSomethingMovesOrNothingIsKnown) {
  DrainWatch watch;
  watch.see(server(5, 5), at(0));
  watch.see(server(4, 4), at(5));
  EXPECT_FALSE(watch.stuck(at(kPatience)));
  EXPECT_TRUE(watch.stuck(at(5 + kPatience)));
  watch.see_nothing();
  EXPECT_FALSE(watch.stuck(at(99)));
  watch.see(server(4, 4), at(100));
  EXPECT_FALSE(watch.stuck(at(99 + kPatience)));
}

TEST(DrainWatch, SaysWhatStandsInTheWay) {
  const std::string text = describe_stuck_drain(server(5, 5, 3));
  EXPECT_THAT(text, HasSubstr("5 blocks are left"));
  EXPECT_THAT(text, HasSubstr("add servers"));
  EXPECT_THAT(text, Not(HasSubstr("their turn"))) << "that is not why";
}

}  // namespace
}  // namespace dogfs::cli
