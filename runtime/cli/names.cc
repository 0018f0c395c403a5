#include "runtime/cli/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace dogfs::cli {
namespace {

// The bytes of the printable UTF-8 character that `text` begins with; 0 when it begins with anything else.
size_t printable_prefix(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  const size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return 0;
  uint32_t code = byte(0) & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kShortest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool control = code < 0xa0;
  // Marks that make a terminal show text in another order than it has.
  const bool reorders =
      (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  if (code < kShortest[length] || code > 0x10ffff || surrogate || control || reorders) return 0;
  return length;
}

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const size_t length = printable_prefix(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string with_escapes(std::string_view name) {
  std::string quoted = "$'";
  while (!name.empty()) {
    const size_t length = printable_prefix(name);
    if (length == 0) {
      const auto byte = static_cast<uint8_t>(name[0]);
      quoted += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : fmt::format("\\{:03o}", byte);
    } else {
      if (name[0] == '\'' || name[0] == '\\') quoted += '\\';
      quoted += name.substr(0, length);
    }
    name.remove_prefix(std::max<size_t>(length, 1));
  }
  return quoted + "'";
}

std::string in_single_quotes(std::string_view name) {
  std::string quoted = "'";
  for (const char c : name) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace

std::string quote_for_shell(std::string_view name) {
  if (!is_printable(name)) return with_escapes(name);
  constexpr std::string_view kSpecial = " \"'\\$`!*?[](){}<>|&;~#=%^";
  const bool one_word = !name.empty() && name.find_first_of(kSpecial) == std::string_view::npos;
  return one_word ? std::string(name) : in_single_quotes(name);
}

std::string printable(std::string_view name) {
  return is_printable(name) ? std::string(name) : with_escapes(name);
}

}  // namespace dogfs::cli
