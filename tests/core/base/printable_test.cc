#include "core/base/printable.h"

#include <gtest/gtest.h>

#include <string>

namespace dogfs {
namespace {

TEST(Printable, KeepsWhatPeopleCanRead) {
  EXPECT_EQ(printable(""), "");
  EXPECT_EQ(printable("/a b/~"), "/a b/~");
  EXPECT_EQ(printable("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\xB6"), "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\xB6");
}

TEST(Printable, EscapesControlCharactersAndMalformedUtf8) {
  EXPECT_EQ(printable(std::string_view("a\0b\n\x7f", 5)), "a\\x00b\\x0a\\x7f");
  EXPECT_EQ(printable("\xC3"), "\\xc3");
  EXPECT_EQ(printable("\xC0\xAF"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(printable("\xF5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(printable("\xC2\x85"), "\\xc2\\x85") << "C1 control";
}

TEST(Printable, IsBoundedAndNeverCutsACharacter) {
  const std::string text = printable(std::string(1000, '\xff'));
  EXPECT_LE(text.size(), kMaxPrintableBytes);
  EXPECT_TRUE(text.ends_with("\\xff..."));
}

TEST(Printable, WhatFitsExactlyStaysWhole) {
  const std::string fits(kMaxPrintableBytes, 'x');
  EXPECT_EQ(printable(fits), fits);
  EXPECT_EQ(printable(fits + "x"), fits.substr(3) + "...");
  EXPECT_EQ(printable("12345\xE2\x82\xAC", 8), "12345\xE2\x82\xAC");
  EXPECT_EQ(printable("12345\xE2\x82\xAC", 7), "1234...");
}

TEST(Printable, ACutEndsBehindAWholeCharacter) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\xB6 bc";
  for (size_t most = 3; most < text.size(); ++most) {
    const std::string cut = printable(text, most);
    EXPECT_LE(cut.size(), most);
    ASSERT_TRUE(cut.ends_with("...")) << cut;
    EXPECT_TRUE(text.starts_with(cut.substr(0, cut.size() - 3))) << cut;
    EXPECT_EQ(printable(cut), cut) << "no part of a character";
  }
}

}  // namespace
}  // namespace dogfs
