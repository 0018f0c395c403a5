#include "core/base/printable.h"

#include <fmt/format.h>

#include <cstdint>

namespace dogfs {
namespace {

// How many bytes the well-formed multi-byte character at the front of `text` has, 0 if there is none (Unicode 15,
// table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF; C1 controls are left out too).
size_t multibyte_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const auto in = [&](size_t i, uint8_t low, uint8_t high) { return byte(i) >= low && byte(i) <= high; };
  const auto tail = [&](size_t i) { return in(i, 0x80, 0xBF); };
  const uint8_t lead = byte(0);
  if (lead == 0xC2) return in(1, 0xA0, 0xBF) ? 2 : 0;
  if (lead >= 0xC3 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;
    const uint8_t high = lead == 0xED ? 0x9F : 0xBF;
    return in(1, low, high) && tail(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const uint8_t low = lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;
    return in(1, low, high) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string printable(std::string_view bytes, size_t most) {
  constexpr std::string_view kEllipsis = "...";
  std::string text;
  size_t kept = 0;  // of `text`, if what follows does not fit
  while (!bytes.empty()) {
    const auto first = static_cast<uint8_t>(bytes.front());
    size_t length = 1;
    if (first >= 0x20 && first < 0x7F) {
      text.push_back(bytes.front());
    } else if (const size_t multibyte = multibyte_length(bytes); multibyte > 0) {
      length = multibyte;
      text.append(bytes.substr(0, length));
    } else {
      text += fmt::format("\\x{:02x}", first);
    }
    bytes.remove_prefix(length);
    if (text.size() > most) return text.replace(kept, text.size(), kEllipsis);
    if (text.size() + kEllipsis.size() <= most) kept = text.size();
  }
  return text;
}

}  // namespace dogfs
