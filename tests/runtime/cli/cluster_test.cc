#include "runtime/cli/cluster.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace dogfs::cli {
namespace {

TEST(MetaNodes, AreSeparatedByCommasOrSpace) {
  const std::vector<Address> expected{{"a:1"}, {"b:2"}, {"[::1]:3"}};
  EXPECT_EQ(parse_meta_nodes("a:1,b:2,[::1]:3").value(), expected);
  EXPECT_EQ(parse_meta_nodes("# by dogfsd dev\na:1\nb:2  # second\n\n[::1]:3\n").value(), expected);
}

TEST(MetaNodes, WithoutAPortOrMissingAreRefused) {
  EXPECT_EQ(code_of(parse_meta_nodes("a:1,b")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(parse_meta_nodes("")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(parse_meta_nodes("# nothing")), ErrorCode::kInvalidArgument);
}

TEST(ClusterFile, IsReadOrNotFound) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "dogfs_cluster_file";
  std::ofstream(path) << "127.0.0.1:7001\n";
  EXPECT_EQ(read_cluster_file(path).value(), std::vector<Address>{{"127.0.0.1:7001"}});
  std::filesystem::remove(path);
  EXPECT_EQ(code_of(read_cluster_file(path)), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace dogfs::cli
