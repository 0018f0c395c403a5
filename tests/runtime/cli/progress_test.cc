#include "runtime/cli/progress.h"

#include <gtest/gtest.h>

namespace dogfs::cli {
namespace {

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
  EXPECT_EQ(progress_line({.bytes = 50 << 20, .files = 0}, {.bytes = 200 << 20, .files = 1}, seconds(1), 60),
            " 25% [=======>                      ] 50M/200M  50M/s  0:03");
}

TEST(ProgressLine, CountsFilesOfATree) {
  EXPECT_EQ(progress_line({.bytes = 1 << 20, .files = 7}, {.bytes = 2 << 20, .files = 9}, seconds(1), 40),
            " 50% 1.0M/2.0M  7/9 files  1.0M/s  0:01");
}

TEST(ProgressLine, WithoutATotalShowsWhatIsDone) {
  EXPECT_EQ(progress_line({.bytes = 1 << 20, .files = 7}, {}, seconds(2), 80), "1.0M  7 files  512K/s");
}

TEST(ProgressLine, NeverReachesTheEdgeOfTheTerminal) {
  for (size_t columns = 1; columns < 120; ++columns) {
    const std::string line =
        progress_line({.bytes = 123456789, .files = 12}, {.bytes = 987654321, .files = 99}, seconds(3), columns);
    EXPECT_LT(line.size(), columns);
  }
}

TEST(ProgressLine, AFileThatGrewIsNotBeyondTheWhole) {
  EXPECT_TRUE(progress_line({.bytes = 3 << 20, .files = 0}, {.bytes = 1 << 20, .files = 1}, seconds(1), 80)
                  .starts_with("100% [===="));
}

}  // namespace
}  // namespace dogfs::cli
