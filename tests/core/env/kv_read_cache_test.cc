#include <gtest/gtest.h>

#include <map>
#include <string>

#include "core/env/kv_store.h"

namespace dogfs {
namespace {

// A store with "here" in it, that counts what it is asked for, and fails when it is told to.
class CountingReader final : public KvReader {
 public:
  Result<std::optional<std::string>> get(std::string_view key) const override {
    ++gets[std::string(key)];
    if (fails) return Error(ErrorCode::kIoError);
    if (key != "here") return std::optional<std::string>();
    return std::optional<std::string>("value");
  }
  Status scan(std::string_view, std::string_view, const Visitor& visit) const override {
    visit("here", "value");
    return ok();
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return scan(begin, end, visit);
  }

  bool fails = false;
  mutable std::map<std::string, int> gets;
};

TEST(KvReadCache, AsksOnceForAKey) {
  const CountingReader base;
  const KvReadCache cache(base);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cache.get("here").value(), "value");
  EXPECT_EQ(base.gets["here"], 1);
}

TEST(KvReadCache, RemembersThatThereIsNone) {
  const CountingReader base;
  const KvReadCache cache(base);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cache.get("gone").value(), std::nullopt);
  EXPECT_EQ(base.gets["gone"], 1);
}

TEST(KvReadCache, DoesNotTakeAFailureForAnAnswer) {
  CountingReader base;
  const KvReadCache cache(base);
  base.fails = true;
  EXPECT_EQ(cache.get("here").error().code, ErrorCode::kIoError);
  base.fails = false;
  EXPECT_EQ(cache.get("here").value(), "value");
}

TEST(KvReadCache, ScansTheStore) {
  const CountingReader base;
  const KvReadCache cache(base);
  int visited = 0;
  const auto visit = [&](std::string_view, std::string_view) { return ++visited > 0; };
  ASSERT_TRUE(cache.scan("", "", visit).has_value());
  ASSERT_TRUE(cache.scan_backward("", "", visit).has_value());
  EXPECT_EQ(visited, 2);
}

}  // namespace
}  // namespace dogfs
