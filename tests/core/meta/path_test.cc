#include "core/meta/path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "core/base/limits.h"

namespace dogfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Error error_of(std::string_view path) {
  const Result<Path> parsed = Path::parse(path);
  EXPECT_FALSE(parsed.has_value()) << path;
  return parsed ? Error(ErrorCode::kOk) : parsed.error();
}

std::string path_of(size_t depth) {
  std::string path;
  for (size_t i = 0; i < depth; ++i) path += "/d";
  return path;
}

TEST(Path, IsCutAtItsSlashes) {
  EXPECT_THAT(Path::parse("/").value().components(), IsEmpty());
  EXPECT_THAT(Path::parse("/a").value().components(), ElementsAre("a"));
  EXPECT_THAT(Path::parse("/a/b c/...").value().components(), ElementsAre("a", "b c", "..."));
}

TEST(Path, TakesAnyBytesButSlashAndNul) {
  for (int byte = 1; byte < 256; ++byte) {
    const std::string name = "x" + std::string(1, static_cast<char>(byte));
    if (byte != '/') EXPECT_THAT(Path::parse("/" + name).value().components(), ElementsAre(name));
  }
}

TEST(Path, GivesItsPrefixes) {
  const std::string text = "/a/bc/d";
  const Path path = Path::parse(text).value();
  EXPECT_EQ(path.prefix(0), "/");
  EXPECT_EQ(path.prefix(1), "/a");
  EXPECT_EQ(path.prefix(2), "/a/bc");
  EXPECT_EQ(path.prefix(3), "/a/bc/d");
}

TEST(Path, RefusesWhatIsNotAbsolute) {
  EXPECT_EQ(error_of("").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of("a/b").code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error_of("a/b").detail, HasSubstr("does not begin with /"));
}

TEST(Path, RefusesEmptyAndDotComponents) {
  for (const std::string_view path : {"//", "//a", "/a/", "/a//b", "/.", "/a/./b", "/..", "/a/../b"}) {
    EXPECT_EQ(error_of(path).code, ErrorCode::kInvalidArgument) << path;
  }
  EXPECT_THAT(error_of("/a/../b").detail, HasSubstr("\"/a/../b\" has a component \"..\""));
  EXPECT_THAT(error_of("/a//b").detail, HasSubstr("empty component"));
}

TEST(Path, RefusesNulAndShowsWhere) {
  const Error error = error_of(std::string_view("/a/b\0c", 6));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.detail, HasSubstr("b\\x00c"));
}

TEST(Path, RefusesANameBeyondTheLimit) {
  EXPECT_TRUE(Path::parse("/" + std::string(kMaxNameBytes, 'n')).has_value());
  const Error error = error_of("/a/" + std::string(kMaxNameBytes + 1, 'n'));
  EXPECT_EQ(error.code, ErrorCode::kNameTooLong);
  EXPECT_THAT(error.detail, HasSubstr("256 bytes, the limit is 255"));
}

TEST(Path, RefusesWhatIsTooDeepOrTooLong) {
  EXPECT_TRUE(Path::parse(path_of(kMaxPathDepth)).has_value());
  EXPECT_EQ(error_of(path_of(kMaxPathDepth + 1)).code, ErrorCode::kPathTooDeep);
  std::string text;
  while (text.size() <= kMaxPathBytes) text += "/" + std::string(200, 'n');
  EXPECT_EQ(error_of(text).code, ErrorCode::kPathTooDeep);
}

RC_GTEST_PROP(Path, JoiningTheComponentsGivesThePath, ()) {
  const auto names = *rc::gen::container<std::vector<std::string>>(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>('a', 'e'))));
  RC_PRE(names.size() <= kMaxPathDepth);
  std::string text;
  for (const std::string& name : names) text += "/" + name;
  RC_PRE(!text.empty());
  const Path path = Path::parse(text).value();
  RC_ASSERT(std::equal(names.begin(), names.end(), path.components().begin(), path.components().end()));
}

}  // namespace
}  // namespace dogfs
