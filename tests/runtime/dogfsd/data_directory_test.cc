#include "runtime/dogfsd/data_directory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "runtime/text_file.h"
#include "tests/runtime/temporary_directory.h"

namespace dogfs {
namespace {

const DirectoryIdentity kMine = {{"role", "meta"}, {"cluster", "c"}, {"node", "1"}, {"members", "1,2,3"}};

TEST(DataDirectory, IsMadeAndFoundAgain) {
  const TemporaryDirectory base;
  const std::string path = base / "a/b";
  {
    DataDirectory directory = DataDirectory::open(path, kMine).value();
    EXPECT_FALSE(directory.formatted());
  }
  {
    DataDirectory directory = DataDirectory::open(path, kMine).value();
    EXPECT_FALSE(directory.formatted()) << "the stores were not made yet";
    EXPECT_TRUE(directory.set_formatted().has_value());
  }
  EXPECT_TRUE(DataDirectory::open(path, kMine).value().formatted());
}

TEST(DataDirectory, AnotherNodesDirectoryIsRefused) {
  const TemporaryDirectory base;
  EXPECT_TRUE(DataDirectory::open(base.path(), kMine).has_value());
  for (const auto& [name, value] : kMine) {
    DirectoryIdentity other = kMine;
    other[name] = value + "0";
    const auto refused = DataDirectory::open(base.path(), other);
    ASSERT_EQ(code_of(refused), ErrorCode::kConflict);
    EXPECT_NE(refused.error().detail.find("its " + name + " is " + value), std::string::npos);
  }
  EXPECT_TRUE(DataDirectory::open(base.path(), kMine).has_value());
}

TEST(DataDirectory, ForeignDirectoryIsRefusedAndLeftAsItIs) {
  const TemporaryDirectory base;
  std::ofstream(base / "thesis.tex") << "important";
  EXPECT_EQ(code_of(DataDirectory::open(base.path(), kMine)), ErrorCode::kConflict);
  const auto entries = std::filesystem::directory_iterator(base.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST(DataDirectory, NewFileSystemIsEmptyEnough) {
  const TemporaryDirectory base;
  std::filesystem::create_directory(base / "lost+found");
  EXPECT_TRUE(DataDirectory::open(base.path(), kMine).has_value());
}

TEST(DataDirectory, SecondOpenerIsTurnedAway) {
  const TemporaryDirectory base;
  const auto first = DataDirectory::open(base.path(), kMine);
  EXPECT_EQ(code_of(DataDirectory::open(base.path(), kMine)), ErrorCode::kUnavailable);
}

TEST(DataDirectory, DamagedMarkIsNotTakenForANewDirectory) {
  const TemporaryDirectory base;
  EXPECT_TRUE(DataDirectory::open(base.path(), kMine).has_value());
  for (const char* text : {"", "dogfs identity 2\nrole meta\nformatted yes\n", "dogfs identity 1\nrole", "???"}) {
    ASSERT_TRUE(replace_text_file(base / "identity", text).has_value());
    EXPECT_EQ(code_of(DataDirectory::open(base.path(), kMine)), ErrorCode::kCorrupt) << text;
  }
}

TEST(DataDirectory, PathThatIsAFileIsAnError) {
  const TemporaryDirectory base;
  std::ofstream(base / "file") << "x";
  EXPECT_EQ(code_of(DataDirectory::open(base / "file", kMine)), ErrorCode::kIoError);
}

TEST(TextFile, IsReplacedWhole) {
  const TemporaryDirectory base;
  EXPECT_EQ(code_of(read_text_file(base / "t", 10)), ErrorCode::kNotFound);
  EXPECT_TRUE(replace_text_file(base / "t", "0123456789").has_value());
  EXPECT_EQ(read_text_file(base / "t", 10).value(), "0123456789");
  EXPECT_EQ(code_of(read_text_file(base / "t", 9)), ErrorCode::kLimitExceeded);
  EXPECT_TRUE(replace_text_file(base / "t", "new").has_value());
  EXPECT_EQ(read_text_file(base / "t", 10).value(), "new");
  EXPECT_FALSE(std::filesystem::exists(base / "t.tmp"));
}

}  // namespace
}  // namespace dogfs
