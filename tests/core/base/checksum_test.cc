#include "core/base/checksum.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace dogfs {
namespace {

// The definition, bit by bit.
uint32_t slow_crc32c(std::string_view bytes) {
  uint32_t state = ~0U;
  for (const char byte : bytes) {
    state ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1U) ? 0x82F63B78U : 0U);
  }
  return ~state;
}

// RFC 3720, appendix B.4.
TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(crc32c(std::string_view("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  EXPECT_EQ(crc32c(std::string_view()), 0U);
}

RC_GTEST_PROP(Crc32c, EqualsTheBitwiseDefinition, (const std::string& bytes)) {
  RC_ASSERT(crc32c(bytes) == slow_crc32c(bytes));
}

RC_GTEST_PROP(Crc32c, ContinuesAndCombines, (const std::string& a, const std::string& b)) {
  const uint32_t whole = crc32c(a + b);
  RC_ASSERT(crc32c(b, crc32c(a)) == whole);
  RC_ASSERT(crc32c_combine(crc32c(a), crc32c(b), b.size()) == whole);
}

TEST(Crc32c, CombinesOverLongDistances) {
  const std::string a = "head";
  const std::string b(3'000'000, 'x');
  EXPECT_EQ(crc32c_combine(crc32c(a), crc32c(b), b.size()), crc32c(a + b));
}

}  // namespace
}  // namespace dogfs
