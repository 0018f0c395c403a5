#include "runtime/cli/names.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <memory>

namespace dogfs::cli {
namespace {

TEST(QuoteForShell, PlainNamesStayPlain) {
  for (const char* name : {"a", "photo-1.jpg", "a_b+c,d", "日本語", "naïve"}) EXPECT_EQ(quote_for_shell(name), name);
}

TEST(QuoteForShell, WordsThatAShellWouldChangeAreQuoted) {
  EXPECT_EQ(quote_for_shell("two words"), "'two words'");
  EXPECT_EQ(quote_for_shell("it's"), "'it'\\''s'");
  EXPECT_EQ(quote_for_shell("$HOME"), "'$HOME'");
  EXPECT_EQ(quote_for_shell(""), "''");
}

TEST(QuoteForShell, ControlCharactersAndBadUtf8AreEscaped) {
  EXPECT_EQ(quote_for_shell("a\nb"), "$'a\\nb'");
  EXPECT_EQ(quote_for_shell("\x1b[2J"), "$'\\033[2J'");
  EXPECT_EQ(quote_for_shell("\xff'\\"), "$'\\377\\'\\\\'");
  EXPECT_EQ(quote_for_shell("\xc0\xaf"), "$'\\300\\257'") << "an overlong form of '/'";
  EXPECT_EQ(quote_for_shell("\xe2\x80\xae"
                            "gnp"),
            "$'\\342\\200\\256gnp'")
      << "a mark that turns the text around";
  EXPECT_EQ(quote_for_shell("\xc2\x9b"), "$'\\302\\233'") << "a control character beyond ASCII";
}

TEST(Printable, SpacesAndQuotesStayButControlCharactersDoNot) {
  EXPECT_EQ(printable("it's two words"), "it's two words");
  EXPECT_EQ(printable("a\tb"), "$'a\\tb'");
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) output += static_cast<char>(c);
  return output;
}

RC_GTEST_PROP(QuoteForShell, AShellGivesTheNameBack, ()) {
  const auto bytes = *rc::gen::container<std::vector<uint8_t>>(rc::gen::inRange<uint8_t>(1, 255));
  const std::string name(bytes.begin(), bytes.end());
  const std::string script = "printf %s " + quote_for_shell(name);
  // Through a here-document of bash, which alone knows $'...'.
  RC_ASSERT(output_of("bash <<'END_OF_SCRIPT'\n" + script + "\nEND_OF_SCRIPT\n") == name);
}

}  // namespace
}  // namespace dogfs::cli
