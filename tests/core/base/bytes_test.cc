#include "core/base/bytes.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace dogfs {
namespace {

BytesChain chain_of(const std::vector<std::string>& pieces) {
  BytesChain chain;
  for (const std::string& piece : pieces) chain.append(Bytes::copy_of(piece));
  return chain;
}

TEST(Bytes, SliceSharesMemory) {
  const Bytes whole = Bytes::copy_of("watchdog");
  const Bytes dog = whole.slice(5, 3);
  EXPECT_EQ(dog.view(), "dog");
  EXPECT_EQ(dog.data(), whole.data() + 5);
}

TEST(Bytes, SliceOutlivesTheWhole) {
  Bytes dog;
  {
    const Bytes whole = Bytes::copy_of("watchdog");
    dog = whole.slice(5, 3);
  }
  EXPECT_EQ(dog.view(), "dog");
}

TEST(Bytes, SliceBeyondTheEndDies) {
  EXPECT_DEATH(Bytes::copy_of("dog").slice(2, 2), "invariant broken");
}

TEST(MutableBuffer, IsAlignedForDirectIo) {
  for (const size_t size : {1U, 4095U, 4096U, 1U << 20}) {
    MutableBuffer buffer(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kBufferAlignment, 0U);
  }
}

TEST(MutableBuffer, FreezeGivesUpTheMemory) {
  MutableBuffer buffer(4);
  const std::byte* memory = buffer.data();
  const Bytes frozen = buffer.freeze(3);
  EXPECT_EQ(frozen.data(), memory);
  EXPECT_EQ(frozen.size(), 3U);
  EXPECT_EQ(buffer.size(), 0U);
}

RC_GTEST_PROP(BytesChain, SliceEqualsSubstringOfTheWhole, ()) {
  const auto pieces = *rc::gen::arbitrary<std::vector<std::string>>();
  std::string whole;
  for (const std::string& piece : pieces) whole += piece;
  const BytesChain chain = chain_of(pieces);
  RC_ASSERT(chain.size() == whole.size());
  const size_t offset = *rc::gen::inRange<size_t>(0, whole.size() + 1);
  const size_t length = *rc::gen::inRange<size_t>(0, whole.size() - offset + 1);
  RC_ASSERT(chain.slice(offset, length).flatten().view() == std::string_view(whole).substr(offset, length));
}

}  // namespace
}  // namespace dogfs
