#include "runtime/cli/cluster.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/limits.h"

namespace dogfs::cli {
namespace {

TEST(MetaNodes, AreSeparatedByCommasOrSpace) {
  const std::vector<Address> expected{{"a:1"}, {"b:2"}, {"[::1]:3"}};
  EXPECT_EQ(parse_meta_nodes("a:1,b:2,[::1]:3").value(), expected);
  EXPECT_EQ(parse_meta_nodes("# by dogfsd dev\na:1\nb:2  # second\n\n[::1]:3\n").value(), expected);
}

TEST(MetaNodes, WithoutAPortOrMissingAreRefused) {
  for (const char* text : {"a:1,b", "a:1,b:", "a:1,b:x", "a:1,b:65536", "a:1,:2", "", "# nothing"}) {
    EXPECT_EQ(code_of(parse_meta_nodes(text)), ErrorCode::kInvalidArgument) << text;
  }
}

TEST(MetaNodes, MoreThanAGroupHasAreRefused) {
  std::string text;
  for (size_t i = 0; i < kMaxRaftMembers; ++i) text += "node-" + std::to_string(i) + ":7001\n";
  EXPECT_EQ(parse_meta_nodes(text).value().size(), kMaxRaftMembers);
  EXPECT_EQ(code_of(parse_meta_nodes(text + "another:7001")), ErrorCode::kLimitExceeded);
}

TEST(ClusterFile, IsReadOrNotFound) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "dogfs_cluster_file";
  std::ofstream(path) << "127.0.0.1:7001\n";
  EXPECT_EQ(read_cluster_file(path).value(), std::vector<Address>{{"127.0.0.1:7001"}});
  std::filesystem::remove(path);
  EXPECT_EQ(code_of(read_cluster_file(path)), ErrorCode::kNotFound);
}

TEST(ClusterFile, ThatIsTooLongForOneIsRefused) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "dogfs_long_cluster_file";
  std::ofstream(path) << "127.0.0.1:7001\n" << std::string(64 * kKiB, '#');
  EXPECT_EQ(code_of(read_cluster_file(path)), ErrorCode::kLimitExceeded);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace dogfs::cli
