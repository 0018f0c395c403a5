#include "core/base/coverage_mark.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

namespace dogfs {
namespace {

void pass(bool rarely) {
  if (rarely) {
    DOGFS_COVERAGE_MARK("test: rarely");
  } else {
    DOGFS_COVERAGE_MARK("test: often");
  }
}

const CoverageMark* find(std::string_view text) {
  const auto marks = coverage_marks();
  const auto found = std::ranges::find_if(marks, [text](const CoverageMark& mark) { return mark.text == text; });
  return found == marks.end() ? nullptr : &*found;
}

TEST(CoverageMark, CountsWhatWasPassedAndKnowsWhatWasNot) {
  if (!kCoverageMarksCompiledIn) GTEST_SKIP() << "this build has no marks";
  pass(false);
  pass(false);
  const CoverageMark* often = find("test: often");
  const CoverageMark* rarely = find("test: rarely");
  ASSERT_NE(often, nullptr);
  ASSERT_NE(rarely, nullptr);
  EXPECT_EQ(often->hits, 2U);
  EXPECT_EQ(rarely->hits, 0U);
  pass(true);
  EXPECT_EQ(rarely->hits, 1U);
}

}  // namespace
}  // namespace dogfs
