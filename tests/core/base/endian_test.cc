#include "core/base/endian.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace dogfs {
namespace {

TEST(Endian, BytesAreInTheOrderThatTheNameSays) {
  std::array<std::byte, 6> out{};
  store_little<uint32_t>(out, 1, 0x0A0B0C0D);
  EXPECT_EQ(out, (std::array<std::byte, 6>{std::byte{0}, std::byte{0x0D}, std::byte{0x0C}, std::byte{0x0B},
                                           std::byte{0x0A}, std::byte{0}}));
  std::string key;
  append_big<uint32_t>(key, 0x0A0B0C0D);
  EXPECT_EQ(key, "\x0A\x0B\x0C\x0D");
}

RC_GTEST_PROP(Endian, NumbersComeBack, (uint64_t wide, uint16_t narrow)) {
  std::array<std::byte, 10> out{};
  store_little(std::span(out), 0, wide);
  store_little(std::span(out), 8, narrow);
  RC_ASSERT(load_little<uint64_t>(out, 0) == wide);
  RC_ASSERT(load_little<uint16_t>(out, 8) == narrow);
  std::string key;
  append_big(key, narrow);
  append_big(key, wide);
  RC_ASSERT(load_big<uint16_t>(key, 0) == narrow);
  RC_ASSERT(load_big<uint64_t>(key, 2) == wide);
}

RC_GTEST_PROP(Endian, BigEndianKeysAreInTheOrderOfTheNumbers, (uint64_t a, uint64_t b)) {
  std::string key_a;
  std::string key_b;
  append_big(key_a, a);
  append_big(key_b, b);
  RC_ASSERT((a < b) == (key_a < key_b));
}

TEST(Endian, BeyondTheEndDies) {
  std::array<std::byte, 4> out{};
  EXPECT_DEATH(store_little<uint32_t>(out, 1, 1), "invariant broken");
  EXPECT_DEATH(load_little<uint64_t>(out, 0), "invariant broken");
  EXPECT_DEATH(load_big<uint32_t>("abc", 0), "invariant broken");
}

}  // namespace
}  // namespace dogfs
