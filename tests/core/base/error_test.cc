#include "core/base/error.h"

#include <gtest/gtest.h>

#include <set>

#include "core/base/result.h"

namespace dogfs {
namespace {

constexpr ErrorCode kAllCodes[] = {
#define X(name, number, error_class, text) ErrorCode::name,
    DOGFS_ERROR_CODES(X)
#undef X
};

TEST(ErrorRegistry, EachCodeSurvivesTheWire) {
  for (const ErrorCode code : kAllCodes) EXPECT_EQ(error_code_from_wire(static_cast<uint32_t>(code)), code);
}

TEST(ErrorRegistry, NumbersSayTheClass) {
  for (const ErrorCode code : kAllCodes) {
    EXPECT_EQ(static_cast<uint32_t>(code) / 100, static_cast<uint32_t>(error_class(code))) << error_name(code);
  }
}

TEST(ErrorRegistry, UnknownNumberIsInternal) {
  EXPECT_EQ(error_code_from_wire(99'999), ErrorCode::kInternal);
}

TEST(ErrorRegistry, NamesAndTextsAreDistinct) {
  std::set<std::string_view> names, texts;
  for (const ErrorCode code : kAllCodes) {
    EXPECT_TRUE(names.insert(error_name(code)).second);
    EXPECT_TRUE(texts.insert(error_text(code)).second);
  }
}

Result<int> half(int x) {
  if (x % 2 != 0) return Error(ErrorCode::kInvalidArgument, "odd");
  return x / 2;
}

Result<int> quarter(int x) {
  DOGFS_TRY(const int h, half(x));
  return half(h);
}

TEST(Result, TryPassesTheErrorOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error(), Error(ErrorCode::kInvalidArgument, "odd"));
  EXPECT_EQ(code_of(quarter(4)), ErrorCode::kOk);
  EXPECT_EQ(quarter(6).error().to_string(), "invalid argument: odd");
}

}  // namespace
}  // namespace dogfs
