// Numbers on the command line.
#include "runtime/flags.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dogfs {
namespace {

// A program with a number of each kind; nullopt: taken, else what is said of the command line.
std::optional<std::string> complaint(std::vector<std::string> words) {
  const std::map<std::string, uint64_t> units{{"s", 1}, {"d", 86400}};
  struct {
    uint32_t jobs = 0;
    uint64_t size = 0, seconds = 0;
    std::optional<uint64_t> seed;
    std::vector<uint64_t> ids;
    std::string name;
    bool all = false;
  } flags;
  CLI::App app;
  app.add_option("-j,--jobs", flags.jobs)->check(CLI::Range(0, 256))->envname("DOGFS_TEST_JOBS");
  CLI::App* group = app.add_option_group("group");
  group->add_option("--seed", flags.seed);
  CLI::App* command = app.add_subcommand("outer")->add_subcommand("inner");
  command->add_option("-s,--size", flags.size)->transform(CLI::AsSizeValue(false));
  command->add_option("--for", flags.seconds)
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_REQUIRED));
  command->add_option("--name", flags.name);
  command->add_flag("--all", flags.all);
  command->add_option("ID", flags.ids);
  refuse_negative_numbers(app);
  std::ranges::reverse(words);
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return std::nullopt;
}

TEST(Flags, ANegativeNumberIsRefusedWhereverItStands) {
  EXPECT_EQ(complaint({"outer", "inner", "-s", "-100"}), "--size: -100 is negative");
  EXPECT_EQ(complaint({"outer", "inner", "-s-18446744073709551606"}), "--size: -18446744073709551606 is negative");
  EXPECT_EQ(complaint({"outer", "inner", "--size=-4k"}), "--size: -4k is negative");
  EXPECT_EQ(complaint({"outer", "inner", "--size", " -1"}), "--size:  -1 is negative");
  EXPECT_EQ(complaint({"outer", "inner", "--for", "-1d"}), "--for: -1d is negative");
  EXPECT_EQ(complaint({"-j", "-1", "outer", "inner"}), "--jobs: -1 is negative");
  EXPECT_EQ(complaint({"--seed", "-1", "outer", "inner"}), "--seed: -1 is negative");
  EXPECT_EQ(complaint({"outer", "inner", "5", "-6"}), "ID: -6 is negative");
}

TEST(Flags, ANegativeNumberOfTheEnvironmentIsRefused) {
  ASSERT_EQ(setenv("DOGFS_TEST_JOBS", "-4294967295", 1), 0);
  EXPECT_EQ(complaint({"outer", "inner"}), "--jobs: -4294967295 is negative");
  ASSERT_EQ(unsetenv("DOGFS_TEST_JOBS"), 0);
}

TEST(Flags, OtherNumbersAndTextsAreTaken) {
  EXPECT_EQ(complaint({"-j", "0", "--seed", "18446744073709551615", "outer", "inner", "-s", "4k", "--for", "2d",
                       "--name=-1", "--all", "5", "6"}),
            std::nullopt);
}

}  // namespace
}  // namespace dogfs
