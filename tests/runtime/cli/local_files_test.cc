#include "runtime/cli/local_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace dogfs::cli {
namespace {

namespace fs = std::filesystem;

class LocalFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/local_files_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  static void write(const std::string& file, std::string_view text) { std::ofstream(file) << text; }
  static std::string read(const std::string& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  fs::path directory_;
};

TEST_F(LocalFilesTest, SourceReadsAFileToItsEnd) {
  write(path("file"), "dogged");
  LocalSource source = LocalSource::open(path("file")).value();
  EXPECT_EQ(source.size(), 6U);
  std::vector<std::byte> buffer(4);
  const std::atomic<bool> stop = false;
  EXPECT_EQ(source.read(buffer, stop).value(), 4U);
  EXPECT_EQ(source.read(buffer, stop).value(), 2U);
  EXPECT_EQ(source.read(buffer, stop).value(), 0U);
}

TEST_F(LocalFilesTest, SourceRefusesDirectoriesAndSaysWhatIsMissing) {
  EXPECT_EQ(code_of(LocalSource::open(directory_.string())), ErrorCode::kIsADirectory);
  EXPECT_EQ(code_of(LocalSource::open(path("none"))), ErrorCode::kNotFound);
}

TEST_F(LocalFilesTest, SourceStopsWhenToldTo) {
  write(path("file"), "dog");
  LocalSource source = LocalSource::open(path("file")).value();
  std::vector<std::byte> buffer(4);
  EXPECT_EQ(code_of(source.read(buffer, true)), ErrorCode::kCancelled);
}

TEST_F(LocalFilesTest, SinkGivesTheNameOnlyAtTheCommit) {
  write(path("file"), "old");
  LocalSink sink = LocalSink::create(path("file")).value();
  ASSERT_TRUE(sink.write(BytesChain(Bytes::copy_of(std::string_view("new")))));
  EXPECT_EQ(read(path("file")), "old");
  ASSERT_TRUE(sink.commit(0640));
  EXPECT_EQ(read(path("file")), "new");
  struct stat status{};
  ASSERT_EQ(::stat(path("file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777 & ~0640U, 0U);
}

TEST_F(LocalFilesTest, SinkThatIsNotCommittedLeavesNothing) {
  {
    LocalSink sink = LocalSink::create(path("file")).value();
    ASSERT_TRUE(sink.write(BytesChain(Bytes::copy_of(std::string_view("new")))));
  }
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(LocalFilesTest, SinkTakesNamesOf255Bytes) {
  const std::string name(255, 'n');
  LocalSink sink = LocalSink::create(path(name)).value();
  ASSERT_TRUE(sink.commit(0644));
  EXPECT_TRUE(fs::exists(path(name)));
}

TEST_F(LocalFilesTest, ListSortsByBytesAndTellsTypesApart) {
  write(path("b"), "12");
  write(path("\xff"), "");
  fs::create_directory(path("a"));
  fs::create_symlink("a", path("link"));
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const std::vector<LocalEntry> entries = list_local(directory_.string()).value();
  std::vector<std::pair<std::string, LocalType>> seen;
  seen.reserve(entries.size());
  for (const LocalEntry& entry : entries) seen.emplace_back(entry.name, entry.type);
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, LocalType>>{{"a", LocalType::kDirectory},
                                                                  {"b", LocalType::kFile},
                                                                  {"link", LocalType::kSymbolicLink},
                                                                  {"pipe", LocalType::kSpecial},
                                                                  {"\xff", LocalType::kFile}}));
  EXPECT_EQ(entries[1].size, 2U);
}

TEST_F(LocalFilesTest, CountTakesPlainFilesOfTheWholeTree) {
  fs::create_directories(path("a/b"));
  write(path("a/b/file"), "123");
  write(path("file"), "12");
  fs::create_symlink("file", path("link"));
  const LocalTotals totals = count_local(directory_.string());
  EXPECT_EQ(totals.files, 2U);
  EXPECT_EQ(totals.bytes, 5U);
}

TEST_F(LocalFilesTest, MakeDirectoryTakesOneThatIsThereButNoFile) {
  EXPECT_TRUE(make_local_directory(path("a"), 0755));
  EXPECT_TRUE(make_local_directory(path("a"), 0755));
  write(path("file"), "");
  EXPECT_EQ(code_of(make_local_directory(path("file"), 0755)), ErrorCode::kAlreadyExists);
}

}  // namespace
}  // namespace dogfs::cli
