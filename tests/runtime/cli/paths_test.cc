#include "runtime/cli/paths.h"

#include <gtest/gtest.h>

namespace dogfs::cli {
namespace {

TEST(ParsePath, NormalizesWhatMeansTheSame) {
  EXPECT_EQ(parse_path("/").value(), "/");
  EXPECT_EQ(parse_path("//").value(), "/");
  EXPECT_EQ(parse_path("/a//b/").value(), "/a/b");
  EXPECT_EQ(parse_path("/./a/.").value(), "/a");
  EXPECT_EQ(parse_path("/ odd\nname").value(), "/ odd\nname");
  EXPECT_EQ(parse_path("/...").value(), "/...");
}

TEST(ParsePath, RefusesRelativePathsAndDotDot) {
  for (const char* path : {"", "a", "./a", "/a/../b", "/.."}) {
    EXPECT_EQ(code_of(parse_path(path)), ErrorCode::kInvalidArgument) << path;
  }
}

TEST(BaseName, IsTheLastComponent) {
  EXPECT_EQ(base_name("/a/b"), "b");
  EXPECT_EQ(base_name("b/"), "b");
  EXPECT_EQ(base_name("b"), "b");
  EXPECT_EQ(base_name("/"), "");
}

TEST(ParentPath, IsTheDirectory) {
  EXPECT_EQ(parent_path("/a/b"), "/a");
  EXPECT_EQ(parent_path("/a"), "/");
}

TEST(IsWithin, IsTheDirectoryOrBelowIt) {
  EXPECT_TRUE(is_within("/a", "/a"));
  EXPECT_TRUE(is_within("/a/b", "/a"));
  EXPECT_TRUE(is_within("/a", "/"));
  EXPECT_FALSE(is_within("/ab", "/a"));
  EXPECT_FALSE(is_within("/a", "/a/b"));
}

TEST(SafeLocalName, RefusesNamesThatLeadElsewhere) {
  for (const std::string& name :
       {std::string(""), std::string("."), std::string(".."), std::string("a/b"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(is_safe_local_name(name)) << name;
  }
  EXPECT_TRUE(is_safe_local_name("..."));
  EXPECT_TRUE(is_safe_local_name("-rf"));
}

}  // namespace
}  // namespace dogfs::cli
